// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

private let start = Instant(nanoseconds: 1_000_000_000)

@Suite("PrefillShare: the part of each second that prompts may take")
struct PrefillShareTests {
    private var share = PrefillShare(from: 0.3, least: 0.1, most: 0.6)

    @Test("it moves towards the queue that grows faster, and stops at its bounds")
    mutating func moves() {
        let hasMoved = share.move(.prefill, isFull: false)
        #expect(hasMoved)
        #expect(abs(share.now - 0.35) < 1e-12)
        for _ in 0..<20 { _ = share.move(.prefill, isFull: false) }
        #expect(share.now == 0.6)
        let goesOn = share.move(.prefill, isFull: false)
        #expect(!goesOn)
        for _ in 0..<20 { _ = share.move(.decode, isFull: false) }
        #expect(share.now == 0.1)
        let drifts = share.move(.neither, isFull: false)
        #expect(!drifts)
    }

    @Test("a cache that is nearly full takes from prompts whatever waits")
    mutating func full() {
        _ = share.move(.prefill, isFull: true)
        #expect(abs(share.now - 0.25) < 1e-12)
        for _ in 0..<10 { _ = share.move(.none, isFull: true) }
        #expect(share.now == 0.1)
    }

    @Test("when nobody waits it goes back to where it began, and stays there")
    mutating func returns() {
        for _ in 0..<20 { _ = share.move(.prefill, isFull: false) }
        for _ in 0..<30 { _ = share.move(.none, isFull: false) }
        #expect(abs(share.now - 0.3) < 1e-12)
        for _ in 0..<20 { _ = share.move(.decode, isFull: false) }
        for _ in 0..<30 { _ = share.move(.none, isFull: false) }
        #expect(abs(share.now - 0.3) < 1e-12)
    }

    @Test("without a target it is what prompts may have of each second")
    func bounds() {
        var budget = PromptBudget(target: nil, share: share, perPrompt: 100e-6)
        #expect(budget.isBounded)
        #expect(budget.part == 0.3)
        #expect(abs(budget.perSecond - 3_000) < 1e-6)
        budget.admit(Tokens(2_000), now: start)
        #expect(!budget.takes(isIdle: false, now: start))
        #expect(budget.takes(isIdle: true, now: start))
        #expect(budget.takes(isIdle: false, now: start + .seconds(1)))
        _ = budget.move(.prefill, isFull: false)
        budget.adjust(decoding: 10, resident: Tokens(1_000))
        #expect(abs(budget.perSecond - 3_500) < 1e-6)
    }

    @Test("with a target that alone tells it; without either there is no bound")
    func target() {
        let target = Duration.milliseconds(50)
        var both = PromptBudget(target: target, share: share, perPrompt: 100e-6)
        let alone = PromptBudget(target: target, perPrompt: 100e-6)
        #expect(both.perSecond == alone.perSecond)
        both.configure(target: nil, share: share)
        #expect(both.part == 0.3)
        both.configure(target: nil)
        #expect(!both.isBounded)
        #expect(both.takes(isIdle: false, now: start))
        both.admit(Tokens(1_000_000), now: start)
        #expect(both.wait(start) == .zero)
    }

    @Test("whatever happens it stays within its bounds", arguments: 0..<20 as Range<UInt64>)
    func stays(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var share = PrefillShare(from: 0.3, least: 0.1, most: 0.6)
        let growths: [PrefillShare.Growth] = [.prefill, .decode, .neither, .none]
        for _ in 0..<500 {
            _ = share.move(growths[Int(random.next() % 4)], isFull: random.next() % 5 == 0)
            #expect(share.now >= 0.1 && share.now <= 0.6, "seed \(seed)")
        }
    }
}
