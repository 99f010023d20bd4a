// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("DrainEstimate")
struct DrainEstimateTests {
    private func sequence(
        frees: Int, grows: Double = 0, unseen: Double = 0, ends: Double
    ) -> DrainEstimate.Sequence {
        DrainEstimate.Sequence(
            frees: Tokens(frees), growsPerSecond: grows, unseenFor: .seconds(unseen),
            endsIn: .seconds(ends))
    }

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    @Test("room that is there is not waited for")
    func none() {
        var sequences = [sequence(frees: 10, ends: 5)]
        #expect(DrainEstimate.wait(for: .zero, sequences: &sequences) == .zero)
        #expect(DrainEstimate.wait(for: Tokens(-5), sequences: &sequences) == .zero)
    }

    @Test("sequences end one after the other, in whatever order they are given")
    func walk() {
        let sequences = [
            sequence(frees: 100, ends: 3), sequence(frees: 50, ends: 1),
            sequence(frees: 200, ends: 2),
        ]
        for (deficit, wait) in [(1, 1), (50, 1), (51, 2), (250, 2), (251, 3), (350, 3)] {
            var given = sequences
            #expect(
                DrainEstimate.wait(for: Tokens(deficit), sequences: &given) == .seconds(wait))
        }
        var given = sequences
        #expect(DrainEstimate.wait(for: Tokens(351), sequences: &given) == nil)
        given = []
        #expect(DrainEstimate.wait(for: Tokens(1), sequences: &given) == nil)
    }

    @Test("those that run on grow into the room that others leave")
    func growth() {
        let sequences = [
            sequence(frees: 100, grows: 10, ends: 2), sequence(frees: 100, grows: 10, ends: 10),
        ]
        var given = sequences
        #expect(DrainEstimate.wait(for: Tokens(80), sequences: &given) == .seconds(2))
        given = sequences
        #expect(DrainEstimate.wait(for: Tokens(81), sequences: &given) == .seconds(10))
        // What was not reported yet stands in the way too.
        given = [sequences[0], sequence(frees: 100, grows: 10, unseen: 0.5, ends: 10)]
        #expect(DrainEstimate.wait(for: Tokens(75), sequences: &given) == .seconds(2))
        given = [sequences[0], sequence(frees: 100, grows: 10, unseen: 0.5, ends: 10)]
        #expect(DrainEstimate.wait(for: Tokens(76), sequences: &given) == .seconds(10))
    }

    @Test("who comes late finds the room all the same")
    func late() {
        let sequences = [
            sequence(frees: 100, grows: 10, ends: 2), sequence(frees: 100, grows: 10, ends: 10),
        ]
        for (deficit, wait) in [(70, 2), (71, 10)] {
            var given = sequences
            let found = DrainEstimate.wait(for: Tokens(deficit), sequences: &given) { _ in
                .seconds(1)
            }
            #expect(found == .seconds(wait))
        }
    }

    @Test("the rate is what was given back over the last ten seconds")
    func rate() throws {
        var drain = DrainEstimate()
        #expect(drain.rate(at(0)) == nil)
        for step in 0..<400 { drain.released(Tokens(500), now: at(100 + Double(step) * 0.05)) }
        let full = try #require(drain.rate(at(120)))
        #expect(abs(full - 10_000) < 600)
        // Nothing for a while: it falls, and is forgotten.
        let later = try #require(drain.rate(at(125)))
        #expect(later < 6_000)
        #expect(drain.rate(at(131)) == nil)
    }

    @Test("a few ends make no rate, and many at once no wild one")
    func few() throws {
        var drain = DrainEstimate()
        for _ in 1..<DrainEstimate.fewestEnds { drain.released(Tokens(100), now: at(50)) }
        #expect(drain.rate(at(50)) == nil)
        drain.released(Tokens(100), now: at(50))
        #expect(drain.rate(at(50)) == 1_600)
        #expect(drain.rate(at(54)) == 400)
    }

    @Test("the rate follows a steady stream", arguments: 0..<20 as Range<UInt64>)
    func steady(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var drain = DrainEstimate()
        var now = Instant(nanoseconds: random.next() % 1_000_000_000_000)
        let start = now
        let gap = 0.002 + 0.05 * random.unit()
        var sum = 0
        while now - start < .seconds(60) {
            now = now + .seconds(gap * 2 * random.unit())
            let tokens = Int(random.next() % 1_000)
            drain.released(Tokens(tokens), now: now)
            sum += tokens
        }
        let rate = try #require(drain.rate(now))
        let truth = Double(sum) / (now - start).seconds
        #expect((0.7...1.3).contains(rate / truth))
    }
}
