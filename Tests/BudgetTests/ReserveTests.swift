// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

@Suite("Reserving")
struct ReserveTests {
    @Test("a new tenant may use a whole minute's limit at once, and no token more")
    func startsFull() {
        var budget = Fixture([.tokensPerMinute: 1_000])
        #expect(budget.reserve(tokens(600, 400), at: 0).0.isReserved)
        #expect(budget.reserve(tokens(1), at: 0).0.refusal?.kind == .tokensPerMinute)
    }

    @Test("a minute's limit comes back evenly over the minute")
    func refills() {
        var budget = Fixture([.tokensPerMinute: 600])
        #expect(budget.reserve(tokens(600), at: 0).0.isReserved)
        #expect(!budget.reserve(tokens(11), at: seconds(1)).0.isReserved)
        #expect(budget.reserve(tokens(10), at: seconds(1)).0.isReserved)
        #expect(budget.used(.tokensPerMinute, at: seconds(31)) == 300)
        #expect(budget.used(.tokensPerMinute, at: seconds(500)) == 0)
    }

    @Test("each kind counts its own part of the request")
    func kinds() {
        var budget = Fixture([
            .tokensPerMinute: 1_000, .inputTokensPerMinute: 1_000, .outputTokensPerMinute: 1_000,
            .requestsPerMinute: 10, .concurrentRequests: 10, .tokensPerDay: 1_000,
            .costPerMonth: 5,
        ])
        let (outcome, _) = budget.reserve(tokens(300, 200, cost: 1.25), at: 0)
        guard case .reserved(let snapshot) = outcome else {
            Issue.record("not reserved: \(outcome)")
            return
        }
        let used = usualKinds.map { snapshot[$0]?.used }
        #expect(used == [500, 300, 200, 1, 1, 500, 1.25])
        let remaining = usualKinds.map { snapshot[$0]?.remaining }
        #expect(remaining == [500, 700, 800, 9, 9, 500, 3.75])
    }

    @Test("a tenant without limits is always admitted, and has no standings")
    func unlimited() {
        var budget = Fixture([:])
        for _ in 0..<100 {
            guard case .reserved(let snapshot) = budget.reserve(tokens(1_000_000), at: 0).0 else {
                Issue.record("refused")
                return
            }
            #expect(LimitKind.allCases.allSatisfy { snapshot[$0] == nil })
        }
    }

    @Test("when one limit refuses, no limit is charged", arguments: usualKinds)
    func allOrNothing(refusing: LimitKind) {
        var rates: [LimitKind: Double] = [:]
        for kind in usualKinds { rates[kind] = kind == refusing ? 1 : 1_000 }
        var budget = Fixture(rates)
        #expect(budget.reserve(tokens(1, 0, cost: 0), at: 0).0.isReserved == true)
        // A second request of the same shape is over exactly the refusing limit.
        let demand =
            switch refusing {
            case .outputTokensPerMinute: tokens(0, 1, cost: 0)
            case .costPerMonth: tokens(0, 0, cost: 1)
            default: tokens(1, 0, cost: 0)
            }
        _ = budget.reserve(demand, at: 0)
        let before = budget.standing(at: 0)
        #expect(budget.reserve(demand, at: 0).0.refusal?.kind == refusing)
        #expect(budget.standing(at: 0) == before)
    }

    @Test("a request larger than a limit is told so, even when another limit is used up")
    func neverFits() {
        var budget = Fixture([.requestsPerMinute: 1, .outputTokensPerMinute: 100])
        #expect(budget.reserve(tokens(1, 1), at: 0).0.isReserved)
        let excess = budget.reserve(tokens(1, 101), at: 0).0.excess
        #expect(excess?.kind == .outputTokensPerMinute)
        #expect(excess?.limit == 100 && excess?.requested == 101)
    }

    @Test("of several limits that refuse the one with the longest wait is named")
    func longestWait() {
        var budget = Fixture([.tokensPerMinute: 600, .requestsPerMinute: 1, .tokensPerDay: 600])
        #expect(budget.reserve(tokens(600), at: 0).0.isReserved)
        let refusal = budget.reserve(tokens(60), at: 0).0.refusal
        #expect(refusal?.kind == .tokensPerDay)
        #expect(refusal?.wait == .seconds(86_400))
        #expect(refusal?.used == 600)
        #expect(refusal?.limit == 600)
        #expect(refusal?.requested == 60)
    }

    @Test("the same name again charges nothing more")
    func idempotent() {
        var budget = Fixture([.tokensPerMinute: 1_000, .concurrentRequests: 1])
        let (_, id) = budget.reserve(tokens(900), at: 0)
        #expect(budget.reserve(id, tokens(900), at: 0).isReserved)
        #expect(budget.used(.tokensPerMinute, at: 0) == 900)
        #expect(budget.used(.concurrentRequests, at: 0) == 1)
    }

    @Test("tenants do not share limits")
    func tenantsApart() {
        var budget = Fixture([.tokensPerMinute: 100])
        #expect(budget.reserve(tokens(100), at: 0).0.isReserved)
        let other = BudgetOrder(
            id: budget.naming.next(),
            limits: Fixture.set([.tokensPerMinute: 100], of: 3, named: "other"),
            demand: tokens(100))
        #expect(budget.budgets.reserve(other, wall: Fixture.wall(0)).isReserved)
    }

    @Test("a lower limit keeps what was used, and so does a higher one")
    func changedLimits() {
        var budget = Fixture([.tokensPerMinute: 1_000, .tokensPerDay: 1_000])
        #expect(budget.reserve(tokens(800), at: 0).0.isReserved)
        budget.limits = Fixture.set([.tokensPerMinute: 500, .tokensPerDay: 500])
        #expect(budget.standing(at: 0)[.tokensPerMinute]?.remaining == 0)
        #expect(budget.used(.tokensPerMinute, at: 0) == 800)
        budget.limits = Fixture.set([.tokensPerMinute: 2_000, .tokensPerDay: 2_000])
        #expect(budget.standing(at: 0)[.tokensPerDay]?.remaining == 1_200)
        #expect(budget.reserve(tokens(1_200), at: 0).0.isReserved)
    }

    @Test("sizes and costs that make no sense count as nothing or as very much, and never trap")
    func absurdDemands() {
        var budget = Fixture([.tokensPerDay: 1_000, .costPerMonth: 10])
        #expect(budget.reserve(tokens(-5, -5, cost: -.infinity), at: 0).0.isReserved)
        #expect(budget.reserve(tokens(0, 0, cost: .nan), at: 0).0.isReserved)
        #expect(budget.used(.tokensPerDay, at: 0) == 0)
        #expect(budget.used(.costPerMonth, at: 0) == 0)
        let excess = budget.reserve(tokens(.max, .max), at: 0).0.excess
        #expect(excess?.kind == .tokensPerDay && excess?.requested == 2e12)
        let (_, id) = budget.reserve(tokens(1, 1, cost: 1), at: 0)
        budget.settle(id, .used(tokens(.max, .max, cost: .infinity)), at: 1)
        #expect(budget.used(.tokensPerDay, at: 1) == 2e12)
        #expect(budget.standing(at: 1)[.tokensPerDay]?.remaining == 0)
    }

    @Test("when the table of reservations is full, requests are told so until one settles")
    func full() {
        var budget = Fixture([:], maxReservations: 2)
        let (_, id) = budget.reserve(tokens(1), at: 0)
        #expect(budget.reserve(tokens(1), at: 0).0.isReserved)
        #expect(budget.reserve(tokens(1), at: 0).0 == .full)
        budget.settle(id, .nothing, at: 0)
        #expect(budget.reserve(tokens(1), at: 0).0.isReserved)
    }
}
