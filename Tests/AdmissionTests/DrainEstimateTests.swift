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
}
