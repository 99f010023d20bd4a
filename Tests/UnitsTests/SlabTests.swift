// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("Slab")
struct SlabTests {
    private func inserted(_ key: SlabKey?) throws -> SlabKey { try #require(key) }

    @Test("an element is found under its key, and nothing under a stale one")
    func generations() throws {
        var slab = Slab<String>(limit: 2)
        let first = try inserted(slab.insert("first"))
        #expect(slab[first] == "first")
        let (removed, again) = (slab.remove(first), slab.remove(first))
        #expect(removed == "first" && again == nil)
        #expect(slab[first] == nil)
        let second = try inserted(slab.insert("second"))
        #expect(second.slot == first.slot)
        #expect(second != first)
        #expect(slab[first] == nil)
        #expect(slab[second] == "second")
        #expect(slab.count == 1)
    }

    @Test("a full slab takes nothing, until something leaves")
    func limit() throws {
        var slab = Slab<Int>(limit: 3)
        let keys = (0..<3).compactMap { slab.insert($0) }
        #expect(keys.count == 3)
        #expect(slab.isFull)
        #expect(slab.nextKey == nil)
        let surplus = slab.insert(3)
        #expect(surplus == nil)
        #expect(slab.count == 3)
        slab.remove(keys[1])
        #expect(!slab.isFull)
        let key = try inserted(slab.insert(4))
        #expect(key.slot == keys[1].slot)
        var empty = Slab<Int>(limit: 0)
        let none = empty.insert(1)
        #expect(none == nil)
    }

    @Test("the next key is the one that the next insertion gives")
    func nextKey() {
        var slab = Slab<Int>(limit: 4)
        for round in 0..<20 {
            let announced = slab.nextKey
            let key = slab.insert(round)
            #expect(key == announced)
            if let key, round % 3 != 0 || slab.isFull { slab.remove(key) }
        }
    }

    @Test("an element is changed in place, and not under a stale key")
    func update() throws {
        var slab = Slab<[Int]>(limit: 2)
        let key = try inserted(slab.insert([1]))
        let isThere = slab.update(key) { $0.append(2) }
        #expect(isThere)
        #expect(slab[key] == [1, 2])
        slab.remove(key)
        var wasCalled = false
        let isStillThere = slab.update(key) { _ in wasCalled = true }
        #expect(!isStillThere)
        #expect(!wasCalled)
    }

    @Test("keys never given out find nothing")
    func unknownKeys() {
        var slab = Slab<Int>(limit: 4)
        _ = slab.insert(7)
        for raw in [0, 1, 1 << 32 | 1, 2 << 32, UInt64.max] as [UInt64] {
            let found = slab[SlabKey(raw: raw)]
            #expect(found == nil, "\(raw)")
        }
        // The top eight bits are the holder's own.
        #expect(slab[SlabKey(raw: 0xAB << 56 | 1 << 32)] == 7)
    }

    @Test("a slot's generation comes around after 2^24 tenants, and its key stays within 56 bits")
    func wrapping() throws {
        var slab = Slab<Int>(limit: 1)
        let first = try inserted(slab.insert(0))
        slab.remove(first)
        var last = first
        for round in 1..<(1 << 24) {
            guard let key = slab.insert(round) else { break }
            last = key
            slab.remove(key)
        }
        #expect(last != first)
        #expect(last.raw >> 56 == 0)
        let again = try inserted(slab.insert(1))
        #expect(again == first)
    }

    @Test("it behaves like a dictionary of unlike keys", arguments: 0..<20 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var slab = Slab<Int>(limit: 16)
        var present: [(key: SlabKey, value: Int)] = []
        var gone: [SlabKey] = []
        for step in 0..<2_000 {
            if random.next() % 2 == 0 {
                let key = slab.insert(step)
                #expect((key == nil) == (present.count == 16))
                if let key {
                    #expect(!present.contains { $0.key == key } && !gone.contains(key))
                    present.append((key, step))
                }
            } else if !present.isEmpty {
                let (key, value) = present.remove(at: Int(random.next() % UInt64(present.count)))
                let removed = slab.remove(key)
                #expect(removed == value)
                gone.append(key)
            }
            #expect(slab.count == present.count)
        }
        for (key, value) in present { #expect(slab[key] == value) }
        let isAnyThere = gone.contains { slab[$0] != nil }
        #expect(!isAnyThere)
        var seen: [SlabKey] = []
        slab.each { key, value in
            #expect(present.contains { $0.key == key && $0.value == value })
            seen.append(key)
        }
        #expect(seen.count == present.count)
        #expect(seen.map(\.slot) == seen.map(\.slot).sorted())
    }

    @Test("a request's name holds its worker and its key")
    func requestID() throws {
        var slab = Slab<Int>(limit: 3)
        for _ in 0..<3 { _ = slab.insert(0) }
        var key: SlabKey?
        slab.each { found, _ in key = found }
        let last = try #require(key)
        for worker in [0, 1, 255] {
            let id = RequestID(worker: worker, key: last)
            #expect(id.worker == worker)
            #expect(id.key == last)
        }
    }
}
