// SPDX-License-Identifier: Apache-2.0

import Policy

/// Certificates and keys, and whose they are. Whether files hold what they should is for those to
/// say who read them.
extension CrossCheck {
    /// One without the other is of no use.
    mutating func checkPair(_ tls: Section) {
        guard tls.isRight("certificate"), tls.isRight("key"),
            (tls["certificate"] == nil) != (tls["key"] == nil)
        else { return }
        let missing = tls["key"] == nil ? "key" : "certificate"
        add("\(tls.path(missing)): is required beside the other", at: tls.place)
    }

    /// Without `client_ca` nobody is asked.
    mutating func checkClients(_ tls: Section) {
        guard tls["client_ca"] == nil, tls.isRight("client_ca"),
            tls.text("client_certificate") == "optional"
        else { return }
        add(
            "\(tls.path("client_certificate")): needs client_ca",
            at: tls.place("client_certificate"))
    }

    /// A key is one tenant's, is called by one name, and is good for some time.
    mutating func checkKeys() {
        var keys: [KeyHash: (tenant: String, place: Place)] = [:]
        for tenant in root.sections("tenants") {
            let id = tenant.text("id") ?? ""
            var names: Set<String> = []
            for key in tenant.sections("keys") {
                checkTimes(of: key)
                if let name = key.text("id"), !names.insert(name).inserted {
                    add(
                        "\(key.path("id")): '\(name)' is already a key of this tenant",
                        at: key.place("id"))
                }
                guard let hash = key.keyHash("hash") else { continue }
                if let first = keys[hash] {
                    add(
                        "\(tenant.path("keys")): this key is already one of the tenant "
                            + "'\(first.tenant)', in line \(first.place.line)",
                        at: key.place("hash"))
                } else {
                    keys[hash] = (id, key.place("hash"))
                }
            }
        }
    }

    private mutating func checkTimes(of key: Section) {
        guard let first = key.time("not_before"), let end = key.time("expires"), end <= first
        else { return }
        add(
            "\(key.path("expires")): is not after not_before, so that the key is never good",
            at: key.place("expires"))
    }

    /// A name leads to one tenant, and clients can show it somewhere.
    mutating func checkCertificateNames() {
        var names: [String: (tenant: String, place: Place)] = [:]
        let asks = root.sections("listeners").contains { listener in
            listener.section("tls").map { $0["client_ca"] != nil || !$0.isRight("client_ca") }
                ?? !listener.isRight("tls")
        }
        for tenant in root.sections("tenants") {
            for item in tenant.texts("certificates") {
                let path = tenant.path("certificates")
                if let first = names[item.text] {
                    add(
                        "\(path): '\(item.text)' is already a name of the tenant "
                            + "'\(first.tenant)', in line \(first.place.line)", at: item.place)
                } else {
                    names[item.text] = (tenant.text("id") ?? "", item.place)
                    if !asks {
                        add("\(path): no listener has tls.client_ca", at: item.place)
                    }
                }
            }
        }
    }
}
