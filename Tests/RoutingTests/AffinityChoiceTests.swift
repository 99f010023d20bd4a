// SPDX-License-Identifier: Apache-2.0

import Routing
import Testing
import Units

private func names(_ text: UInt64, _ count: Int) -> [UInt64] {
    var random = SplitMix64(seed: text)
    return (0..<count).map { _ in random.next() }
}

/// An offer of an endpoint that prefills 10,000 tokens a second.
private func offer(
    _ place: Int, committed: Int = 0, rate: Double = 10_000, share: Double = 0
) -> AffinityChoice.Offer {
    AffinityChoice.Offer(
        endpoint: EndpointID(place), committed: Tokens(committed), rate: rate, share: share)
}

private func choose(
    _ offers: [AffinityChoice.Offer], _ blocks: [UInt64], _ index: PrefixIndex,
    prompt: Int? = nil, gate: Duration = .seconds(1)
) -> Int? {
    var choice = AffinityChoice(
        index.match(blocks), blocks: blocks, prompt: Tokens(prompt ?? blocks.count * 128),
        textBytes: blocks.count * 512, gate: gate)
    for offer in offers { choice.offer(offer) }
    if let settled = choice.settled { return settled.index }
    var best: (Int, UInt64)?
    for offer in offers {
        if let rank = choice.hashed(offer), rank >= best?.1 ?? 0 {
            best = (offer.endpoint.index, rank)
        }
    }
    return best?.0 ?? choice.fallback?.index
}

struct AffinityChoiceTests {
    @Test func nobodyIsChosenWhereNobodyHasRoom() {
        #expect(choose([], names(1, 3), PrefixIndex(blocks: 64)) == nil)
    }

    @Test func aPromptStaysWhereItIsWarmUntilTheGate() {
        var index = PrefixIndex(blocks: 1_024)
        let text = names(1, 40)
        index.note(text, on: EndpointID(1))
        // 5,120 tokens: half a second cold, nothing warm.
        #expect(choose([offer(0), offer(1), offer(2)], text, index) == 1)
        // 1.4 s behind others there, 0.512 s cold elsewhere: within a gate of 1 s.
        #expect(choose([offer(0), offer(1, committed: 14_000)], text, index) == 1)
        #expect(choose([offer(0), offer(1, committed: 16_000)], text, index) == 0)
        #expect(
            choose([offer(0), offer(1, committed: 14_000)], text, index, gate: .zero) == 0)
    }

    @Test func theWarmestIsTheOneWithTheMostBlocks() {
        var index = PrefixIndex(blocks: 1_024)
        let text = names(1, 40)
        index.note(Array(text[..<10]), on: EndpointID(0))
        index.note(text, on: EndpointID(2))
        #expect(choose([offer(0), offer(1), offer(2)], text, index) == 2)
        // Of two that are as warm the quicker one.
        index.note(text, on: EndpointID(1))
        #expect(choose([offer(0), offer(1, committed: 10), offer(2)], text, index) == 2)
    }

    @Test func aShortPromptGoesWhereTheDelayIsLeast() {
        let index = PrefixIndex(blocks: 64)
        let offers = [offer(0, committed: 900), offer(1, committed: 500), offer(2, committed: 800)]
        #expect(choose(offers, [], index, prompt: 20) == 1)
        // Rates count, not tokens alone.
        let rates = [offer(0, committed: 500), offer(1, committed: 600, rate: 20_000)]
        #expect(choose(rates, [], index, prompt: 20) == 1)
        // Between equals the emptier one.
        #expect(choose([offer(0, share: 0.5), offer(1, share: 0.2)], [], index, prompt: 20) == 1)
    }

    @Test func coldPromptsThatBeginAlikeMeet() {
        let index = PrefixIndex(blocks: 64)
        let offers = (0..<8).map { offer($0) }
        var chosen: Set<Int> = []
        for text in 0..<200 {
            let begin = names(UInt64(text), 1)
            let place = choose(offers, begin + names(UInt64(1_000 + text), 4), index)
            #expect(place == choose(offers, begin + names(UInt64(2_000 + text), 9), index))
            if let place { chosen.insert(place) }
        }
        #expect(chosen.count == 8)
    }

    @Test func anEndpointThatLeavesMovesOnlyItsOwnPrompts() {
        let index = PrefixIndex(blocks: 64)
        let all = (0..<8).map { offer($0) }
        for text in 0..<200 {
            let blocks = names(UInt64(text), 3)
            let before = choose(all, blocks, index)
            let after = choose(all.filter { $0.endpoint.index != 5 }, blocks, index)
            if before != 5 { #expect(before == after) }
        }
    }

    /// One prefix with most of the traffic must not bury one endpoint.
    @Test func hashingNeverLoadsOneBeyondTheBound() {
        let index = PrefixIndex(blocks: 64)
        var committed = [Int](repeating: 0, count: 8)
        let blocks = names(1, 10)
        for _ in 0..<800 {
            let offers = (0..<8).map { offer($0, committed: committed[$0]) }
            guard let place = choose(offers, blocks, index) else { continue }
            committed[place] += 1_280
        }
        let mean = Double(committed.reduce(0, +)) / 8
        #expect(Double(committed.max() ?? 0) <= 1.25 * mean + 1_280)
    }
}
