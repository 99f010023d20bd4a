// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct ClockTests {
    @Test func theMonotonicClockNeverGoesBack() {
        var last = MonotonicClock.now()
        for _ in 0..<10_000 {
            let now = MonotonicClock.now()
            #expect(now >= last)
            last = now
        }
    }

    @Test func bothClocksCountNanoseconds() throws {
        let start = MonotonicClock.now()
        let wall = WallClock.now()
        var seconds = time_t()
        unsafe time(&seconds)
        #expect(abs(wall.nanoseconds / 1_000_000_000 - Int64(seconds)) <= 2)
        let poller = try Poller(batch: 1)
        _ = try poller.wait(until: start + .milliseconds(3), now: MonotonicClock.now())
        #expect(MonotonicClock.now() - start >= .milliseconds(3))
        #expect(MonotonicClock.now() - start < patience)
    }
}
