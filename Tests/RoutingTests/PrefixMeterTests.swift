// SPDX-License-Identifier: Apache-2.0

import Routing
import TestSupport
import Testing
import Units

private func blocks(_ pieces: [[UInt8]], maxBlocks: Int = 64) -> [UInt64] {
    var meter = PrefixMeter(maxBlocks: maxBlocks)
    for piece in pieces { piece.withRaw { meter.feed($0) } }
    return meter.blocks
}

private func text(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in UInt8(0x20 + random.next() % 0x5F) }
}

struct PrefixMeterTests {
    @Test func aBlockHasANameWhenItIsFull() {
        let long = text(1_600, seed: 1)
        #expect(blocks([Array(long[..<511])]).isEmpty)
        #expect(blocks([Array(long[..<512])]).count == 1)
        #expect(blocks([Array(long[..<1_023])]).count == 1)
        #expect(blocks([long]).count == 3)
        #expect(blocks([long], maxBlocks: 2) == Array(blocks([long])[..<2]))
    }

    @Test(arguments: [UInt64(2), 3, 4, 5])
    func namesDoNotDependOnThePieces(seed: UInt64) {
        let whole = text(4_000, seed: seed)
        var random = SplitMix64(seed: seed)
        var pieces: [[UInt8]] = []
        var start = 0
        while start < whole.count {
            let end = min(whole.count, start + Int(random.next() % 40))
            pieces.append(Array(whole[start..<end]))
            start = end
        }
        #expect(blocks(pieces) == blocks([whole]))
    }

    @Test func namesAreSharedUpToTheFirstDifference() {
        let first = text(4_096, seed: 6)
        for change in [0, 7, 511, 512, 1_800, 4_095] {
            var second = first
            second[change] ^= 1
            let names = (blocks([first]), blocks([second]))
            let same = zip(names.0, names.1).prefix { $0 == $1 }.count
            #expect(same == change / 512)
            // A name speaks of all that stands before, so they never meet again.
            #expect(zip(names.0, names.1).dropFirst(same).allSatisfy { $0 != $1 })
        }
    }

    @Test func aBoundaryIsPartOfTheText() {
        let first = text(300, seed: 7)
        let second = text(300, seed: 8)
        var separate = PrefixMeter(maxBlocks: 8)
        first.withRaw { separate.feed($0) }
        separate.boundary()
        second.withRaw { separate.feed($0) }
        #expect(separate.blocks.count == 1)
        #expect(separate.blocks != blocks([first, second]))
    }

    @Test func aResetForgetsEverything() {
        var meter = PrefixMeter(maxBlocks: 8)
        text(701, seed: 9).withRaw { meter.feed($0) }
        meter.reset()
        let next = text(1_024, seed: 10)
        next.withRaw { meter.feed($0) }
        #expect(meter.blocks == blocks([next]))
    }
}
