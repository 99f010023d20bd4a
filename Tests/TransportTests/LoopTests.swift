// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import Units

@Suite
struct LoopTests {
    private static let token = Token(kind: 9, key: SlabKey(raw: 7))

    /// Waits until the wheel fires something, at most that long.
    private func fired(_ loop: Loop, within limit: Duration) throws -> Bool {
        let end = MonotonicClock.now() + limit
        while MonotonicClock.now() < end {
            _ = try loop.wait(atMost: .milliseconds(1))
            if loop.dueTimers().contains(Self.token) { return true }
        }
        return false
    }

    @Test
    func aDeadlineThatMovedAwayFiresWithoutBeingReached() throws {
        let loop = try Loop(timers: 4)
        var deadline = LazyDeadline()
        deadline.set(loop.now + .milliseconds(2), Self.token, loop)
        deadline.set(loop.now + .milliseconds(60), Self.token, loop)
        #expect(try fired(loop, within: .seconds(5)))
        let early = deadline.fired(Self.token, loop)
        #expect(!early)
        #expect(try fired(loop, within: .seconds(5)))
        let isDue = deadline.fired(Self.token, loop)
        #expect(isDue)
        #expect(deadline.current == .distantFuture)
    }

    @Test
    func aDeadlineThatCameCloserFiresInTime() throws {
        let loop = try Loop(timers: 4)
        var deadline = LazyDeadline()
        let start = loop.now
        deadline.set(start + .seconds(600), Self.token, loop)
        deadline.set(start + .milliseconds(2), Self.token, loop)
        #expect(try fired(loop, within: .seconds(5)))
        let isDue = deadline.fired(Self.token, loop)
        #expect(isDue)
    }

    @Test
    func aCancelledDeadlineIsSilent() throws {
        let loop = try Loop(timers: 1)
        var deadline = LazyDeadline()
        for _ in 0..<3 {
            deadline.set(loop.now + .milliseconds(2), Self.token, loop)
            deadline.cancel(loop)
        }
        #expect(try fired(loop, within: .milliseconds(20)) == false)
        // The wheel has room for one: nothing was left in it.
        deadline.set(loop.now + .milliseconds(2), Self.token, loop)
        #expect(try fired(loop, within: .seconds(5)))
    }

    @Test
    func aDeadlineThatIsSwitchedOffIsNotReached() throws {
        let loop = try Loop(timers: 4)
        var deadline = LazyDeadline()
        deadline.set(loop.now + .milliseconds(2), Self.token, loop)
        deadline.set(.distantFuture, Self.token, loop)
        #expect(try fired(loop, within: .seconds(5)))
        let early = deadline.fired(Self.token, loop)
        #expect(!early)
        #expect(try fired(loop, within: .milliseconds(20)) == false)
    }

    @Test
    func theWallClockFollowsTheTurns() throws {
        let loop = try Loop(timers: 1)
        _ = try loop.wait(atMost: .zero)
        let before = loop.wall
        _ = try loop.wait(atMost: .milliseconds(5))
        #expect(loop.wall.nanoseconds - before.nanoseconds >= 4_000_000)
        #expect(abs(loop.wall.nanoseconds - WallClock.now().nanoseconds) < 1_000_000_000)
    }
}
