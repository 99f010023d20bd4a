// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing
import Units

@Suite struct TokenTests {
    @Test(arguments: [0, 1, 127, 255] as [UInt8])
    func aTokenGivesBackItsKindAndKey(kind: UInt8) {
        for raw in [0, 1, 1 << 32 | 5, 1 << 56 - 1] as [UInt64] {
            let token = Token(kind: kind, key: SlabKey(raw: raw))
            #expect(token.kind == kind)
            #expect(token.key == SlabKey(raw: raw))
        }
    }

    @Test func tokensOfDifferentKindOrKeyDiffer() {
        let key = SlabKey(raw: 9)
        #expect(Token(kind: 1, key: key) != Token(kind: 2, key: key))
        #expect(Token(kind: 1, key: key) != Token(kind: 1, key: SlabKey(raw: 10)))
    }

    @Test func anEventForAReusedSlotOfTheSameBatchFindsNothing() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.v4.address(in: folder)
        let pair = try Pair(address)
        let poller = try Poller()
        var slab = Slab<String>(limit: 4)
        let old = try #require(slab.nextKey)
        _ = slab.insert("old")
        try poller.add(pair.client.descriptor, .write, Token(kind: 3, key: old))
        let now = MonotonicClock.now()
        #expect(try poller.wait(until: now + patience, now: now) == 1)

        poller.remove(pair.client.descriptor)
        slab.remove(old)
        let fresh = try #require(slab.nextKey)
        _ = slab.insert("fresh")

        let stale = poller.event(0).token
        #expect(stale.key.slot == fresh.slot)
        #expect(slab[stale.key] == nil)
        #expect(slab[fresh] == "fresh")
    }
}
