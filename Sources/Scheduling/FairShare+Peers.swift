// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a class's gateways tell each other of its tenants, so that all of them serve the same one
/// next: each counts what it served itself, and adds what the others did.
extension FairShare {
    /// What a tenant was charged, in cost.
    struct Service {
        var tenant: TenantID
        /// Since the beginning.
        var served: Int
        /// The same when it was last quiet.
        var servedBefore: Int
        var waits: Bool
    }

    /// A tenant is told of in so many reports after its last charge: one may be missed.
    private static let quietAfter = 6

    /// It was charged here.
    mutating func note(_ tenant: TenantID, _ cost: Int) {
        if accounts[tenant.index].changed < reports - Self.quietAfter {
            accounts[tenant.index].servedBefore = accounts[tenant.index].served
        }
        accounts[tenant.index].served += cost
        accounts[tenant.index].changed = reports
    }

    /// Those who wait or were charged lately, `most` at most, those who wait first.
    func services(most: Int) -> [Service] {
        var services: [Service] = []
        for isWaiting in [true, false] {
            for place in accounts.indices where (accounts[place].seat >= 0) == isWaiting {
                guard services.count < most else { return services }
                let account = accounts[place]
                guard isWaiting || account.changed >= max(0, reports - Self.quietAfter) else {
                    continue
                }
                services.append(
                    Service(
                        tenant: TenantID(place), served: account.served,
                        servedBefore: account.servedBefore, waits: isWaiting))
            }
        }
        return services
    }

    /// What a charge adds to its counter.
    public func growth(of tenant: TenantID, by cost: Tokens) -> Int {
        let step = tenant.index < accounts.count ? accounts[tenant.index].step : Self.unit
        return cost.count * step
    }

    /// Another gateway has served it so much more.
    mutating func merge(_ tenant: TenantID, cost: Int) {
        know(tenant)
        add(tenant, cost: cost)
    }

    /// The counters come closer to those of another gateway, but for what all of them differ by:
    /// by one part in `parts` of what is left. Else what each has given on its own to tenants who
    /// began to wait, not all at the same time, would stay between them for ever.
    mutating func align(_ told: [(tenant: TenantID, counter: Int)], by parts: Int) {
        let known = told.filter { $0.tenant.index < accounts.count }
        guard known.count > 1 else { return }
        let offsets = known.map { $0.counter - accounts[$0.tenant.index].counter }
        let mean = offsets.reduce(0) { $0 + $1 / known.count }
        for (place, offset) in offsets.enumerated() {
            shift(known[place].tenant, by: (offset - mean) / parts)
        }
    }

    /// These wait at other gateways, and are lifted there no more than those who wait here.
    mutating func waits(elsewhere tenants: [TenantID]) {
        for tenant in elsewhere { accounts[tenant.index].isElsewhere = false }
        let before = elsewhere
        elsewhere = tenants.filter { before.contains($0) }
        for tenant in tenants {
            // It has just begun to: there it is lifted too.
            if !before.contains(tenant) { lift(tenant) }
            know(tenant)
            accounts[tenant.index].isElsewhere = true
        }
        elsewhere = tenants
    }
}
