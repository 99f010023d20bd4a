// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// Issuers of tokens, where their keys are, and whom they may name.
@Suite struct IssuerTests {
    private let required = "issuer: 'https://i.example/', audiences: [a], algorithms: [ES256]"

    private func document(_ issuer: String) -> Document {
        Document().with(.top, "identity: {jwt: {issuers: [{\(issuer)}]}}")
    }

    @Test func withoutIssuersNobodysTokensAreBelieved() throws {
        let identity = try Document().load().policy.identity
        #expect(identity == IdentityPolicy())
        #expect(identity.issuers.isEmpty && identity.maxToken == .kibi(8))
    }

    @Test func anIssuersKeysAreInAFile() throws {
        let loaded = try document("\(required), jwks: keys.json, tenant: anonymous")
            .load(folder: "/etc/penstock/")
        let issuer = try #require(loaded.policy.identity.issuers.first)
        #expect(issuer.issuer == "https://i.example/" && issuer.audiences == ["a"])
        #expect(issuer.algorithms == [.es256] && issuer.leeway == .seconds(30))
        #expect(issuer.keys.source == .file("/etc/penstock/keys.json"))
        #expect(issuer.keys.place == "identity.jwt.issuers[0].jwks")
        #expect(issuer.tenant == .fixed(TenantID(0)) && issuer.classClaim == nil)
    }

    @Test(arguments: [
        (
            "https://login.example/keys?a=b", Address.name(host: "login.example", port: 443),
            "login.example", "/keys?a=b"
        ),
        (
            "HTTPS://Login.Example:8443/", .name(host: "login.example", port: 8443),
            "login.example:8443", "/"
        ),
        ("https://[::1]:8443/k", .ip(host: "::1", port: 8443), "[::1]:8443", "/k"),
        ("https://10.0.0.1/k", .ip(host: "10.0.0.1", port: 443), "10.0.0.1", "/k"),
    ])
    func anIssuersKeysAreAtAURL(
        url: String, address: Address, authority: String, target: String
    ) throws {
        let loaded = try document("\(required), jwks: '\(url)', ca: c.pem, tenant_claim: t")
            .load(folder: "/etc/")
        let keys = try #require(loaded.policy.identity.issuers.first?.keys)
        #expect(keys.source == .web(address, authority: authority, target: target))
        #expect(keys.authority == "/etc/c.pem" && keys.refresh == .seconds(600))
    }

    @Test func aClaimNamesTenants() throws {
        let any = try document("\(required), jwks: k, tenant_claim: /org/id, class_claim: c").load()
        #expect(any.policy.identity.issuers[0].tenant == .claim("/org/id", values: nil))
        #expect(any.policy.identity.issuers[0].classClaim == "c")
        let some = try document(
            "\(required), jwks: k, tenant_claim: t, tenants: [anonymous, "
                + "{value: 'o|7', tenant: anonymous}]"
        ).load()
        #expect(
            some.policy.identity.issuers[0].tenant
                == .claim("t", values: ["anonymous": TenantID(0), "o|7": TenantID(0)]))
    }

    /// Who may be named by a token needs no key.
    @Test(arguments: [
        ("jwks: k, tenant_claim: t", true), ("jwks: k, tenant_claim: t, tenants: [own]", true),
        ("jwks: k, tenant: own", true), ("jwks: k, tenant: anonymous", false),
        ("jwks: k, tenant_claim: t, tenants: [anonymous]", false),
    ])
    func aTenantMayComeByTokensAlone(issuer: String, isEnough: Bool) {
        let own = "- {id: own, classes: [c], models: [m]}"
        let text = document("\(required), \(issuer)").text
            .replacing("# tenant\n", with: "x\n")
            .replacing("    x\n", with: "  \(own)\n")
        #expect(Document(text: text).mistakes().isEmpty == isEnough)
    }

    @Test(arguments: [
        ("jwks: k", "issuers[0].tenant: either this or tenant_claim is required"),
        ("jwks: k, tenant: anonymous, tenant_claim: t", "either this or tenant_claim"),
        ("jwks: k, tenant: nobody", "issuers[0].tenant: there is no tenant 'nobody'"),
        ("jwks: k, tenant_claim: t, tenants: [nobody]", "tenants[0].tenant: there is no tenant"),
        ("jwks: k, tenant: anonymous, tenants: [anonymous]", "tenants: needs tenant_claim"),
        (
            "jwks: k, tenant_claim: t, tenants: [anonymous, anonymous]",
            "tenants[1].value: 'anonymous' stands twice"
        ),
        ("jwks: k, ca: c, tenant: anonymous", "issuers[0].ca: needs a jwks that is a URL"),
        ("tenant: anonymous", "issuers[0].jwks: is required"),
        ("jwks: 'http://i/k', tenant: anonymous", "keys have to come by https"),
        ("jwks: 'https://i', tenant: anonymous", "issuers[0].jwks: expected a file's path, or"),
        ("jwks: 'https://i/k#x', tenant: anonymous", "issuers[0].jwks: expected"),
        ("jwks: 'https://i:0/k', tenant: anonymous", "issuers[0].jwks: expected"),
        ("jwks: 'https://u:hunter2@i/k', tenant: anonymous", "without a user"),
        ("jwks: k, tenant: anonymous, leeway: 6m", "issuers[0].leeway: expected a duration"),
    ])
    func whatCannotBeIsAMistake(issuer: String, message: String) {
        let found = document("\(required), \(issuer)").mistakes()
        #expect(found.count == 1)
        #expect(found.first?.contains(message) == true, "\(found)")
        #expect(!found.joined().contains("hunter2"))
    }

    @Test(arguments: ["none", "HS256", "RS384", "PS256", "es256", "''"])
    func otherAlgorithmsAreMistakes(name: String) {
        let issuer = "issuer: i, audiences: [a], algorithms: [\(name)], jwks: k, tenant: anonymous"
        let found = document(issuer).mistakes()
        #expect(found.count == 1)
        #expect(found.first?.contains("algorithms[0]") == true, "\(found)")
    }

    @Test func anIssuerStandsOnce() {
        let one = "{\(required), jwks: k, tenant: anonymous}"
        let found = Document().with(.top, "identity: {jwt: {issuers: [\(one), \(one)]}}").mistakes()
        #expect(found.count == 1 && found[0].contains("issuers[1].issuer: stands already in line"))
    }
}
