// SPDX-License-Identifier: Apache-2.0

import Routing
import TestSupport
import Testing
import Units

private func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: UInt64(seconds * 1_000_000_000))
}

/// A budget that may be asked within an expectation.
private final class Budget {
    var held: RetryBudget
    init(ratio: Double, reserve: Int) { held = RetryBudget(ratio: ratio, reserve: reserve) }
    func take(_ now: Instant) -> Bool { held.take(now: now) }
    func sent(_ now: Instant) { held.sent(now: now) }
}

struct RetryBudgetTests {
    @Test func aShareOfTheRequestsMayGoAgain() {
        let budget = Budget(ratio: 0.1, reserve: 0)
        #expect(!budget.take(at(1)))
        for _ in 0..<100 { budget.sent(at(1)) }
        for _ in 0..<10 { #expect(budget.take(at(1.5))) }
        #expect(!budget.take(at(1.5)))
        #expect(budget.held.allowed == 10)
        #expect(budget.held.denied == 2)
    }

    @Test func aFewAreAlwaysAllowed() {
        let budget = Budget(ratio: 0, reserve: 1)
        for _ in 0..<10 { #expect(budget.take(at(3))) }
        #expect(!budget.take(at(3)))
        #expect(!budget.take(at(12.9)))
        #expect(budget.take(at(13)))
    }

    @Test func whatIsOldCountsNoMore() {
        let budget = Budget(ratio: 0.5, reserve: 0)
        for second in 0..<10 { budget.sent(at(Double(second))) }
        for _ in 0..<5 { #expect(budget.take(at(9))) }
        #expect(!budget.take(at(9)))
        // Two requests are forgotten, and none of the retries.
        #expect(!budget.take(at(11)))
        #expect(!budget.take(at(1_000)))
        budget.sent(at(1_000))
        budget.sent(at(1_000))
        #expect(budget.take(at(1_000)))
        #expect(!budget.take(at(1_000)))
    }

    @Test(arguments: [3, 44, 501] as [UInt64])
    func noHistoryGetsMoreThanItsShare(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let budget = Budget(ratio: 0.1, reserve: 2)
        var sent: [UInt64] = []
        var taken: [UInt64] = []
        var now: UInt64 = 0
        for _ in 0..<5_000 {
            now += random.next() % 40_000_000
            if random.next() % 3 > 0 {
                budget.sent(Instant(nanoseconds: now))
                sent.append(now)
            } else if budget.take(Instant(nanoseconds: now)) {
                taken.append(now)
                let first = max(now / 1_000_000_000, 9) * 1_000_000_000 - 9_000_000_000
                let retries = taken.count { $0 >= first }
                let requests = sent.count { $0 >= first }
                #expect(Double(retries) <= 0.1 * Double(requests) + 20)
            }
        }
        #expect(budget.held.allowed == taken.count)
        #expect(!taken.isEmpty && budget.held.denied > 0)
    }
}
