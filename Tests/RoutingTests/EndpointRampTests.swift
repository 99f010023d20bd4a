// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

@Suite("EndpointRamp: the share of one that is new")
struct EndpointRampTests {
    private var ramp = EndpointRamp(from: 0.1, over: .seconds(30))

    @Test("one that is not new has all of its turn")
    func usual() {
        #expect(ramp.share(at(0)) == 1)
        #expect(ramp.until == Instant(nanoseconds: 0))
    }

    @Test("from its first answer it grows evenly to all, and stays there")
    mutating func grows() {
        ramp.expect()
        #expect(ramp.share(at(1_000)) == 0.1)
        #expect(ramp.until == .distantFuture)
        ramp.answered(now: at(100))
        ramp.answered(now: at(110))
        #expect(ramp.share(at(100)) == 0.1)
        #expect(abs(ramp.share(at(115)) - 0.55) < 1e-9)
        #expect(ramp.share(at(130)) == 1)
        #expect(ramp.share(at(1_000)) == 1)
        #expect(ramp.until == at(130))
    }

    @Test("an answer of one that is not new begins nothing")
    mutating func answersOnly() {
        ramp.answered(now: at(5))
        #expect(ramp.share(at(5)) == 1)
    }

    @Test("without a span there is none")
    func none() {
        var ramp = EndpointRamp(from: 0.1, over: .zero)
        ramp.begin(now: at(1))
        #expect(ramp.share(at(1)) == 1)
        #expect(ramp.until == Instant(nanoseconds: 0))
    }

    @Test("another span counts for a ramp that is under way")
    mutating func reconfigured() {
        ramp.begin(now: at(0))
        ramp.configure(from: 0.5, over: .seconds(10))
        #expect(abs(ramp.share(at(5)) - 0.75) < 1e-9)
        #expect(ramp.until == at(10))
    }

    @Test("shares never shrink and stay within 0.1 and 1", arguments: 0..<20 as Range<UInt64>)
    func grow(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var ramp = EndpointRamp(from: 0.1, over: .seconds(1 + random.unit() * 60))
        ramp.begin(now: at(0))
        var (time, last) = (0.0, 0.0)
        for _ in 0..<100 {
            time += random.unit()
            let share = ramp.share(at(time))
            #expect(share >= last && share >= 0.1 && share <= 1, "seed \(seed)")
            last = share
        }
    }
}
