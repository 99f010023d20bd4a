// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing
import Units

@Suite struct TimerWheelTests {
    private static let millisecond = Duration.milliseconds(1)

    private func token(_ number: Int) -> Token {
        Token(kind: 2, key: SlabKey(raw: UInt64(number)))
    }

    /// A wheel beside a plain list of what is scheduled.
    private struct Model {
        struct Entry {
            let token: Token
            let due: Instant
            let key: TimerKey
        }
        var wheel: TimerWheel
        var entries: [Entry] = []
        var now: Instant
        var next = 0

        init(now: Instant, limit: Int) {
            wheel = TimerWheel(now: now, limit: limit)
            self.now = now
        }

        mutating func schedule(at due: Instant) {
            let token = Token(kind: 1, key: SlabKey(raw: UInt64(next)))
            next += 1
            guard let key = wheel.schedule(token, at: due) else { return }
            entries.append(Entry(token: token, due: due, key: key))
        }

        mutating func cancel(_ index: Int) {
            let last = entries.count - 1
            wheel.cancel(entries[index].key)
            entries.swapAt(index, last)
            entries.removeLast()
        }

        /// Moves on to `time` and compares what fires with what should.
        mutating func jump(to time: Instant) {
            now = time
            var fired: [Token] = []
            wheel.expire(now: now, into: &fired)
            let names = Set(fired)
            #expect(names.count == fired.count, "each once")
            var left: [Entry] = []
            for entry in entries {
                if names.contains(entry.token) {
                    #expect(entry.due <= now, "never early")
                } else {
                    #expect(now < entry.due + millisecond, "at most a millisecond late")
                    left.append(entry)
                }
            }
            #expect(left.count + fired.count == entries.count, "only what was scheduled")
            entries = left
        }

        func check() {
            #expect(wheel.count == entries.count)
            let earliest = entries.map(\.due).min()
            guard let earliest else {
                #expect(wheel.nextDeadline == nil)
                return
            }
            guard let deadline = wheel.nextDeadline else {
                Issue.record("timers without a deadline")
                return
            }
            #expect(deadline < max(earliest, now) + millisecond)
        }
    }

    /// From nothing at all over a fraction of a tick to weeks, every size equally likely.
    private func span(_ random: inout SplitMix64) -> Duration {
        let bits = UInt64.random(in: 0..<51, using: &random)
        return Duration(nanoseconds: Int64(random.next() >> (63 - bits)))
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func anyHistoryFiresWhatAListWouldFire(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let start = Instant(nanoseconds: random.next() >> UInt64.random(in: 2..<40, using: &random))
        var model = Model(now: start, limit: 300)
        for _ in 0..<1_500 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: model.schedule(at: model.now + span(&random))
            case 5: model.schedule(at: model.now - span(&random))
            case 6..<8:
                if let index = model.entries.indices.randomElement(using: &random) {
                    model.cancel(index)
                }
            case 8: model.jump(to: model.now + span(&random))
            default:
                if let deadline = model.wheel.nextDeadline {
                    model.jump(to: max(model.now, deadline))
                }
            }
            model.check()
        }
        model.jump(to: .distantFuture)
        #expect(model.entries.isEmpty)
        #expect(model.wheel.nextDeadline == nil)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func followingTheDeadlinesNeitherSpinsNorMisses(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var model = Model(now: Instant(nanoseconds: random.next() >> 8), limit: 100)
        for _ in 0..<100 { model.schedule(at: model.now + span(&random)) }
        var turns = 0
        while let deadline = model.wheel.nextDeadline {
            #expect(turns == 0 || deadline > model.now, "time moves with every turn")
            model.jump(to: max(deadline, model.now))
            turns += 1
            if turns > 900 { break }
        }
        #expect(model.entries.isEmpty)
        // A timer is met once on each of the eight levels at most, and once to fire.
        #expect(turns <= 900)
    }

    @Test func aTimerFiresAtItsMillisecondAndNotBefore() throws {
        let start = Instant(nanoseconds: 123_456_789)
        var wheel = TimerWheel(now: start, limit: 4)
        _ = wheel.schedule(token(1), at: start + .microseconds(5_300))
        #expect(wheel.nextDeadline == start + .milliseconds(6))
        var fired: [Token] = []
        wheel.expire(now: start + .microseconds(5_299), into: &fired)
        #expect(fired == [])
        wheel.expire(now: start + .microseconds(5_999), into: &fired)
        #expect(fired == [])
        wheel.expire(now: start + .milliseconds(6), into: &fired)
        #expect(fired == [token(1)])
        wheel.expire(now: start + .milliseconds(7), into: &fired)
        #expect(fired == [token(1)])
        #expect(wheel.count == 0)
    }

    @Test func aTimeThatHasPassedFiresWithTheNextExpire() {
        let start = Instant(nanoseconds: 1_000_000_000)
        var wheel = TimerWheel(now: start, limit: 4)
        var fired: [Token] = []
        wheel.expire(now: start + .seconds(3), into: &fired)
        _ = wheel.schedule(token(1), at: start + .seconds(1))
        _ = wheel.schedule(token(2), at: Instant(nanoseconds: 0))
        let now = start + .seconds(3)
        #expect(wheel.nextDeadline.map { $0 <= now } == true)
        wheel.expire(now: now, into: &fired)
        #expect(Set(fired) == [token(1), token(2)])
    }

    @Test func aClockThatStandsStillOrStepsBackDoesNoHarm() {
        let start = Instant(nanoseconds: 5_000_000_000)
        var wheel = TimerWheel(now: start, limit: 4)
        var fired: [Token] = []
        wheel.expire(now: start + .seconds(1), into: &fired)
        _ = wheel.schedule(token(1), at: start + .milliseconds(1_500))
        wheel.expire(now: start, into: &fired)
        wheel.expire(now: Instant(nanoseconds: 0), into: &fired)
        wheel.expire(now: start + .seconds(1), into: &fired)
        #expect(fired == [])
        wheel.expire(now: start + .milliseconds(1_500), into: &fired)
        #expect(fired == [token(1)])
    }

    @Test(arguments: [1, 30, 400, 36_500])
    func aTimerDaysAwayFiresOnItsDay(days: Int) throws {
        let start = Instant(nanoseconds: 77)
        var wheel = TimerWheel(now: start, limit: 4)
        let due = start + .seconds(days * 86_400)
        _ = wheel.schedule(token(1), at: due)
        var fired: [Token] = []
        var turns = 0
        while let deadline = wheel.nextDeadline, deadline < due, turns < 9 {
            wheel.expire(now: deadline, into: &fired)
            turns += 1
        }
        #expect(turns < 9)
        #expect(fired == [])
        wheel.expire(now: due, into: &fired)
        #expect(fired == [token(1)])
    }

    @Test(arguments: [0, 1, 1 << 40, UInt64(Int64.max)])
    func theDistantFutureIsNoTrap(start: UInt64) {
        var wheel = TimerWheel(now: Instant(nanoseconds: start), limit: 4)
        _ = wheel.schedule(token(1), at: .distantFuture)
        _ = wheel.schedule(token(2), at: Instant(nanoseconds: .max))
        #expect(wheel.nextDeadline != nil)
        var fired: [Token] = []
        wheel.expire(now: Instant(nanoseconds: .max), into: &fired)
        #expect(Set(fired) == [token(1), token(2)])
    }

    @Test func aFullWheelRefusesUntilThereIsRoom() throws {
        let start = Instant(nanoseconds: 0)
        var wheel = TimerWheel(now: start, limit: 2)
        let first = try #require(schedule(1, in: &wheel))
        #expect(schedule(2, in: &wheel) != nil)
        #expect(schedule(3, in: &wheel) == nil)
        #expect(wheel.count == 2)
        wheel.cancel(first)
        #expect(schedule(4, in: &wheel) != nil)
        var fired: [Token] = []
        wheel.expire(now: start + .seconds(1), into: &fired)
        #expect(Set(fired) == [token(2), token(4)])
        var none = TimerWheel(now: start, limit: 0)
        #expect(schedule(5, in: &none) == nil)
    }

    private func schedule(_ number: Int, in wheel: inout TimerWheel) -> TimerKey? {
        wheel.schedule(token(number), at: Instant(nanoseconds: 500_000_000))
    }

    @Test func aKeyThatOutlivedItsTimerCancelsNothing() throws {
        let start = Instant(nanoseconds: 0)
        var wheel = TimerWheel(now: start, limit: 2)
        var fired: [Token] = []
        let key = try #require(schedule(1, in: &wheel))
        wheel.expire(now: start + .seconds(1), into: &fired)
        #expect(schedule(2, in: &wheel) != nil)
        wheel.cancel(key)
        #expect(wheel.count == 1)
        let second = try #require(schedule(3, in: &wheel))
        wheel.cancel(second)
        wheel.cancel(second)
        #expect(wheel.count == 1)
        fired = []
        wheel.expire(now: start + .seconds(2), into: &fired)
        #expect(fired == [token(2)])
    }

    @Test func manyTimersOfOneMillisecondAllFire() throws {
        let start = Instant(nanoseconds: 0)
        var wheel = TimerWheel(now: start, limit: 10_000)
        var keys: [TimerKey] = []
        for number in 0..<10_000 {
            keys.append(try #require(schedule(number, in: &wheel)))
        }
        for number in stride(from: 0, to: 10_000, by: 3) { wheel.cancel(keys[number]) }
        var fired: [Token] = []
        wheel.expire(now: start + .milliseconds(499), into: &fired)
        #expect(fired == [])
        wheel.expire(now: start + .milliseconds(500), into: &fired)
        #expect(Set(fired) == Set((0..<10_000).filter { $0 % 3 != 0 }.map(token)))
        #expect(fired.count == 6_666)
    }

    @Test func firedTokensComeBehindThoseAlreadyThere() {
        var wheel = TimerWheel(now: Instant(nanoseconds: 0), limit: 2)
        var fired = [token(9)]
        _ = schedule(1, in: &wheel)
        wheel.expire(now: .distantFuture, into: &fired)
        #expect(fired == [token(9), token(1)])
    }
}
