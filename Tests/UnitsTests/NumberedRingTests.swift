// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("Rings of numbered things")
struct NumberedRingTests {
    private func ring(_ limit: Int, upTo last: Int) -> NumberedRing<Int> {
        var ring = NumberedRing<Int>(limit: limit)
        for number in 0..<last { ring.put(UInt64(number + 1), 10 * (number + 1)) }
        return ring
    }

    @Test("the latest are kept, and the older ones have given way")
    func latest() {
        let ring = ring(4, upTo: 10)
        #expect((1...6).allSatisfy { ring[$0] == nil })
        #expect((7...11).map { ring[$0] } == [70, 80, 90, 100, nil])
    }

    @Test("a newer one is not replaced by an older one that comes late")
    func late() {
        var ring = ring(4, upTo: 10)
        ring.put(6, 60)
        #expect(ring[6] == nil)
        #expect(ring[10] == 100)
    }

    @Test("numbers may be skipped")
    func skipped() {
        var ring = NumberedRing<Int>(limit: 4)
        ring.put(7, 70)
        #expect((0...8).map { ring[$0] } == [nil, nil, nil, nil, nil, nil, nil, 70, nil])
    }

    @Test("what is there is changed in place, what is not is not")
    func update() {
        var ring = ring(2, upTo: 3)
        #expect(ring.update(3) { $0 += 1 })
        #expect(!ring.update(1) { $0 += 1 })
        #expect(!ring.update(0) { $0 += 1 })
        #expect(ring[3] == 31)
        #expect(ring[2] == 20)
    }

    @Test("without room nothing is kept, and the number zero finds nothing")
    func none() {
        var ring = ring(0, upTo: 3)
        #expect(ring[3] == nil)
        ring = self.ring(3, upTo: 0)
        ring.put(0, 5)
        #expect(ring[0] == nil)
    }

    @Test("the newest of those that are meant is found")
    func newest() {
        let ring = ring(4, upTo: 10)
        #expect(ring.newest { $0 < 95 }?.element == 90)
        #expect(ring.newest { _ in true }?.number == 10)
        #expect(ring.newest { $0 > 100 } == nil)
    }

    @Test("another size keeps the newest", arguments: [1, 3, 4, 9, 100])
    func resize(limit: Int) {
        var ring = ring(8, upTo: 20)
        ring.resize(to: limit)
        #expect(ring.limit == limit)
        let kept = (1...20).filter { ring[UInt64($0)] != nil }
        #expect(kept == Array((21 - min(limit, 8))...20))
        ring.put(21, 210)
        #expect(ring[21] == 210)
    }
}
