// SPDX-License-Identifier: Apache-2.0

import Identity
import Testing
import Wire

/// The examples of the standards, and keys that are none.
@Suite struct VectorTests {
    /// The claims of both examples in RFC 7515.
    private static let claims =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    private static let modulus =
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp"
        + "-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW"
        + "vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
        + "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k"
        + "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2"
        + "PAcDTW9gb54h4FRWyuXpoQ"
    private static let rsaSignature =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
        + "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
        + "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
        + "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
        + "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
        + "p0igcN_IoypGlUPQGe77Rw"
    private static let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    private static let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    private static let curveSignature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        + "pmWQxfKTUJqPP3-Kg6NU1Q"
    private static let ed = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

    struct Example: Sendable, CustomTestStringConvertible {
        let name: String
        let key: String
        let text: String
        let signature: String
        let algorithm: TokenAlgorithm
        var testDescription: String { name }
    }

    static let examples = [
        Example(
            name: "RFC 7515 A.2", key: #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB"}"#,
            text: "eyJhbGciOiJSUzI1NiJ9.\(claims)", signature: rsaSignature, algorithm: .rs256),
        Example(
            name: "RFC 7515 A.3",
            key: #"{"kty": "EC", "crv": "P-256", "x": "\#(x)", "y": "\#(y)"}"#,
            text: "eyJhbGciOiJFUzI1NiJ9.\(claims)", signature: curveSignature, algorithm: .es256),
        Example(
            name: "RFC 8037 A.4", key: #"{"kty": "OKP", "crv": "Ed25519", "x": "\#(ed)"}"#,
            text: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B"
                + "hVsPt9g7sVvpAr_MuM0KAg", algorithm: .edDSA),
    ]

    private func decoded(_ text: String) throws -> [UInt8] {
        try #require(unsafe Base64URL.decode(text.utf8Span.span.bytes))
    }

    private func isSigned(_ key: TokenKey, _ text: String, _ signature: [UInt8]) -> Bool {
        unsafe key.signed(text.utf8Span.span.bytes, signature)
    }

    @Test(arguments: examples)
    func theExamplesOfTheStandardsAreVerified(_ example: Example) throws {
        let key = try #require(Signer.set(example.key).first)
        #expect(key.algorithm == example.algorithm && key.name == nil)
        let signature = try decoded(example.signature)
        #expect(isSigned(key, example.text, signature))
        #expect(!isSigned(key, example.text + "A", signature))
        #expect(!isSigned(key, String(example.text.dropLast()), signature))
        // No bit of it may be another, none may be missing, none may be added.
        for bit in stride(from: 0, to: signature.count * 8, by: 37) {
            var other = signature
            other[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!isSigned(key, example.text, other), "bit \(bit)")
        }
        #expect(!isSigned(key, example.text, Array(signature.dropLast())))
        #expect(!isSigned(key, example.text, signature + [0]))
        #expect(!isSigned(key, example.text, []))
        #expect(!isSigned(key, example.text, [UInt8](repeating: 0, count: signature.count)))
    }

    /// RFC 7518 section 3.4: the two numbers side by side, and nothing else.
    @Test func anECDSASignatureInDERIsNone() throws {
        let example = Self.examples[1]
        let key = try #require(Signer.set(example.key).first)
        let plain = try decoded(example.signature)
        var der: [UInt8] = []
        for half in [plain[..<32], plain[32...]] {
            var digits = Array(half.drop { $0 == 0 })
            if digits[0] >= 0x80 { digits.insert(0, at: 0) }
            der += [2, UInt8(digits.count)] + digits
        }
        #expect(!isSigned(key, example.text, [0x30, UInt8(der.count)] + der))
    }

    @Test(arguments: [
        // Of 2,047 bits, as the first one is missing; even; an exponent that signs everything.
        #"{"kty": "RSA", "n": "\#("f" + modulus.dropFirst())", "e": "AQAB"}"#,
        #"{"kty": "RSA", "n": "\#(modulus.dropLast())g", "e": "AQAB"}"#,
        #"{"kty": "RSA", "n": "\#(modulus.prefix(171))", "e": "AQAB"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQ"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AA"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAA"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)=", "e": "AQAB"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB", "alg": "PS256"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB", "alg": "HS256"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB", "use": "enc"}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB", "key_ops": ["sign"]}"#,
        #"{"kty": "RSA", "n": "\#(modulus)", "e": "AQAB", "kid": 7}"#,
        // Not on the curve, of another curve, too short, without the half of it.
        #"{"kty": "EC", "crv": "P-256", "x": "\#(x)", "y": "\#(x)"}"#,
        #"{"kty": "EC", "crv": "P-384", "x": "\#(x)", "y": "\#(y)"}"#,
        #"{"kty": "EC", "crv": "secp256k1", "x": "\#(x)", "y": "\#(y)"}"#,
        #"{"kty": "EC", "crv": "P-256", "x": "\#(x.dropLast(4))", "y": "\#(y)"}"#,
        #"{"kty": "EC", "crv": "P-256", "x": "\#(x)"}"#,
        #"{"kty": "EC", "crv": "P-256", "x": "\#(x)", "y": "\#(y)", "alg": "RS256"}"#,
        #"{"kty": "OKP", "crv": "X25519", "x": "\#(ed)"}"#,
        #"{"kty": "OKP", "crv": "Ed25519", "x": "\#(ed.dropLast(4))"}"#,
        #"{"kty": "oct", "k": "\#(ed)"}"#,
        #"{"kty": "oct", "k": "\#(ed)", "alg": "HS256"}"#,
        #"{"x": "\#(ed)"}"#, "{}", "7", "null",
    ])
    func whatIsNoKeyOfOursIsPassedOver(_ entry: String) {
        let good = #"{"kty": "OKP", "crv": "Ed25519", "x": "\#(Self.ed)", "kid": "good"}"#
        #expect(Signer.set(entry, good).map(\.name) == ["good"])
    }

    @Test(arguments: [
        "", "7", "[]", "{}", #"{"keys": 7}"#, #"{"keys": {}}"#, #"{"keys": []"#,
        #"{"keys": [], "keys": []}"#, #"{"keys": [[[[[[[[[]]]]]]]]]}"#,
    ])
    func whatIsNoSetIsNone(_ text: String) {
        #expect(unsafe TokenKey.set(text.utf8Span.span.bytes) == nil)
    }

    @Test func onlySoManyKeysOfASetAreLookedAt() {
        let entry = #"{"kty": "OKP", "crv": "Ed25519", "x": "\#(Self.ed)"}"#
        let all = [String](repeating: entry, count: TokenKey.mostKeys + 1)
        let text = Array(#"{"keys": [\#(all.joined(separator: ","))]}"#.utf8)
        #expect(unsafe TokenKey.set(text.span.bytes)?.count == TokenKey.mostKeys)
    }

    @Test(arguments: [
        ("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"),
    ])
    func base64IsReadForURLs(text: String, meant: String) throws {
        #expect(try decoded(text) == Array(meant.utf8))
    }

    @Test(arguments: [
        "Z", "Zg==", "Zg=", "Zh", "Zm9", "Zm+v", "Zm/v", "Zm 9", "Zm9v\n", "Zm9vY", "Zm9v.", "é",
    ])
    func whatIsNotCanonicalIsNoBase64(text: String) {
        #expect(unsafe Base64URL.decode(text.utf8Span.span.bytes) == nil)
    }
}
