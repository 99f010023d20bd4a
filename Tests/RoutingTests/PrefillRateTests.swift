// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: UInt64(seconds * 1e9)) }

struct PrefillRateTests {
    @Test func nothingObservedIsTheGuess() {
        #expect(PrefillRate().perSecond == PrefillRate.usual)
        #expect(abs(PrefillRate(guess: 30_000).perSecond - 30_000) < 1)
        #expect(PrefillRate(guess: 0).perSecond == 1)
    }

    @Test(arguments: [2_000.0, 8_000, 60_000])
    func aSteadyEngineIsLearnt(rate: Double) {
        var learnt = PrefillRate()
        var now = 0.0
        for _ in 0..<200 {
            learnt.began(now: at(now))
            now += 4_000 / rate
            learnt.prefilled(Tokens(4_000), now: at(now))
            // Idle time tells nothing.
            now += 3
        }
        #expect(abs(learnt.perSecond / rate - 1) < 0.05)
    }

    @Test func promptsThatOverlapShareTheTime() {
        var learnt = PrefillRate()
        var now = 0.0
        for _ in 0..<100 {
            for _ in 0..<4 { learnt.began(now: at(now)) }
            for _ in 0..<4 {
                now += 0.1
                learnt.prefilled(Tokens(1_000), now: at(now))
            }
        }
        #expect(abs(learnt.perSecond - 10_000) < 500)
    }

    @Test func anEngineThatSlowsDownIsFollowed() {
        var learnt = PrefillRate()
        var now = 0.0
        for step in 0..<600 {
            learnt.began(now: at(now))
            now += step < 300 ? 0.2 : 0.8
            learnt.prefilled(Tokens(4_000), now: at(now))
        }
        #expect(abs(learnt.perSecond - 5_000) < 300)
    }

    @Test func whoLeavesEarlyCostsItsTime() {
        var learnt = PrefillRate()
        learnt.began(now: at(0))
        learnt.abandoned(now: at(10))
        #expect(learnt.perSecond < 500)
        #expect(learnt.perSecond >= 1)
        // Nobody waits any more, so time does not count.
        let before = learnt.perSecond
        learnt.began(now: at(100))
        #expect(learnt.perSecond == before)
    }

    @Test func whatWasCachedUnknownToUsMakesNoRateBeyondReason() {
        var learnt = PrefillRate()
        for second in 0..<100 {
            learnt.began(now: at(Double(second)))
            learnt.prefilled(Tokens(10_000_000), now: at(Double(second)))
        }
        #expect(learnt.perSecond <= 1_000_000)
    }
}
