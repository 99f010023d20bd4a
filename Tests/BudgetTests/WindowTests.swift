// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

@Suite("Windows")
struct WindowTests {
    private func fixture(_ limits: [Limit]) -> Fixture {
        var budget = Fixture([:])
        budget.limits = LimitSet(TenantLimits(rates: limits))
        return budget
    }

    @Test("every quantity over every window, sliding: all of it at once, and back after the window")
    func sliding() {
        for kind in LimitKind.allCases where kind.window != nil {
            var budget = fixture([Limit(kind: kind, amount: 1, isCalendar: false)])
            let window = Int64(kind.window?.seconds ?? 0) * 1_000_000
            let demand = tokens(
                kind.quantity == .output ? 0 : 1, kind.quantity == .output ? 1 : 0, cost: 1)
            #expect(budget.reserve(demand, at: 0).0.isReserved, "\(kind)")
            let refusal = budget.reserve(demand, at: window / 2).0.refusal
            #expect(refusal?.kind == kind)
            // A microsecond more where the rate has no exact double.
            let wait = Int(window / 2)
            let waits = Duration.microseconds(wait) ... .microseconds(wait + 1)
            #expect(refusal.map { waits.contains($0.wait) } == true, "\(kind)")
            #expect(budget.reserve(demand, at: window + 1).0.isReserved, "\(kind)")
        }
    }

    @Test("every quantity over every window, by the calendar: all of it back at its end")
    func calendar() {
        // The fixture's beginning is a Friday, the first of March.
        let ends: [LimitWindow: Int64] = [
            .second: 1, .minute: 60, .hour: 3_600, .day: 86_400, .week: 3 * 86_400,
            .month: 31 * 86_400,
        ]
        for kind in LimitKind.allCases {
            guard let window = kind.window, let end = ends[window] else { continue }
            var budget = fixture([Limit(kind: kind, amount: 1, isCalendar: true)])
            let demand = tokens(
                kind.quantity == .output ? 0 : 1, kind.quantity == .output ? 1 : 0, cost: 1)
            let half = end * 500_000
            #expect(budget.reserve(demand, at: half).0.isReserved, "\(kind)")
            #expect(
                budget.reserve(demand, at: half).0.refusal?.wait
                    == .microseconds(Int(end * 1_000_000 - half)), "\(kind)")
            #expect(!budget.reserve(demand, at: end * 1_000_000 - 1).0.isReserved, "\(kind)")
            #expect(budget.reserve(demand, at: end * 1_000_000).0.isReserved, "\(kind)")
        }
    }

    @Test("a day is its zone's, with 23 or 25 hours where the clocks change")
    func zone() {
        // Europe/Berlin: to summer time on 2024-03-31 and back on 2024-10-27, at 01:00 UTC.
        let berlin = ZoneOffsets(
            first: 3_600,
            changes: [
                ZoneOffsets.Change(at: 1_711_846_800, offset: 7_200),
                ZoneOffsets.Change(at: 1_729_990_800, offset: 3_600),
            ])
        let cases: [(now: Int64, end: Int64)] = [
            (1_709_251_200, 1_709_334_000),  // 2024-03-01 01:00: a day of 24 hours
            (1_711_839_600, 1_711_922_400),  // 2024-03-31 00:00: one of 23
            (1_729_980_000, 1_730_070_000),  // 2024-10-27 00:00: one of 25
        ]
        for (now, end) in cases {
            let limits = LimitSet(
                TenantLimits(rates: [Limit(kind: .tokensPerDay, amount: 1, zone: berlin)]))
            var budgets = Budgets(lease: .seconds(1), maxReservations: 1)
            let standing = budgets.standing(
                of: limits, wall: WallTime(nanoseconds: now * 1_000_000_000))
            #expect(standing[.tokensPerDay]?.reset == .seconds(Int(end - now)))
        }
    }

    @Test(
        "windows follow each other without a gap, whatever the clocks do",
        arguments: 0..<40 as Range<UInt64>)
    func noGaps(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var at: Int64 = 1_700_000_000
        var changes: [ZoneOffsets.Change] = []
        for _ in 0..<3 {
            at += Int64(random.next() % 300_000)
            changes.append(
                ZoneOffsets.Change(at: at, offset: Int64(random.next() % 97) * 900 - 43_200))
        }
        let zone = ZoneOffsets(first: 3_600, changes: changes)
        for window in LimitWindow.allCases {
            let kind = LimitKind(.tokens, per: window)
            let limits = LimitSet(
                TenantLimits(rates: [Limit(kind: kind, amount: 9, isCalendar: true, zone: zone)]))
            var now: Int64 = 1_699_900_000_000_000
            for _ in 0..<60 {
                var budgets = Budgets(lease: .seconds(1e8), maxReservations: 9)
                func standing(_ time: Int64) -> LimitStanding? {
                    budgets.standing(of: limits, wall: WallTime(nanoseconds: time * 1_000))[kind]
                }
                let order = BudgetOrder(
                    id: ReservationID(nonce: 1, number: 1), limits: limits, demand: tokens(1))
                _ = budgets.reserve(order, wall: WallTime(nanoseconds: now * 1_000))
                let reset = (standing(now)?.reset.nanoseconds ?? 0) / 1_000
                #expect(reset > 0, "seed \(seed), \(window)")
                #expect(standing(now + reset - 1)?.used == 1, "seed \(seed), \(window)")
                #expect(standing(now + reset)?.used == 0, "seed \(seed), \(window)")
                now += max(1, reset) + Int64(random.next() % 40_000_000_000)
            }
        }
    }

    @Test("of a burst size only so much comes at once, and the rate stays")
    func burst() {
        var budget = fixture([Limit(kind: .requestsPerMinute, amount: 60, burst: 5)])
        for _ in 0..<5 { #expect(budget.reserve(tokens(1), at: 0).0.isReserved) }
        #expect(budget.reserve(tokens(1), at: 0).0.refusal?.wait == .seconds(1))
        #expect(budget.standing(at: 0)[.requestsPerMinute]?.remaining == 0)
        for second in 1...60 {
            #expect(budget.reserve(tokens(1), at: seconds(Double(second))).0.isReserved)
        }
        budget = fixture([Limit(kind: .tokensPerMinute, amount: 60, burst: 5)])
        #expect(budget.reserve(tokens(6), at: 0).0.excess?.limit == 5)
    }

    @Test("money is counted in millionths, without any drift")
    func exactMoney() {
        let price = Price(
            inputPerMillion: 0.1, cachedInputPerMillion: 0.05, outputPerMillion: 0.4,
            currency: "USD")
        #expect(price.micros(input: Tokens(1_000_000), output: .zero) == 100_000)
        #expect(price.micros(input: Tokens(10), cached: Tokens(4), output: Tokens(7)) == 4)
        #expect(price.micros(input: Tokens(.max), output: Tokens(.max)) == 1_000_000_000_000_000)
        var budget = fixture([Limit(kind: .costPerMonth, amount: 0.3)])
        // Three tenths of doubles are more than 0.3.
        for _ in 0..<3 { #expect(budget.reserve(tokens(0, cost: 0.1), at: 0).0.isReserved) }
        #expect(budget.reserve(tokens(0, cost: 0.000_001), at: 0).0.refusal?.used == 0.3)
    }
}
