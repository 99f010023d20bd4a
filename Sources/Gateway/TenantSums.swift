// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Telemetry
import Units

/// What the requests of one tenant came to, of all classes and models.
struct TenantSums {
    /// By `Outcome.index`.
    private(set) var outcomes = [UInt64](repeating: 0, count: Outcome.allCases.count)
    /// By the reason's number.
    private(set) var refusals = [UInt64](repeating: 0, count: RefusalReason.allCases.count)
    private(set) var input: UInt64 = 0
    private(set) var output: UInt64 = 0
    private(set) var cost = 0.0

    init() {}

    /// By the tenants' places; those that are counted under no name of their own are in none.
    static func byTenant(_ totals: RequestTotals, tenants: Int) -> [TenantSums] {
        var sums = [TenantSums](repeating: TenantSums(), count: tenants)
        for (place, labels) in totals.labels.enumerated() where labels.tenant.index < tenants {
            sums[labels.tenant.index].add(totals.counters[place])
        }
        return sums
    }

    private mutating func add(_ counters: RequestCounters) {
        for outcome in outcomes.indices { outcomes[outcome] += counters.outcomes[outcome] }
        for reason in refusals.indices { refusals[reason] += counters.refusals[reason] }
        input += counters.input
        output += counters.output
        cost += counters.cost
    }
}
