// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("ReturnSlots")
struct ReturnSlotsTests {
    private let now = Instant(nanoseconds: 5_000_000_000)

    @Test("each refused client has a slot of its own, one after the other")
    func row() {
        var slots = ReturnSlots()
        for place in 0..<10 {
            let told = slots.slot(
                after: .seconds(2), spacing: .milliseconds(300), random: 0, now: now)
            #expect(told == .seconds(2) + .milliseconds(300 * place))
        }
        // The row moves on with time, and a longer wait opens a gap in it.
        let later = slots.slot(
            after: .milliseconds(10), spacing: .milliseconds(300), random: 0,
            now: now + .seconds(1))
        #expect(later == .seconds(4))
        let gap = slots.slot(after: .seconds(30), spacing: .seconds(1), random: 0, now: now)
        #expect(gap == .seconds(30))
        // When all have come, the next one waits no longer than its room takes.
        let last = slots.slot(
            after: .milliseconds(10), spacing: .seconds(1), random: 0, now: now + .seconds(60))
        #expect(last == .milliseconds(10))
    }

    @Test("a wait of nothing is a millisecond, and two clients never share one")
    func shortest() {
        var slots = ReturnSlots()
        for place in 1...5 {
            let told = slots.slot(after: .zero, spacing: .zero, random: 0, now: now)
            #expect(told == .milliseconds(place))
        }
    }

    @Test("chance only adds, a twentieth at most")
    func jitter() {
        for (wait, most) in [(1.0, 1.05), (10, 10.5), (40, 41)] {
            for random in [0, 0.5, 0.999] {
                var slots = ReturnSlots()
                let told = slots.slot(
                    after: .seconds(wait), spacing: .seconds(2), random: random, now: now)
                #expect(random == 0 || told > .seconds(wait))
                #expect((wait...most).contains(told.seconds))
            }
        }
        #expect(ReturnSlots.mostJitter(.seconds(10)) == .milliseconds(500))
        #expect(ReturnSlots.mostJitter(.seconds(100)) == .seconds(1))
    }

    @Test("nobody's jitter reaches the next one's slot", arguments: 0..<20 as Range<UInt64>)
    func disjoint(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var slots = ReturnSlots()
        var (last, now) = (now, now)
        for _ in 0..<200 {
            now = now + .milliseconds(Int(random.next() % 40))
            let told = slots.slot(
                after: .seconds(1), spacing: .milliseconds(20), random: random.unit(), now: now)
            guard told < .seconds(55) else { return }
            #expect(now + told > last)
            last = now + told
        }
    }

    @Test("a wait is not told twice in a row of sixteen, whenever they are refused")
    func distinct() {
        for gap in [0, 3, 19, 20, 21, 50, 5_000] {
            var slots = ReturnSlots()
            var waits: [Int] = []
            for place in 0..<200 {
                // The same chance for all is the worst there can be.
                let told = slots.slot(
                    after: .seconds(1), spacing: .milliseconds(20), random: 0.3,
                    now: now + .milliseconds(gap * place))
                #expect(told >= .seconds(1))
                waits.append(told.millisecondsRoundedUp)
                #expect(Set(waits.suffix(16)).count == min(16, waits.count))
            }
        }
    }

    @Test("the end of a long row is shared, never over a minute nor under what the room takes")
    func longRow() {
        var slots = ReturnSlots()
        var random = SplitMix64(seed: 3)
        for _ in 0..<60 {
            _ = slots.slot(after: .seconds(1), spacing: .seconds(1), random: 0.5, now: now)
        }
        var ends: Set<Duration> = []
        for _ in 0..<100 {
            let told = slots.slot(
                after: .seconds(1), spacing: .seconds(1), random: random.unit(), now: now)
            #expect((Duration.seconds(55)...ReturnSlots.longest).contains(told))
            ends.insert(told)
        }
        #expect(ends.count > 90)
        let long = slots.slot(after: .seconds(58), spacing: .zero, random: 0, now: now)
        #expect((Duration.seconds(58)...ReturnSlots.longest).contains(long))
        let longer = slots.slot(after: .seconds(61), spacing: .zero, random: 0.3, now: now)
        #expect(longer == ReturnSlots.longest)
    }

    @Test(
        "whatever is asked, the wait is within its bounds and not shorter than the room takes",
        arguments: 0..<50 as Range<UInt64>)
    func bounds(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var slots = ReturnSlots()
        var now = now
        for _ in 0..<500 {
            now = now + .milliseconds(Int(random.next() % 2_000))
            let wait = Duration.milliseconds(Int(random.next() % 70_000))
            let told = slots.slot(
                after: wait, spacing: .milliseconds(Int(random.next() % 3_000)),
                random: random.unit(), now: now)
            #expect(told >= min(wait, ReturnSlots.longest))
            #expect((ReturnSlots.shortest...ReturnSlots.longest).contains(told))
        }
    }

    @Test("returns do not come faster than the room drains", arguments: 0..<20 as Range<UInt64>)
    func pace(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var slots = ReturnSlots()
        let spacing = Duration.milliseconds(100)
        var returns: [Double] = []
        for _ in 0..<300 {
            let told = slots.slot(
                after: .seconds(3), spacing: spacing, random: random.unit(), now: now)
            returns.append(told.seconds)
        }
        returns.sort()
        // In any five seconds, at most 1.3 times what drains.
        for first in returns.indices {
            let inWindow = returns[first...].prefix { $0 < returns[first] + 5 }.count
            guard inWindow <= 65 else {
                Issue.record("seed \(seed): \(inWindow) return within 5 s of \(returns[first])")
                return
            }
        }
    }
}
