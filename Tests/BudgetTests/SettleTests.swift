// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

@Suite("Settling")
struct SettleTests {
    @Test("what was not used comes back")
    func refund() {
        var budget = Fixture([.tokensPerMinute: 1_000, .costPerMonth: 10])
        let (_, id) = budget.reserve(tokens(500, 400, cost: 2), at: 0)
        #expect(budget.settle(id, .used(tokens(500, 100, cost: 0.5)), at: 0) == .done)
        #expect(budget.used(.tokensPerMinute, at: 0) == 600)
        #expect(budget.used(.costPerMonth, at: 0) == 0.5)
    }

    @Test("what was used beyond the reservation becomes a debt that drains like the rest")
    func debt() {
        var budget = Fixture([.tokensPerMinute: 600])
        let (_, id) = budget.reserve(tokens(600), at: 0)
        budget.settle(id, .used(tokens(600, 1_200)), at: 0)
        #expect(budget.used(.tokensPerMinute, at: 0) == 1_800)
        #expect(budget.standing(at: 0)[.tokensPerMinute]?.remaining == 0)
        #expect(budget.reserve(tokens(1), at: seconds(119)).0.refusal?.wait == .milliseconds(1_100))
        #expect(budget.reserve(tokens(1), at: seconds(120.1)).0.isReserved)
    }

    @Test("settling twice does nothing the second time")
    func twice() {
        var budget = Fixture([.tokensPerMinute: 1_000])
        let (_, id) = budget.reserve(tokens(500), at: 0)
        #expect(budget.settle(id, .used(tokens(100)), at: 0) == .done)
        #expect(budget.settle(id, .used(tokens(100)), at: 0) == .unknown)
        #expect(budget.used(.tokensPerMinute, at: 0) == 100)
        #expect(budget.budgets.openCount == 0)
    }

    @Test("another tenant cannot settle a reservation")
    func foreign() {
        var budget = Fixture([.tokensPerMinute: 1_000])
        let (_, id) = budget.reserve(tokens(500), at: 0)
        let outcome = budget.budgets.settle(
            id, use: .nothing, limits: Fixture.set([.tokensPerMinute: 1], of: 1, named: "other"),
            wall: Fixture.wall(0))
        #expect(outcome == .unknown)
        #expect(budget.used(.tokensPerMinute, at: 0) == 500)
    }

    @Test("a request that was never made gives back its place among the requests, a made one not")
    func requestCount() {
        var budget = Fixture([.requestsPerMinute: 10])
        let (_, made) = budget.reserve(tokens(1), at: 0)
        let (_, unmade) = budget.reserve(tokens(1), at: 0)
        budget.settle(made, .used(.nothing), at: 0)
        #expect(budget.used(.requestsPerMinute, at: 0) == 2)
        budget.settle(unmade, .nothing, at: 0)
        #expect(budget.used(.requestsPerMinute, at: 0) == 1)
    }

    @Test("a charge that has drained already is not given back a second time")
    func noDoubleRefund() {
        var budget = Fixture([.tokensPerMinute: 600])
        let (_, old) = budget.reserve(tokens(600), at: 0)
        let (_, new) = budget.reserve(tokens(600), at: seconds(60))
        budget.settle(old, .nothing, at: seconds(60))
        #expect(budget.used(.tokensPerMinute, at: seconds(60)) == 600)
        budget.settle(new, .nothing, at: seconds(60))
        #expect(budget.used(.tokensPerMinute, at: seconds(60)) == 0)
    }

    @Test("of a charge that has drained in part only the rest is given back")
    func partRefund() {
        var budget = Fixture([.tokensPerMinute: 600])
        let (_, id) = budget.reserve(tokens(600), at: 0)
        budget.settle(id, .nothing, at: seconds(20))
        #expect(budget.used(.tokensPerMinute, at: seconds(20)) == 0)
        #expect(budget.reserve(tokens(600), at: seconds(20)).0.isReserved)
        #expect(!budget.reserve(tokens(1), at: seconds(20)).0.isReserved)
    }

    @Test("a day's tokens return at midnight UTC, a month's cost at the first of the month")
    func calendar() {
        var budget = Fixture([.tokensPerDay: 100, .costPerMonth: 1])
        #expect(budget.reserve(tokens(100, cost: 1), at: seconds(3_600)).0.isReserved)
        let refusal = budget.reserve(tokens(1, cost: 0.5), at: seconds(7_200)).0.refusal
        #expect(refusal?.kind == .costPerMonth)
        #expect(refusal?.wait == .seconds(31 * 86_400 - 7_200))
        #expect(
            budget.reserve(tokens(1), at: seconds(7_200)).0.refusal?.wait
                == .seconds(86_400 - 7_200))
        #expect(!budget.reserve(tokens(1), at: seconds(86_400) - 1).0.isReserved)
        #expect(budget.reserve(tokens(100), at: seconds(86_400)).0.isReserved)
        #expect(!budget.reserve(tokens(0, cost: 0.1), at: seconds(31 * 86_400) - 1).0.isReserved)
        #expect(budget.reserve(tokens(0, cost: 1), at: seconds(31 * 86_400)).0.isReserved)
    }

    @Test("a settlement after midnight counts in the day the reservation was made in")
    func afterTheBoundary() {
        var budget = Fixture([.tokensPerDay: 1_000, .costPerMonth: 10])
        let boundary = seconds(31 * 86_400)
        let (_, less) = budget.reserve(tokens(400, cost: 4), at: boundary - 2)
        let (_, more) = budget.reserve(tokens(400, cost: 4), at: boundary - 1)
        #expect(budget.reserve(tokens(10, cost: 1), at: boundary).0.isReserved)
        budget.settle(less, .used(tokens(0)), at: boundary + 1)
        budget.settle(more, .used(tokens(900, cost: 9)), at: boundary + 2)
        #expect(budget.used(.tokensPerDay, at: boundary + 3) == 10)
        #expect(budget.used(.costPerMonth, at: boundary + 3) == 1)
    }

    @Test("a settlement leaves alone what its reservation was not charged for")
    func limitAddedBetween() {
        var budget = Fixture([.requestsPerMinute: 10])
        let (_, id) = budget.reserve(tokens(50, cost: 1), at: 0)
        budget.limits = Fixture.set([.tokensPerMinute: 100, .tokensPerDay: 100, .costPerMonth: 5])
        #expect(budget.reserve(tokens(20, cost: 1), at: 0).0.isReserved)
        budget.settle(id, .used(tokens(0)), at: 0)
        #expect(budget.used(.tokensPerMinute, at: 0) == 20)
        #expect(budget.used(.tokensPerDay, at: 0) == 20)
        #expect(budget.used(.costPerMonth, at: 0) == 1)
    }
}
