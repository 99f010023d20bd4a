// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing

/// TLS at listeners and with engines, and whose certificates are.
@Suite struct SecurityTests {
    private let pair = "certificate: s.pem, key: /k/s.key"

    @Test func aListenerMaySpeakTLS() throws {
        let more = "more: [{certificate: o.pem, key: o.key}]"
        let loaded = try Document()
            .with(.listener, "tls: {\(pair), \(more), client_ca: c.pem}")
            .load(folder: "/etc/")
        let tls = try #require(loaded.fixed.listeners[0].tls)
        #expect(
            tls.certificates == [
                CertificatePolicy(
                    certificate: "/etc/s.pem", key: "/k/s.key", place: "listeners[0].tls"),
                CertificatePolicy(
                    certificate: "/etc/o.pem", key: "/etc/o.key",
                    place: "listeners[0].tls.more[0]"),
            ])
        #expect(tls.clientAuthority == "/etc/c.pem" && tls.isClientRequired && !tls.isModernOnly)
        #expect(loaded.fixed.listeners[0].protocols == [.http1, .http2])
        let plain = try Document().load().fixed.listeners[0]
        #expect(plain.tls == nil && plain.protocols == [.http1])
    }

    @Test func theVersionAndTheAskingCanBeChosen() throws {
        let asked = "client_ca: c.pem, client_certificate: optional, min_version: '1.3'"
        let tls = try #require(
            try Document().with(.listener, "tls: {\(pair), \(asked)}").load()
                .fixed.listeners[0].tls)
        #expect(!tls.isClientRequired && tls.isModernOnly)
    }

    @Test func aPoolTrustsWhomItSays() throws {
        let text = "tls: {ca: c.pem, server_name: n, certificate: o.pem, key: o.key}"
        let tls = try #require(
            try Document().with(.pool, text).load(folder: "/etc/").policy.pools[0].tls)
        #expect(tls.authority == "/etc/c.pem" && tls.serverName == "n")
        #expect(tls.identity?.key == "/etc/o.key" && tls.place == "pools[0].tls")
    }

    @Test func certificatesLeadToTenants() throws {
        let policy = try Document()
            .with(.listener, "tls: {\(pair), client_ca: c.pem}")
            .with(.tenant, "certificates: [A.Example, 'spiffe://X/y']").load().policy
        #expect(policy.tenants[0].certificateNames == ["a.example", "spiffe://X/y"])
        for (name, isKnown) in [
            ("a.example", true), ("spiffe://X/y", true), ("spiffe://x/y", false), ("b", false),
        ] {
            let found = unsafe policy.tenant(certificate: name.utf8Span.span.bytes)
            #expect((found == policy.tenants[0].id) == isKnown)
        }
    }

    @Test(arguments: [
        ("listener", "tls: {certificate: s.pem}", "listeners[0].tls.key: is required"),
        (
            "listener", "tls: {certificate: s, key: k, client_certificate: optional}",
            "listeners[0].tls.client_certificate: needs client_ca"
        ),
        ("pool", "tls: {key: k}", "pools[0].tls.certificate: is required beside the other"),
        ("tenant", "certificates: [a]", "tenants[0].certificates: no listener has"),
    ])
    func whatCannotBeIsAMistake(spot: String, line: String, message: String) throws {
        let spot = try #require(Document.Spot(rawValue: spot))
        let found = Document().with(spot, line).mistakes()
        #expect(found.count == 1)
        #expect(found.first?.contains(message) == true, "\(found)")
    }

    @Test func aNameIsOneTenants() {
        let other = "  - {id: o, certificates: [a.example], classes: [c], models: [m]}"
        let found = Document()
            .with(.listener, "tls: {\(pair), client_ca: c.pem}")
            .with(.tenant, "certificates: [a.example]\n\(other)").mistakes()
        #expect(found.count == 1)
        #expect(found.first?.contains("already a name of the tenant 'anonymous'") == true)
    }

    @Test func aFilesMistakeHasThePlaceOfItsKey() throws {
        let loaded = try Document().with(.listener, "tls: {\(pair)}").load()
        #expect(
            loaded.mistake("listeners[0].tls.key", "bad").description.hasPrefix(
                "test.yaml:4:"))
        #expect(loaded.mistake("listeners[0].tls.key", "x").column == 36)
        #expect(loaded.mistake("nowhere[3].x", "x").line == 1)
    }
}
