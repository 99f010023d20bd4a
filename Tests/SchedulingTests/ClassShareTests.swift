// SPDX-License-Identifier: Apache-2.0

import Scheduling
import Testing
import Units

@Suite("ClassShare")
struct ClassShareTests {
    @Test("who waits without end gets a twentieth of the cost", arguments: [1, 30, 1_000, 20_000])
    func share(own: Int) {
        var share = ClassShare()
        var random = SplitMix64(seed: 7)
        var (others, owns) = (0, 0)
        while others < 50_000_000 {
            if share.isDue(Tokens(own)) {
                share.own(Tokens(own))
                owns += own
            } else {
                let cost = 1 + Int(random.next() % 4_000)
                share.others(Tokens(cost))
                others += cost
            }
        }
        #expect(abs(Double(owns) / Double(owns + others) - 0.05) < 0.0005)
    }

    @Test("it is not due before something was dispatched, nor after it has rested")
    func rests() {
        var share = ClassShare()
        #expect(!share.isDue(.zero) && !share.isDue(Tokens(100)))
        share.others(Tokens(999))
        #expect(!share.isDue(Tokens(100)))
        share.others(Tokens(1))
        #expect(share.isDue(Tokens(100)))
        share.rests()
        #expect(!share.isDue(Tokens(100)))
    }

    @Test("however much it had when nobody was before it, it is due again after one share")
    func bounded() {
        var share = ClassShare()
        for _ in 0..<1_000 { share.own(Tokens(100)) }
        share.others(Tokens(1_999))
        #expect(!share.isDue(Tokens(100)))
        share.others(Tokens(1))
        #expect(share.isDue(Tokens(100)))
    }

    @Test("one who comes alone again and again gets no more than that")
    func oneByOne() {
        var share = ClassShare()
        var turns = 0
        for _ in 0..<20_000 {
            share.others(Tokens(100))
            if share.isDue(Tokens(100)) {
                share.own(Tokens(100))
                share.rests()
                turns += 1
            }
        }
        #expect((1_000...1_060).contains(turns))
    }
}
