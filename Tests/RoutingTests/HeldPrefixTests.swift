// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

@Suite("Held prefixes")
struct HeldPrefixTests {
    private let here = EndpointID(1)

    private func names(_ group: Int, _ count: Int) -> [UInt64] {
        (0..<count).map { UInt64(group * 1_000 + $0 + 1) }
    }

    @Test("what two share is nobody's, and the last one's again when the other leaves")
    func two() {
        var held = HeldPrefixes(limit: 100)
        var changes: [HeldPrefixes.Change] = []
        let (first, second) = (SlabKey(raw: 7), SlabKey(raw: 9))
        let prompt = names(1, 3)
        let alone = held.join(first, prompt, tokens: Tokens(100), of: Tokens(400), on: here) {
            changes.append($0)
        }
        #expect(alone.blocks == 3 && alone.shared == .zero && changes.isEmpty)
        let own = held.shared(prompt, of: Tokens(250), on: here)
        #expect(own.tokens == Tokens(200) && own.alone == Tokens(200))
        #expect(held.shared(prompt, of: Tokens(250), on: EndpointID(2)).tokens == .zero)
        let both = held.join(
            second, Array(prompt.prefix(2)) + names(2, 1), tokens: Tokens(90), of: Tokens(400),
            on: here
        ) { changes.append($0) }
        #expect(both.blocks == 3 && both.shared == Tokens(200))
        #expect(changes == [.init(holder: first, tokens: Tokens(200))])
        let three = held.shared(prompt, of: Tokens(900), on: here)
        #expect(three.tokens == Tokens(300) && three.alone == Tokens(100))
        changes = []
        held.leave(first, prompt, known: 3, on: here) { changes.append($0) }
        #expect(changes == [.init(holder: second, tokens: Tokens(200))])
        held.leave(
            second, Array(prompt.prefix(2)) + names(2, 1), known: 3, on: here
        ) { _ in Issue.record("nobody is left") }
        #expect(held.count == 0)
    }

    @Test("nobody shares more than its prompt has, and a full table knows no further blocks")
    func bounds() {
        var held = HeldPrefixes(limit: 4)
        let prompt = names(1, 6)
        let first = held.join(
            SlabKey(raw: 1), prompt, tokens: Tokens(100), of: Tokens(600), on: here
        ) { _ in }
        #expect(first.blocks == 4 && held.count == 4)
        let second = held.join(
            SlabKey(raw: 2), prompt, tokens: Tokens(40), of: Tokens(250), on: here
        ) { _ in }
        #expect(second.blocks == 2 && second.shared == Tokens(200))
    }

    /// Beside a plain count of who has what.
    @Test("sums are those of a plain count, whoever comes and leaves", arguments: 0..<40)
    func random(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var held = HeldPrefixes(limit: 60)
        var open: [UInt64: (prompt: [UInt64], known: Int, at: EndpointID, shares: Int)] = [:]
        for step in 0..<2_000 {
            func change(_ change: HeldPrefixes.Change, _ sign: Int) {
                open[change.holder.raw]?.shares += sign * change.tokens.count
            }
            if random.next() % 2 == 0 || open.isEmpty {
                let key = UInt64(step + 1)
                let shape = (Int(random.next() % 4), Int(random.next() % 12))
                let prompt = names(shape.0, shape.1)
                let at = EndpointID(Int(random.next() % 2))
                let (known, shared) = held.join(
                    SlabKey(raw: key), prompt, tokens: Tokens(10), of: Tokens(1_000), on: at
                ) { change($0, 1) }
                open[key] = (prompt, known, at, shared.count)
            } else if let key = open.keys.sorted().randomElement(using: &random),
                let gone = open.removeValue(forKey: key)
            {
                held.leave(SlabKey(raw: key), gone.prompt, known: gone.known, on: gone.at) {
                    change($0, -1)
                }
            }
            for (key, one) in open {
                let common = one.prompt.prefix(one.known).filter { name in
                    open.contains { other in
                        other.key != key && other.value.at == one.at
                            && other.value.prompt.prefix(other.value.known).contains(name)
                    }
                }
                #expect(one.shares == 10 * common.count)
            }
            #expect(held.count <= 60)
        }
    }

    // MARK: runs

    private func runs(
        _ held: inout HeldPrefixes, _ prompts: [[UInt64]], cuts: PrefixCuts = PrefixCuts()
    ) -> [HeldPrefixes.Run] {
        var runs: [HeldPrefixes.Run] = []
        held.beginRuns()
        for prompt in prompts {
            held.addRuns(prompt, known: prompt.count, on: here, cuts: cuts, into: &runs)
        }
        return runs.sorted { $0.key < $1.key }
    }

    @Test("runs end where prompts go on differently, and after blocks that are cuts")
    func runEnds() {
        var held = HeldPrefixes(limit: 100)
        let prompts = [names(1, 5), names(1, 3) + names(2, 2)]
        for (place, prompt) in prompts.enumerated() {
            _ = held.join(
                SlabKey(raw: UInt64(7 + place)), prompt, tokens: Tokens(10), of: Tokens(100),
                on: here
            ) { _ in }
        }
        let (first, second) = (SlabKey(raw: 7), SlabKey(raw: 8))
        #expect(
            runs(&held, prompts) == [
                .init(key: 1_003, tokens: 30, holder: nil),
                .init(key: 1_005, tokens: 20, holder: first),
                .init(key: 2_002, tokens: 20, holder: second),
            ])
        var cuts = PrefixCuts()
        #expect(cuts.insert(1_002) && !cuts.insert(1_002))
        #expect(
            runs(&held, prompts, cuts: cuts).map(\.key) == [1_002, 1_003, 1_005, 2_002])
        held.leave(first, prompts[0], known: 5, on: here) { _ in }
        #expect(
            runs(&held, [prompts[1]]) == [.init(key: 2_002, tokens: 50, holder: second)])
    }

    @Test("runs are all that is held, each once", arguments: 0..<30)
    func runSums(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var held = HeldPrefixes(limit: 1_000)
        var cuts = PrefixCuts()
        var prompts: [[UInt64]] = []
        for holder in 0..<(1 + draw(12)) {
            let shared = names(draw(3), draw(9))
            let prompt = shared + names(100 + holder, 1 + draw(5))
            prompts.append(draw(4) == 0 ? (prompts.last ?? prompt) : prompt)
            _ = held.join(
                SlabKey(raw: UInt64(holder)), prompts[holder], tokens: Tokens(10),
                of: Tokens(1_000), on: here
            ) { _ in }
            if draw(3) == 0 { cuts.insert(prompt[draw(prompt.count)]) }
        }
        let found = runs(&held, prompts, cuts: cuts)
        #expect(found.reduce(0) { $0 + $1.tokens } == 10 * held.count)
        #expect(Set(found.map(\.key)).count == found.count)
        let alone = found.filter { $0.holder != nil }
        for run in alone {
            #expect(held.block(run.key, on: here)?.holders == 1)
        }
    }

    @Test("a full table of cuts forgets others")
    func cuts() {
        var cuts = PrefixCuts()
        for block in 1...20_000 { cuts.insert(UInt64(block)) }
        #expect((1...20_000).count { cuts.contains(UInt64($0)) } == PrefixCuts.count)
    }
}
