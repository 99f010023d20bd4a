// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("PeakWalk")
struct PeakWalkTests {
    private func sequence(_ held: Int, _ rest: Int, width: Int = 1) -> PeakWalk.Sequence {
        PeakWalk.Sequence(held: Tokens(held), rest: Tokens(rest), width: width)
    }

    /// Step by step, as an engine would: the most that is held before anybody who ends has left.
    private func simulated(_ sequences: [PeakWalk.Sequence]) -> Int {
        let longest = sequences.map(\.rest.count).max() ?? 0
        return (0...longest).map { step in
            sequences.filter { $0.rest.count >= step }
                .reduce(0) { $0 + $1.held.count + $1.width * step }
        }.max() ?? 0
    }

    private func walk(_ sequences: [PeakWalk.Sequence]) -> PeakWalk {
        var walk = PeakWalk()
        for sequence in sequences { walk.append(sequence) }
        return walk
    }

    @Test("nobody holds nothing, and one holds what it has and will make")
    func smallest() {
        #expect(PeakWalk().peak() == .zero)
        #expect(PeakWalk().peak(adding: sequence(100, 40, width: 3)) == Tokens(220))
        #expect(walk([sequence(100, 0)]).peak() == Tokens(100))
    }

    @Test("those that end together are held together; one that ends first makes room")
    func order() {
        #expect(walk([sequence(10, 100), sequence(10, 100)]).peak() == Tokens(220))
        // After 5 tokens 1,000 leave: what the others make then is less.
        #expect(walk([sequence(1_000, 5), sequence(10, 400)]).peak() == Tokens(1_020))
        #expect(walk([sequence(10, 5), sequence(10, 400)]).peak() == Tokens(410))
    }

    @Test("up to eight are walked through exactly", arguments: 0..<200 as Range<UInt64>)
    func exact(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let all = (0..<1 + draw(8)).map { _ in
            sequence(draw(3_000), draw(draw(2) == 0 ? 10 : 900), width: 1 + draw(3))
        }
        #expect(walk(all).peak() == Tokens(simulated(all)))
        #expect(walk(all.dropLast()).peak(adding: all.last) == Tokens(simulated(all)))
    }

    @Test(
        "many are off by a tenth at most, and hardly ever downwards",
        arguments: 0..<100 as Range<UInt64>)
    func cohorts(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let (most, longest) = (1 + draw(3_000), 1 + draw(3_000))
        let all = (0..<9 + draw(300)).map { _ in
            sequence(draw(most), draw(longest), width: 1 + draw(2))
        }
        // Half a block of each is added, which is exact for none.
        let blocks = 8 * all.reduce(0) { $0 + $1.width }
        let exact = simulated(all)
        for peak in [walk(all).peak(), walk(all.dropLast()).peak(adding: all.last)] {
            #expect(Double(peak.count) >= 0.97 * Double(exact))
            #expect(Double(peak.count - blocks) <= 1.12 * Double(exact))
        }
    }

    @Test("whoever is at least another adds no less to a peak", arguments: 0..<50 as Range<UInt64>)
    func monotone(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let few = walk((0..<draw(8)).map { _ in sequence(draw(3_000), draw(900)) })
        for _ in 0..<200 {
            let (held, rest, width) = (draw(3_000), draw(900), 1 + draw(3))
            let small = sequence(held, rest, width: width)
            let large = sequence(held + draw(9), rest + draw(9), width: width + draw(2))
            #expect(large.isAtLeast(small))
            #expect(few.peak(adding: large) >= few.peak(adding: small))
            #expect(!small.isAtLeast(large) || small == large)
        }
    }

    @Test("what is there follows from who is there, not from how it came to be")
    func history() {
        var random = SplitMix64(seed: 11)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var (moving, all) = (PeakWalk(), [PeakWalk.Sequence]())
        for step in 0..<4_000 {
            let next = sequence(draw(2_000), draw(200_000), width: 1 + draw(4))
            switch draw(all.count < (step % 1_000 < 500 ? 60 : 4) ? 3 : 6) {
            case 0, 1:
                moving.append(next)
                all.append(next)
            case 2, 3:
                guard !all.isEmpty else { continue }
                let place = draw(all.count)
                moving.update(place, to: next)
                all[place] = next
            default:
                guard !all.isEmpty else { continue }
                let place = draw(all.count)
                moving.remove(place)
                let last = all.removeLast()
                if place < all.count { all[place] = last }
            }
            #expect(moving.count == all.count)
            #expect(moving.peak() == walk(all).peak())
        }
        while !all.isEmpty {
            all.removeLast()
            moving.remove(0)
        }
        #expect(moving.peak() == .zero)
    }
}
