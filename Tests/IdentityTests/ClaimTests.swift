// SPDX-License-Identifier: Apache-2.0

import Identity
import Testing
import Units
import Wire

/// What a token has to say to be believed, and what it may try.
@Suite struct ClaimTests {
    private let signer = Signer()
    private let rules = TokenRules(
        issuer: "https://issuer.example", audiences: ["penstock", "other"],
        algorithms: [.edDSA, .es256], leeway: .seconds(30))
    private let now = 1_000_000.0

    private func claims(
        _ changes: String = "", issuer: String = "https://issuer.example",
        audience: String = #""penstock""#, end: String = "1000100"
    ) -> String {
        #"{"iss": "\#(issuer)", "aud": \#(audience), "exp": \#(end)\#(changes)}"#
    }

    private func fault(
        _ token: String, _ keys: [TokenKey]? = nil, rules: TokenRules? = nil
    ) -> TokenFault? {
        do throws(TokenFault) {
            let token = try unsafe SignedToken(token.utf8Span.span.bytes)
            _ = try token.verify(rules ?? self.rules, keys ?? signer.keys, now: now)
            return nil
        } catch { return error }
    }

    @Test func aTokenIsBelievedUntilItsEndAndTheLeeway() throws {
        let text = signer.token(claims(#", "nbf": 999999.5, "tenant": "acme""#))
        #expect(unsafe SignedToken.looksLike(text.utf8Span.span.bytes))
        let token = try unsafe SignedToken(text.utf8Span.span.bytes)
        #expect(token.isFrom("https://issuer.example") && !token.isFrom("https://issuer.exampl"))
        #expect(try token.verify(rules, signer.keys, now: now) == 1_000_130)
        #expect(token.claim("tenant")?.text == "acme")
        #expect(token.claim("nothing") == nil)
    }

    @Test func claimsAreFoundByNamesAndPointers() throws {
        let extra = #", "https://x/y": "u", "a": {"b/c": {"d~": ["g1", "g2"]}}"#
        let text = signer.token(claims(extra))
        let token = try unsafe SignedToken(text.utf8Span.span.bytes)
        #expect(token.claim("https://x/y")?.text == "u")
        #expect(token.claim("/a/b~1c/d~0")?.texts == ["g1", "g2"])
        #expect(token.claim("/a/b~1c/e") == nil && token.claim("/a/b~1c/d~0/0") == nil)
        #expect(token.claim("/a")?.texts == nil)
    }

    @Test(arguments: [
        (#""https://issuer.example/""#, TokenFault.issuer), (#""HTTPS://issuer.example""#, .issuer),
        ("7", .issuer), ("null", .issuer), (#"["https://issuer.example"]"#, .issuer),
    ])
    func theIssuerIsTheOneThatWasSaid(issuer: String, found: TokenFault) {
        let text = #"{"iss": \#(issuer), "aud": "penstock", "exp": 1000100}"#
        #expect(fault(signer.token(text)) == found)
    }

    @Test(arguments: [
        (#""penstock""#, true), (#"["x", "other"]"#, true), (#""Penstock""#, false),
        (#""x""#, false), ("[]", false), ("null", false), (#"["penstock", 7]"#, false),
        ("{}", false),
    ])
    func theAudienceIsAmongThoseThatWereSaid(audience: String, isRight: Bool) {
        #expect(fault(signer.token(claims(audience: audience))) == (isRight ? nil : .audience))
    }

    @Test(arguments: [
        ("1000000", true), ("999971", true), ("999970", false), ("999970.5", true), ("0", false),
        ("-1", false), (#""1000100""#, false), ("null", false), ("1e400", false), ("1e15", true),
    ])
    func anEndIsNeededAndToCome(end: String, isRight: Bool) {
        #expect(fault(signer.token(claims(end: end))) == (isRight ? nil : .expired))
    }

    @Test(arguments: [
        ("1000030", true), ("1000031", false), (#""0""#, false), ("null", false), ("1e400", false),
    ])
    func aBeginningIsNotToCome(start: String, isRight: Bool) {
        let text = signer.token(claims(#", "nbf": \#(start)"#))
        #expect(fault(text) == (isRight ? nil : .notYetValid))
    }

    // MARK: attacks

    @Test(arguments: [
        #"{"alg": "none", "kid": "k1"}"#, #"{"alg": "None", "kid": "k1"}"#,
        #"{"alg": "HS256", "kid": "k1"}"#, #"{"alg": "RS256", "kid": "k1"}"#,
        #"{"alg": "ES256", "kid": "k1"}"#, #"{"alg": "eddsa", "kid": "k1"}"#,
        #"{"alg": "EdDSA ", "kid": "k1"}"#, #"{"alg": "PS256", "kid": "k1"}"#,
        #"{"alg": null, "kid": "k1"}"#, #"{"kid": "k1"}"#, "{}",
    ])
    func theAlgorithmIsTheKeys(header: String) {
        #expect(fault(signer.token(header, claims())) == .algorithm)
    }

    @Test func anAlgorithmThatWasNotSaidIsNotUsed() {
        var rules = rules
        rules.algorithms = [.es256]
        #expect(fault(signer.token(claims()), rules: rules) == .algorithm)
    }

    @Test func aTokenWithoutASignatureIsNone() {
        let whole = signer.token(claims())
        let open = whole.prefix(through: whole.lastIndex(of: ".") ?? whole.startIndex)
        #expect(fault(String(open)) == .signature)
        let parts = whole.split(separator: ".")
        let none = Signer.spelled(Array(#"{"alg": "none"}"#.utf8))
        #expect(fault("\(none).\(parts[1]).") == .algorithm)
    }

    @Test func aKeyThatATokenBringsIsNotItsIssuers() {
        let thief = Signer(2, name: "k1")
        let own =
            #"{"alg": "EdDSA", "kid": "k1", "jwk": \#(thief.entry), "#
            + #""jku": "https://thief.example/keys", "x5u": "https://thief.example"}"#
        #expect(fault(thief.token(own, claims())) == .signature)
        #expect(fault(thief.token(claims())) == .signature)
        // The same header, signed by whom it should be, says nothing wrong.
        #expect(fault(signer.token(own, claims())) == nil)
    }

    @Test(arguments: ["k2", "", "K1", "k1 ", "../k1", "k1' OR '1'='1"])
    func aNameOfAKeyIsOfOneThatIsThere(name: String) {
        let header = #"{"alg": "EdDSA", "kid": "\#(name)"}"#
        #expect(fault(signer.token(header, claims())) == .unknownKey)
    }

    @Test func withoutANameFourKeysAreTried() {
        let header = #"{"alg": "EdDSA"}"#
        let others = (2...5).map { Signer($0, name: "k\($0)").entry }
        let near = Signer.set(others[0], others[1], others[2], signer.entry)
        let far = Signer.set(others[0], others[1], others[2], others[3], signer.entry)
        #expect(fault(signer.token(header, claims()), near) == nil)
        #expect(fault(signer.token(header, claims()), far) == .signature)
        #expect(fault(signer.token(header, claims()), []) == .unknownKey)
        // Two keys may have one name, as while one takes the other's place.
        let same = Signer.set(Signer(2).entry, signer.entry)
        #expect(fault(signer.token(claims()), same) == nil)
    }

    @Test(arguments: [
        #"{"alg": "EdDSA", "kid": "k1", "crit": ["b64"], "b64": false}"#,
        #"{"alg": "EdDSA", "kid": "k1", "crit": []}"#,
        #"{"alg": "none", "alg": "EdDSA", "kid": "k1"}"#,
        #"{"alg": "EdDSA", "kid": "k2", "kid": "k1"}"#,
        #"{"alg": "EdDSA", "k\u0069d": "k1", "kid": "k1"}"#,
        #"{"alg": "EdDSA", "kid": 1}"#, #"["EdDSA"]"#, "EdDSA", "", #"{"alg": "EdDSA""#,
    ])
    func aHeaderIsReadInOneWayOrNotAtAll(header: String) {
        #expect(fault(signer.token(header, claims())) == .malformed)
    }

    @Test(arguments: [
        #"{"iss": "https://thief.example", "iss": "https://issuer.example", "exp": 1000100}"#,
        #"{"exp": 1, "exp": 1000100}"#, "[]", #""text""#, "7", "", "{}}", "{,}",
        #"{"a": [[[[[[[[1]]]]]]]]}"#,
    ])
    func claimsAreReadInOneWayOrNotAtAll(claims: String) {
        #expect(fault(signer.token(claims)) == .malformed)
    }

    @Test func atAnyCutATokenIsNone() {
        let whole = signer.token(claims())
        for count in 0..<whole.utf8.count {
            #expect(fault(String(whole.prefix(count))) != nil, "\(count)")
        }
        #expect(fault(whole) == nil)
        for ending in ["=", "==", " ", "\n", ".", "A", "%3D", "\u{0}"] {
            #expect(fault(whole + ending) != nil, "\(ending)")
        }
    }

    /// Every bit of a token counts: nothing of it can be changed.
    @Test func anyOtherBitIsAnotherToken() {
        let whole = Array(signer.token(claims()).utf8)
        for place in whole.indices {
            for bit in 0..<8 {
                var other = whole
                other[place] ^= 1 << UInt8(bit)
                let text = String(decoding: other, as: UTF8.self)
                #expect(fault(text) != nil, "\(place) \(bit)")
            }
        }
    }

    @Test(arguments: [
        ("sk-abcdef", false), ("eyJ.a", false), ("eyJ.a.b", true), ("ewo.a.b", true),
        ("eyJ.a.b.c", false), ("eyJ.a.b.c.d", false), ("ey..", false), ("ey...", false),
        ("ex.a.b", false), ("", false),
    ])
    func whatLooksLikeATokenIsNoKey(text: String, isToken: Bool) {
        #expect(unsafe SignedToken.looksLike(text.utf8Span.span.bytes) == isToken)
    }
}
