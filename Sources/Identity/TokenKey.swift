// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import Wire

/// How a token may be signed: with a private key of its issuer, by three algorithms (RFC 7518
/// sections 3.3 and 3.4, RFC 8037 section 3.1).
///
/// What a token says of it decides nothing: a key has one algorithm, and `none` and those with a
/// shared secret do not exist here.
public enum TokenAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}

/// One public key of an issuer's set (RFC 7517).
@safe
public final class TokenKey: Sendable {
    /// `kid`: by it tokens name the key that they were signed with.
    public let name: String?
    public let algorithm: TokenAlgorithm
    /// As a number: pointers do not cross threads, and this one may. It is only read.
    private let number: UInt

    private init?(_ key: OpaquePointer?, _ algorithm: TokenAlgorithm, _ name: String?) {
        guard let key = unsafe key else { return nil }
        number = UInt(bitPattern: key)
        self.algorithm = algorithm
        self.name = name
    }

    deinit { unsafe EVP_PKEY_free(OpaquePointer(bitPattern: number)) }

    /// Keys of a set beyond this are not looked at.
    public static let mostKeys = 64

    /// The keys of a set that verify signatures by an algorithm that is known here; others are
    /// passed over, since sets hold keys for many uses. Nil for what is no set.
    public static func set(_ text: RawSpan) -> [TokenKey]? {
        guard let all = JSONTree(text)?["keys"]?.list else { return nil }
        return all.prefix(mostKeys).compactMap(key)
    }

    private static func key(_ entry: JSONTree) -> TokenKey? {
        if let use = entry["use"], use.text != "sig" { return nil }
        if let work = entry["key_ops"], work.texts?.contains("verify") != true { return nil }
        if let name = entry["kid"], name.text == nil { return nil }
        let name = entry["kid"]?.text
        let made: TokenKey?
        switch (entry["kty"]?.text, entry["crv"]?.text) {
        case ("RSA", nil): made = rsa(entry, name)
        case ("EC", "P-256"): made = curve(entry, name)
        case ("OKP", "Ed25519"): made = edwards(entry, name)
        default: made = nil
        }
        guard let made else { return nil }
        if let wanted = entry["alg"], wanted.text != made.algorithm.rawValue { return nil }
        return made
    }

    private static func bytes(_ entry: JSONTree, _ name: String) -> [UInt8]? {
        guard let text = entry[name]?.text else { return nil }
        return unsafe Base64URL.decode(text.utf8Span.span.bytes)
    }

    /// 2,048 to 8,192 bits: less is broken, and more a way to keep us busy. An exponent of one
    /// would sign everything.
    private static func rsa(_ entry: JSONTree, _ name: String?) -> TokenKey? {
        guard let modulus = bytes(entry, "n"), let exponent = bytes(entry, "e"),
            (256...1_024).contains(modulus.count), modulus[0] != 0,
            modulus.count > 256 || modulus[0] >= 0x80, modulus[modulus.count - 1] & 1 == 1,
            (1...8).contains(exponent.count), exponent[0] != 0, exponent != [1],
            exponent[exponent.count - 1] & 1 == 1
        else { return nil }
        return unsafe TokenKey(
            penstock_rsa_key(modulus, modulus.count, exponent, exponent.count), .rs256, name)
    }

    /// OpenSSL takes no point that is not on the curve.
    private static func curve(_ entry: JSONTree, _ name: String?) -> TokenKey? {
        guard let x = bytes(entry, "x"), let y = bytes(entry, "y"), x.count == 32, y.count == 32
        else { return nil }
        return unsafe TokenKey(penstock_p256_key([4] + x + y, 65), .es256, name)
    }

    private static func edwards(_ entry: JSONTree, _ name: String?) -> TokenKey? {
        guard let x = bytes(entry, "x"), x.count == 32 else { return nil }
        return unsafe TokenKey(
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, x, x.count), .edDSA, name)
    }

    /// Whether `signature` is this key's for `text`.
    public func signed(_ text: RawSpan, _ signature: [UInt8]) -> Bool {
        var signature = signature
        if algorithm == .es256 {
            guard let spelled = Self.spelled(signature) else { return false }
            signature = spelled
        }
        guard let context = unsafe EVP_MD_CTX_new() else { return false }
        defer {
            unsafe EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        // Ed25519 hashes by itself (RFC 8032 section 5.1).
        let digest = unsafe algorithm == .edDSA ? nil : EVP_sha256()
        let key = unsafe OpaquePointer(bitPattern: number)
        guard unsafe EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1 else {
            return false
        }
        return unsafe text.withUnsafeBytes { text in
            let start = unsafe text.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return unsafe EVP_DigestVerify(
                context, signature, signature.count, start, text.count) == 1
        }
    }

    /// Two numbers of 32 bytes (RFC 7518 section 3.4) as OpenSSL wants them: a DER sequence of two
    /// integers.
    private static func spelled(_ signature: [UInt8]) -> [UInt8]? {
        guard signature.count == 64 else { return nil }
        var inner: [UInt8] = []
        for half in [signature[..<32], signature[32...]] {
            var digits = Array(half.drop { $0 == 0 })
            if digits.isEmpty || digits[0] >= 0x80 { digits.insert(0, at: 0) }
            inner += [0x02, UInt8(digits.count)] + digits
        }
        return [0x30, UInt8(inner.count)] + inner
    }
}
