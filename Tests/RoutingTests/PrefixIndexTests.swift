// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

/// The names of `count` blocks of a text of its own.
private func names(_ text: UInt64, _ count: Int) -> [UInt64] {
    var random = SplitMix64(seed: text)
    return (0..<count).map { _ in random.next() }
}

private let first = EndpointID(0)
private let second = EndpointID(1)

struct PrefixIndexTests {
    @Test func whatWasSentSomewhereIsWarmThere() {
        var index = PrefixIndex(blocks: 1_024)
        let shared = names(1, 10)
        index.note(shared, on: second)
        let match = index.match(shared + names(2, 3))
        #expect(match.count == 1)
        #expect(match.blocks(on: second) == 10)
        #expect(match.blocks(on: first) == 0)
        #expect(index.match(names(3, 5)) == PrefixIndex.Match())
        #expect(index.match([]) == PrefixIndex.Match())
    }

    @Test func theLongestRunWithoutAGapCounts() {
        var index = PrefixIndex(blocks: 1_024)
        let text = names(1, 10)
        index.note(Array(text[..<4]), on: first)
        index.note(text, on: second)
        let match = index.match(text)
        #expect(match.count == 2)
        #expect(match.blocks(on: first) == 4)
        #expect(match.blocks(on: second) == 10)
        // A later block alone is no prefix.
        var gap = PrefixIndex(blocks: 1_024)
        gap.note([text[0], text[2]], on: first)
        #expect(gap.match(text).blocks(on: first) == 1)
    }

    @Test func fourEndpointsAreRememberedTheNewestOnes() {
        var index = PrefixIndex(blocks: 64)
        let text = names(1, 1)
        for place in 0..<6 { index.note(text, on: EndpointID(place)) }
        index.note(text, on: EndpointID(3))
        let match = index.match(text)
        #expect(match.count == 4)
        let held = (0..<6).filter { match.blocks(on: EndpointID($0)) == 1 }
        #expect(held == [2, 3, 4, 5])
    }

    @Test func whatACacheCannotHoldAnyMoreIsPresumedEvicted() {
        var index = PrefixIndex(blocks: 1_024)
        index.configure(first, capacity: Tokens(16_000))
        let text = names(1, 3)
        index.note(text, on: first)
        index.prefill(Tokens(16_000), on: first)
        #expect(index.match(text).blocks(on: first) == 3)
        index.prefill(Tokens(16), on: first)
        #expect(index.match(text).count == 0)
        // Used again, it is there again.
        index.note(text, on: first)
        #expect(index.match(text).blocks(on: first) == 3)
    }

    @Test func anEndpointThatBeganAnewHasNothing() {
        for capacity in [nil, Tokens(0), Tokens(60_000)] {
            var index = PrefixIndex(blocks: 1_024)
            index.configure(first, capacity: capacity)
            index.note(names(1, 2), on: first)
            index.note(names(1, 2), on: second)
            index.forget(first)
            let match = index.match(names(1, 2))
            #expect(match.count == 1)
            #expect(match.blocks(on: second) == 2)
            for _ in 0..<10 { index.forget(first) }
            #expect(index.match(names(1, 2)).count == 1)
        }
    }

    @Test func whatMostRequestsBeginWithGivesNoPreference() {
        var index = PrefixIndex(blocks: 4_096)
        let system = names(1, 5)
        for request in 0..<200 {
            // Three of four requests share the system prompt.
            let rest = names(UInt64(100 + request), 2)
            index.note(
                request % 4 == 0 ? names(UInt64(1_000 + request), 7) : system + rest,
                on: request % 2 == 0 ? first : second)
        }
        let fresh = index.match(system + names(9_999, 2))
        #expect(fresh.common == 5)
        #expect(fresh.count == 0)
        #expect(fresh.blocks(on: first) == 5)
        let known = index.match(system + names(101, 2))
        #expect(known.common == 5)
        #expect(known.blocks(on: second) == 7)
        #expect(known.blocks(on: first) == 5)
    }

    @Test func whatWasCommonOnceIsNotForEver() {
        var index = PrefixIndex(blocks: 65_536)
        let old = names(1, 1)
        for _ in 0..<2_000 { index.note(old, on: first) }
        #expect(index.match(old).common == 1)
        for request in 0..<4_000 { index.note(names(UInt64(10 + request), 1), on: first) }
        #expect(index.match(old).common == 0)
        #expect(index.match(old).blocks(on: first) == 1)
    }

    @Test func theOldestOfASetMakesRoom() {
        var index = PrefixIndex(blocks: 4)
        #expect(index.capacity == 4)
        for text in 1...5 { index.note(names(UInt64(text), 1), on: first) }
        #expect(index.match(names(1, 1)).count == 0)
        for text in 2...5 { #expect(index.match(names(UInt64(text), 1)).count == 1) }
        index.note(names(2, 1), on: first)
        index.note(names(6, 1), on: first)
        #expect(index.match(names(2, 1)).count == 1)
        #expect(index.match(names(3, 1)).count == 0)
    }

    /// What a plain dictionary of the same history says, as long as nothing had to make room.
    @Test(arguments: [UInt64(11), 12, 13])
    func itAgreesWithAPlainTable(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var index = PrefixIndex(blocks: 65_536)
        var plain: [UInt64: [Int]] = [:]
        let texts = (0..<40).map { text -> [UInt64] in
            // Every text begins with the beginning of another one.
            let base = names(UInt64(text % 5), 6)
            return Array(base[..<(1 + text % 6)]) + names(UInt64(500 + text), 4)
        }
        for _ in 0..<60 {
            let text = texts[Int(random.next() % 40)]
            let endpoint = Int(random.next() % 7)
            index.note(text, on: EndpointID(endpoint))
            for block in text {
                let others = (plain[block] ?? []).filter { $0 != endpoint }
                plain[block] = Array(([endpoint] + others).prefix(4))
            }
        }
        for text in texts {
            let match = index.match(text)
            guard match.common == 0 else { continue }
            let holders = plain[text[0]] ?? []
            for endpoint in 0..<7 {
                let expected =
                    holders.contains(endpoint)
                    ? text.prefix { plain[$0]?.contains(endpoint) ?? false }.count : 0
                #expect(match.blocks(on: EndpointID(endpoint)) == expected)
            }
        }
    }
}
