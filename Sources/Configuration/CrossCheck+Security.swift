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
