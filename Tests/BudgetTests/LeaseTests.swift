// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

@Suite("Leases and clocks")
struct LeaseTests {
    @Test("a place returns at settlement")
    func settlementReturnsThePlace() {
        var budget = Fixture([.concurrentRequests: 2])
        let (_, first) = budget.reserve(tokens(1), at: 0)
        #expect(budget.reserve(tokens(1), at: 0).0.isReserved)
        #expect(budget.reserve(tokens(1), at: 0).0.refusal?.kind == .concurrentRequests)
        budget.settle(first, .used(tokens(1)), at: 1)
        #expect(budget.reserve(tokens(1), at: 1).0.isReserved)
    }

    @Test("a place whose lease ran out returns, and its late settlement still counts once")
    func leaseEnds() {
        var budget = Fixture([.concurrentRequests: 1, .tokensPerDay: 1_000], lease: .seconds(10))
        let (_, id) = budget.reserve(tokens(500), at: 0)
        #expect(!budget.reserve(tokens(1), at: seconds(10) - 1).0.isReserved)
        #expect(budget.reserve(tokens(1), at: seconds(10)).0.isReserved)
        #expect(budget.settle(id, .used(tokens(100)), at: seconds(11)) == .done)
        #expect(budget.settle(id, .used(tokens(100)), at: seconds(11)) == .unknown)
        #expect(budget.used(.tokensPerDay, at: seconds(11)) == 101)
        #expect(budget.used(.concurrentRequests, at: seconds(11)) == 1)
    }

    @Test("a renewed lease runs from the renewal")
    func renewal() {
        var budget = Fixture([.concurrentRequests: 1], lease: .seconds(10))
        let (_, id) = budget.reserve(tokens(1), at: 0)
        #expect(renew(&budget, id, at: seconds(9)) == .done)
        #expect(!budget.reserve(tokens(1), at: seconds(18)).0.isReserved)
        #expect(budget.reserve(tokens(1), at: seconds(19)).0.isReserved)
        #expect(renew(&budget, id, at: seconds(20)) == .done)
        #expect(budget.used(.concurrentRequests, at: seconds(20)) == 2)
        budget.settle(id, .nothing, at: seconds(21))
        #expect(renew(&budget, id, at: seconds(22)) == .unknown)
        #expect(budget.used(.concurrentRequests, at: seconds(22)) == 1)
    }

    @Test("what nobody settles or renews returns when its lease ends, of every limit")
    func reservationsReturn() {
        let kinds: [LimitKind] = [.tokensPerDay, .costPerMonth, LimitKind(.requests, per: .hour)]
        var budget = Fixture([kinds[0]: 1_000, kinds[1]: 5, kinds[2]: 100], lease: .seconds(10))
        let (_, id) = budget.reserve(tokens(500, cost: 2), at: 0)
        for (kind, held) in zip(kinds, [500.0, 2, 1]) {
            #expect(budget.used(kind, at: seconds(10) - 1) <= held)
            #expect(budget.used(kind, at: seconds(10) - 1) > 0)
        }
        for kind in kinds { #expect(budget.used(kind, at: seconds(10)) == 0) }
        // Whoever was only slow still pays, once.
        for _ in 0..<2 { budget.settle(id, .used(tokens(300, cost: 1)), at: seconds(11)) }
        for (kind, used) in zip(kinds, [300.0, 1, 1]) {
            #expect(budget.used(kind, at: seconds(11)) == used)
        }
    }

    @Test("of many that lapsed at once some return with every call, and all in the end")
    func manyLapse() {
        var budget = Fixture([.tokensPerDay: 1_000, .concurrentRequests: 200], lease: .seconds(10))
        for _ in 0..<100 { _ = budget.reserve(tokens(10), at: 0) }
        #expect(budget.standing(at: seconds(10))[.tokensPerDay]?.used == 840)
        #expect(budget.standing(at: seconds(10))[.concurrentRequests]?.used == 0)
        for _ in 0..<5 { _ = budget.standing(at: seconds(10)) }
        #expect(budget.used(.tokensPerDay, at: seconds(10)) == 0)
    }

    @Test("what had lapsed is charged again when its gateway is back and renews it")
    func chargedAgain() {
        var budget = Fixture([.tokensPerDay: 1_000], lease: .seconds(10))
        let (_, id) = budget.reserve(tokens(800), at: 0)
        #expect(budget.reserve(tokens(700), at: seconds(10)).0.isReserved)
        #expect(renew(&budget, id, at: seconds(12)) == .done)
        #expect(budget.used(.tokensPerDay, at: seconds(12)) == 1_500)
        budget.settle(id, .used(tokens(100)), at: seconds(13))
        #expect(budget.used(.tokensPerDay, at: seconds(13)) == 800)
    }

    @Test("a reservation that lapsed longer ago than a day is forgotten")
    func forgotten() {
        var budget = Fixture([.tokensPerMinute: 1_000], lease: .seconds(10))
        let (_, id) = budget.reserve(tokens(500), at: 0)
        let end = seconds(10) + Budgets.kept.nanoseconds / 1_000
        #expect(budget.settle(id, .used(tokens(100)), at: end) == .unknown)
        #expect(budget.used(.tokensPerMinute, at: end) == 0)
        _ = budget.standing(at: end + seconds(3_600))
        #expect(budget.budgets.openCount == 0)
    }

    @Test("a full table makes room by forgetting what lapsed too long ago, of any tenant")
    func fullTableForgets() {
        var budget = Fixture([:], lease: .seconds(10), maxReservations: 1)
        let idle = BudgetOrder(
            id: budget.naming.next(), limits: LimitSet(), demand: tokens(1))
        #expect(budget.budgets.reserve(idle, wall: Fixture.wall(0)).isReserved)
        #expect(budget.reserve(tokens(1), at: seconds(90_009)).0 == .full)
        #expect(budget.reserve(tokens(1), at: seconds(90_010)).0.isReserved)
    }

    @Test("the wait for a place is the service time over the open requests, or a second")
    func concurrencyWait() {
        var budget = Fixture([.concurrentRequests: 4])
        for _ in 0..<4 { _ = budget.reserve(tokens(1), at: 0) }
        #expect(budget.reserve(tokens(1), at: 0).0.refusal?.wait == .seconds(1))
        #expect(
            budget.reserve(tokens(1), at: 0, serviceTime: .seconds(10)).0.refusal?.wait
                == .milliseconds(2_500))
    }

    @Test("while the clock is a little behind nothing drains, and the wait says so")
    func clockBehind() {
        var budget = Fixture([.tokensPerMinute: 600])
        _ = budget.reserve(tokens(600), at: seconds(100))
        #expect(budget.used(.tokensPerMinute, at: seconds(50)) == 600)
        let refusal = budget.reserve(tokens(10), at: seconds(50)).0.refusal
        #expect(refusal?.wait == .seconds(51))
        #expect(!budget.reserve(tokens(10), at: seconds(101) - 1).0.isReserved)
        #expect(budget.reserve(tokens(10), at: seconds(101)).0.isReserved)
        #expect(budget.standing(at: seconds(100))[.tokensPerMinute]?.reset == .seconds(61))
    }

    @Test("a clock that was set back far is followed, with what was used")
    func clockSetBack() {
        var budget = Fixture([.tokensPerMinute: 600, .tokensPerDay: 1_000, .costPerMonth: 2])
        let future = seconds(40 * 86_400)
        _ = budget.reserve(tokens(600, cost: 1), at: future)
        #expect(budget.used(.tokensPerMinute, at: 0) == 600)
        #expect(budget.used(.tokensPerDay, at: 0) == 600)
        #expect(budget.used(.costPerMonth, at: 0) == 1)
        #expect(budget.reserve(tokens(60), at: 0).0.refusal?.wait == .seconds(6))
        #expect(budget.standing(at: 0)[.tokensPerDay]?.reset == .seconds(86_400))
    }

    @Test(
        "days and months are the calendar's",
        arguments: [
            // Time, end of its day, end of its month; seconds since 1970.
            (0, 86_400, 2_678_400),
            (951_782_400, 951_868_800, 951_868_800),  // 2000-02-29
            (1_709_164_800, 1_709_251_200, 1_709_251_200),  // 2024-02-29
            (1_735_689_599, 1_735_689_600, 1_735_689_600),  // 2024-12-31T23:59:59
            (1_735_689_600, 1_735_776_000, 1_738_368_000),  // 2025-01-01
            (4_107_456_000, 4_107_542_400, 4_107_542_400),  // 2100-02-28, no leap year
        ])
    func calendar(time: Int64, dayEnd: Int64, monthEnd: Int64) {
        var budgets = Budgets(lease: .seconds(60), maxReservations: 1)
        let snapshot = budgets.standing(
            of: Fixture.set([.tokensPerDay: 1, .costPerMonth: 1]),
            wall: WallTime(nanoseconds: time * 1_000_000_000))
        #expect(snapshot[.tokensPerDay]?.reset == .seconds(Int(dayEnd - time)))
        #expect(snapshot[.costPerMonth]?.reset == .seconds(Int(monthEnd - time)))
    }

    private func renew(
        _ budget: inout Fixture, _ id: ReservationID, at microseconds: Int64
    ) -> SettlementOutcome {
        budget.budgets.renew(
            id, limits: budget.limits, wall: Fixture.wall(microseconds))
    }
}
