// SPDX-License-Identifier: Apache-2.0

import Policy

/// Limits, and who shares them.
extension CrossCheck {
    mutating func checkOrganisations() {
        checkUnique(organisations)
        for organisation in root.sections("organisations") {
            checkLimits(organisation.section("limits"))
            checkUnique(Self.teams(of: organisation))
            for team in organisation.sections("teams") { checkLimits(team.section("limits")) }
        }
    }

    static func teams(of organisation: Section) -> Directory {
        Directory(organisation, "teams", named: "id", as: .team)
    }

    /// Everything of a tenant that concerns limits.
    mutating func checkBudgets(_ tenant: Section) {
        checkLimits(tenant.section("limits"))
        checkGroup(tenant)
        checkModelLimits(tenant)
        checkKeyLimits(tenant)
        checkPrices(tenant)
    }

    /// Burst sizes that would change nothing are mistakes.
    private mutating func checkLimits(_ limits: Section?) {
        guard let limits else { return }
        var seen: Set<String> = []
        for item in limits.texts("calendar") where !seen.insert(item.text).inserted {
            add("\(limits.path("calendar")): '\(item.text)' stands twice", at: item.place)
        }
        guard limits.isRight("calendar"), let burst = limits.section("burst") else { return }
        for quantity in LimitQuantity.allCases {
            guard let size = limits.burst(of: quantity) else { continue }
            let path = burst.path(quantity.word)
            let sliding = limits.limits.first {
                $0.kind.quantity == quantity && !$0.isCalendar
            }
            if let sliding, size > sliding.amount {
                add(
                    "\(path): \(size.plain) is above \(sliding.kind.rawValue), which is "
                        + sliding.amount.plain, at: burst.place(quantity.word))
            } else if sliding == nil,
                LimitKind.allCases.allSatisfy({
                    $0.quantity != quantity || limits.isRight($0.rawValue)
                })
            {
                add(
                    "\(path): there is no limit of this quantity with a sliding window beside it",
                    at: burst.place(quantity.word))
            }
        }
    }

    private mutating func checkGroup(_ tenant: Section) {
        var organisation: Section?
        if let name = tenant.text("organisation") {
            organisation = resolve(
                name, organisations, path: tenant.path("organisation"),
                at: tenant.place("organisation"))
        } else if let team = tenant.text("team"), tenant.isRight("organisation") {
            add(
                "\(tenant.path("team")): '\(team)' is a team of an organisation; name that in "
                    + "'organisation' too", at: tenant.place("team"))
        }
        if let organisation, let name = tenant.text("team") {
            resolve(
                name, Self.teams(of: organisation), path: tenant.path("team"),
                at: tenant.place("team"))
        }
    }

    private mutating func checkModelLimits(_ tenant: Section) {
        let own = tenant.texts("models").map(\.text)
        var seen: Set<String> = []
        for limits in tenant.sections("model_limits") {
            checkLimits(limits)
            guard let name = limits.text("model") else { continue }
            let path = limits.path("model")
            if !seen.insert(name).inserted {
                add("\(path): '\(name)' stands twice", at: limits.place("model"))
            } else if !own.contains(name), tenant.isRight("models") {
                let hint = Nearest.hint(to: name, among: own)
                add(
                    "\(path): '\(name)' is not among the tenant's models\(hint)",
                    at: limits.place("model"))
            }
        }
    }

    private mutating func checkKeyLimits(_ tenant: Section) {
        let own = tenant.sections("keys").compactMap { $0["hash"]?.value }
        var seen: [Value?] = []
        for limits in tenant.sections("key_limits") {
            checkLimits(limits)
            let key = limits["key"]?.value
            let path = limits.path("key")
            if limits.isRight("key"), seen.contains(key) {
                add(
                    key == nil
                        ? "\(path): two entries are for all other keys"
                        : "\(path): this key stands twice", at: limits.place("key"))
            } else if let key, !own.contains(key), tenant.isRight("keys") {
                add("\(path): is none of the tenant's keys", at: limits.place("key"))
            }
            seen.append(key)
        }
    }

    /// A limit in money holds only where every model has a price, in one currency.
    private mutating func checkPrices(_ tenant: Section) {
        for limits in Self.everyLimits(of: tenant, organisations) {
            let kinds = LimitKind.allCases.filter {
                $0.quantity == .cost && limits[$0.rawValue] != nil
            }
            guard let kind = kinds.first else { continue }
            checkPrices(tenant, limits, kind.rawValue)
        }
    }

    private static func everyLimits(
        of tenant: Section, _ organisations: Directory
    ) -> [Section] {
        let organisation = tenant.text("organisation").flatMap { organisations[$0] }
        let team = organisation.flatMap { organisation in
            tenant.text("team").flatMap { teams(of: organisation)[$0] }
        }
        return [organisation?.section("limits"), team?.section("limits"), tenant.section("limits")]
            .compactMap { $0 } + tenant.sections("model_limits") + tenant.sections("key_limits")
    }

    private mutating func checkPrices(_ tenant: Section, _ limits: Section, _ key: String) {
        // Limits of a group are looked at for each of its tenants, which is then named.
        let isOwn = limits.path.hasPrefix(tenant.path)
        let whose = isOwn ? "" : " (of the tenant '\(tenant.text("id") ?? "")')"
        var currencies: [String] = []
        for item in tenant.texts("models") {
            guard let model = models[item.text], let name = model.text("name") else { continue }
            if let currency = model.section("price")?.text("currency") {
                if !currencies.contains(currency) { currencies.append(currency) }
            } else if model["price"] == nil, model.isRight("price") {
                add(
                    "\(limits.path(key)): the model '\(name)' has no price\(whose)",
                    at: limits.place(key))
            }
        }
        if currencies.count > 1 {
            add(
                "\(limits.path(key)): the models' prices are in "
                    + "\(currencies.joined(separator: " and "))\(whose)", at: limits.place(key))
        }
    }
}
