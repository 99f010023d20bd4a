// SPDX-License-Identifier: Apache-2.0

import Policy

/// Issuers of tokens, and whom they may name. Whether their keys can be read is for those to say
/// who read them.
extension CrossCheck {
    private var issuers: [Section] {
        root.section("identity")?.section("jwt")?.sections("issuers") ?? []
    }

    /// Clients without a key of this tenant may come with a token.
    func mayComeByToken(_ tenant: String) -> Bool {
        issuers.contains { issuer in
            if let only = issuer.text("tenant") { return only == tenant }
            let named = issuer.sections("tenants")
            return named.isEmpty ? true : named.contains { $0.text("tenant") == tenant }
        }
    }

    mutating func checkIssuers() {
        var names: [String: Place] = [:]
        for issuer in issuers {
            if let name = issuer.text("issuer") {
                if let first = names[name] {
                    add(
                        "\(issuer.path("issuer")): stands already in line \(first.line)",
                        at: issuer.place("issuer"))
                } else {
                    names[name] = issuer.place("issuer")
                }
            }
            checkOwner(issuer)
            checkKeySet(issuer)
        }
    }

    private mutating func checkOwner(_ issuer: Section) {
        if let name = issuer.text("tenant") {
            resolve(name, tenants, path: issuer.path("tenant"), at: issuer.place("tenant"))
        }
        let isFixed = issuer["tenant"] != nil
        let isClaimed = issuer["tenant_claim"] != nil
        if isFixed == isClaimed, issuer.isRight("tenant"), issuer.isRight("tenant_claim") {
            add(
                "\(issuer.path("tenant")): either this or tenant_claim is required, and not both",
                at: issuer.place("tenant"))
        }
        if issuer["tenants"] != nil, !isClaimed, issuer.isRight("tenant_claim") {
            add("\(issuer.path("tenants")): needs tenant_claim", at: issuer.place("tenants"))
        }
        var values: Set<String> = []
        for entry in issuer.sections("tenants") {
            if let name = entry.text("tenant") {
                resolve(name, tenants, path: entry.path("tenant"), at: entry.place("tenant"))
            }
            guard let value = entry.text("value"), !values.insert(value).inserted else { continue }
            add("\(entry.path("value")): '\(value)' stands twice", at: entry.place("value"))
        }
    }

    private mutating func checkKeySet(_ issuer: Section) {
        guard issuer["ca"] != nil, let source = issuer.text("jwks"),
            !AddressParser.isURL(source)
        else { return }
        add("\(issuer.path("ca")): needs a jwks that is a URL", at: issuer.place("ca"))
    }
}
