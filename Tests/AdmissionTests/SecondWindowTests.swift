// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("SecondWindow")
struct SecondWindowTests {
    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test("an amount counts for sixty seconds, its own included")
    func span() {
        var window = SecondWindow()
        #expect(window.sum(at(0)) == 0)
        window.add(5, at: at(100.2))
        window.add(7, at: at(100.9))
        window.add(1, at: at(130))
        #expect(window.sum(at(100.95)) == 12)
        #expect(window.sum(at(159.9)) == 13)
        #expect(window.sum(at(160)) == 1)
        #expect(window.sum(at(190)) == 0)
    }

    @Test("what lies ahead counts when its time has come")
    func ahead() {
        var window = SecondWindow()
        window.add(3, at: at(10))
        window.add(4, at: at(70))
        #expect(window.sum(at(10)) == 3)
        #expect(window.sum(at(69.9)) == 3)
        #expect(window.sum(at(70)) == 4)
    }

    @Test("the first minute of a clock is like any other")
    func start() {
        var window = SecondWindow()
        window.add(2, at: at(0))
        #expect(window.sum(at(0)) == 2)
        #expect(window.sum(at(59)) == 2)
        #expect(window.sum(at(60)) == 0)
    }

    @Test("it sums what a list would", arguments: 0..<30 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var window = SecondWindow()
        var model: [(second: UInt64, amount: Int)] = []
        var now = Instant(nanoseconds: random.next() % 1_000_000_000_000)
        for _ in 0..<2_000 {
            now = now + .milliseconds(Int(random.next() % 400))
            if random.next() % 100 == 0 { now = now + .seconds(Int(random.next() % 200)) }
            let present = now.nanoseconds / 1_000_000_000
            let ahead = random.next() % 2 == 0 ? 0 : Int(random.next() % 60_000)
            let instant = now + .milliseconds(ahead)
            let amount = Int(random.next() % 1_000)
            window.add(amount, at: instant)
            model.append((instant.nanoseconds / 1_000_000_000, amount))
            model.removeAll { $0.second + 60 <= present }
            let expected = model.reduce(0) { $0 + ($1.second <= present ? $1.amount : 0) }
            guard window.sum(now) == expected else {
                Issue.record("seed \(seed) at \(present)")
                return
            }
        }
    }
}
