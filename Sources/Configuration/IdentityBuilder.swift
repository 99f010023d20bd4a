// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension IdentityPolicy {
    /// From a section without mistakes; `tenant` knows all that are named.
    init(_ section: Section, in folder: String, tenant: (String) -> TenantID) {
        self.init()
        maxToken = checked(section.size("max_token"))
        maxCached = checked(section.integer("max_cached"))
        issuers = section.sections("issuers").map {
            IssuerPolicy($0, in: folder, tenant: tenant)
        }
    }
}

extension IssuerPolicy {
    fileprivate init(_ section: Section, in folder: String, tenant: (String) -> TenantID) {
        let owner: TokenTenant
        if let name = section.text("tenant") {
            owner = .fixed(tenant(name))
        } else {
            var values: [String: TenantID] = [:]
            for entry in section.sections("tenants") {
                values[checked(entry.text("value"))] = tenant(checked(entry.text("tenant")))
            }
            owner = .claim(
                checked(section.text("tenant_claim")), values: values.isEmpty ? nil : values)
        }
        self.init(
            issuer: checked(section.text("issuer")), keys: KeySetPolicy(section, in: folder),
            audiences: section.texts("audiences").map(\.text),
            algorithms: Set(
                section.texts("algorithms").map {
                    checked(SignatureAlgorithm(rawValue: $0.text))
                }),
            leeway: checked(section.duration("leeway")), tenant: owner,
            classClaim: section.text("class_claim"))
    }
}

extension KeySetPolicy {
    fileprivate init(_ section: Section, in folder: String) {
        let text: String = checked(section.text("jwks"))
        let source: Source
        if let url = try? AddressParser.keySet(text) {
            source = .web(url.address, authority: url.authority, target: url.target)
        } else {
            source = .file(FileReader.resolve(text, in: folder))
        }
        self.init(
            source: source,
            authority: section.text("ca").map { FileReader.resolve($0, in: folder) },
            refresh: checked(section.duration("refresh")),
            timeout: checked(section.duration("timeout")), place: section.path("jwks"))
    }
}
