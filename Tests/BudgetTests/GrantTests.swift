// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

/// What a store does with grants: charge, report, lapse, end.
@Suite("Grants")
struct GrantTests {
    private func order(
        _ fixture: inout Fixture, _ tokens: Double, requests: Double = 10, parts: Int = 2
    ) -> GrantOrder {
        GrantOrder(
            id: fixture.naming.next(), limits: fixture.limits,
            wanted: Amounts(input: tokens, output: 0, costMicros: 0, requests: requests),
            parts: parts, lease: .seconds(2))
    }

    private func report(
        _ order: GrantOrder, _ number: Int, held: Double = 0, spent: Double = 0, last: Bool = false
    ) -> GrantReport {
        GrantReport(
            id: order.id, limits: order.limits, number: number,
            held: Amounts(input: held, output: 0, costMicros: 0, requests: held > 0 ? 1 : 0),
            spent: Amounts(input: spent, output: 0, costMicros: 0, requests: spent > 0 ? 1 : 0),
            isLast: last)
    }

    @Test("a grant is charged to the limits at once, as a reservation is")
    func charged() {
        var budget = Fixture([.tokensPerDay: 10_000])
        let wanted = order(&budget, 1_000)
        guard
            case .granted(let millionths, let levels) = budget.budgets.grant(
                wanted, wall: Fixture.wall(0))
        else {
            Issue.record("nothing was granted")
            return
        }
        #expect(wanted.granted(millionths) == wanted.wanted)
        #expect(levels[.tokensPerDay]?.used == 1_000)
        #expect(budget.used(.tokensPerDay, at: 1) == 1_000)
    }

    @Test("a grant takes one part of what is left, and shrinks with it")
    func shrinks() {
        var budget = Fixture([.tokensPerDay: 8_000])
        var sizes: [Double] = []
        for _ in 0..<12 {
            let wanted = order(&budget, 8_000, requests: 1_000)
            guard
                case .granted(let millionths, _) = budget.budgets.grant(
                    wanted, wall: Fixture.wall(0))
            else { break }
            sizes.append(wanted.granted(millionths).input)
        }
        #expect(sizes == [4_000, 2_000, 1_000])
        // The last eighth is decided request by request.
        #expect(budget.used(.tokensPerDay, at: 0) == 7_000)
    }

    @Test("all limits bound a grant, and the tightest one counts")
    func tightest() {
        var budget = Fixture([.tokensPerDay: 1e6, LimitKind(.requests, per: .day): 40])
        let wanted = order(&budget, 10_000, requests: 100)
        guard
            case .granted(let millionths, _) = budget.budgets.grant(wanted, wall: Fixture.wall(0))
        else {
            Issue.record("nothing was granted")
            return
        }
        #expect(wanted.granted(millionths).requests == 20)
        #expect(wanted.granted(millionths).input == 2_000)
    }

    @Test("concurrent requests, and what is too little for two, are not granted")
    func refused() {
        var concurrent = Fixture([.concurrentRequests: 100])
        let places = order(&concurrent, 10)
        #expect(concurrent.budgets.grant(places, wall: Fixture.wall(0)) == .none)
        var few = Fixture([.requestsPerMinute: 3])
        let wanted = order(&few, 10)
        #expect(few.budgets.grant(wanted, wall: Fixture.wall(0)) == .none)
        #expect(few.used(.requestsPerMinute, at: 0) == 0)
        #expect(few.budgets.openCount == 0)
    }

    @Test("a report gives back what nobody took, and an older one changes nothing")
    func reports() {
        var budget = Fixture([.tokensPerDay: 10_000])
        let wanted = order(&budget, 1_000)
        _ = budget.budgets.grant(wanted, wall: Fixture.wall(0))
        let later = report(wanted, 2, held: 100, spent: 50)
        #expect(budget.budgets.report(later, wall: Fixture.wall(10)) == .done)
        #expect(budget.used(.tokensPerDay, at: 10) == 150)
        let earlier = report(wanted, 1, held: 700, spent: 0)
        #expect(budget.budgets.report(earlier, wall: Fixture.wall(20)) == .done)
        #expect(budget.budgets.report(later, wall: Fixture.wall(30)) == .done)
        #expect(budget.used(.tokensPerDay, at: 30) == 150)
        // What was used beyond the reservation is a debt.
        let end = report(wanted, 3, spent: 400, last: true)
        #expect(budget.budgets.report(end, wall: Fixture.wall(40)) == .done)
        #expect(budget.used(.tokensPerDay, at: 40) == 400)
        #expect(budget.budgets.report(end, wall: Fixture.wall(50)) == .unknown)
        #expect(budget.budgets.openCount == 0)
    }

    @Test("of a gateway that is gone what it had not used returns, and what it had used stays")
    func lapses() {
        var budget = Fixture([.tokensPerDay: 10_000], lease: .seconds(30))
        let silent = order(&budget, 1_000)
        _ = budget.budgets.grant(silent, wall: Fixture.wall(0))
        #expect(budget.used(.tokensPerDay, at: seconds(1)) == 1_000)
        #expect(budget.used(.tokensPerDay, at: seconds(2)) == 0)
        let heard = order(&budget, 1_000)
        _ = budget.budgets.grant(heard, wall: Fixture.wall(seconds(2)))
        budget.budgets.report(
            report(heard, 1, held: 100, spent: 50), wall: Fixture.wall(seconds(3)))
        #expect(budget.used(.tokensPerDay, at: seconds(32)) == 150)
        #expect(budget.used(.tokensPerDay, at: seconds(33)) == 50)
        // It was only slow.
        budget.budgets.report(
            report(heard, 2, held: 100, spent: 60), wall: Fixture.wall(seconds(34)))
        #expect(budget.used(.tokensPerDay, at: seconds(34)) == 160)
        budget.budgets.report(
            report(heard, 3, spent: 90, last: true), wall: Fixture.wall(seconds(35)))
        #expect(budget.used(.tokensPerDay, at: seconds(35)) == 90)
    }

    @Test("a last report after everything lapsed charges what was used, once")
    func lateEnd() {
        var budget = Fixture([.tokensPerDay: 10_000], lease: .seconds(30))
        let wanted = order(&budget, 1_000)
        _ = budget.budgets.grant(wanted, wall: Fixture.wall(0))
        #expect(budget.used(.tokensPerDay, at: seconds(10)) == 0)
        let end = report(wanted, 1, spent: 70, last: true)
        budget.budgets.report(end, wall: Fixture.wall(seconds(11)))
        budget.budgets.report(end, wall: Fixture.wall(seconds(12)))
        #expect(budget.used(.tokensPerDay, at: seconds(12)) == 70)
    }
}
