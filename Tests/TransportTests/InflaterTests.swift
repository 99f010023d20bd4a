// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport
import Units

/// Packed bodies, a piece at a time.
@Suite struct InflaterTests {
    /// `hello, hello, hello`
    private static let hello: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xCB, 0x48, 0xCD, 0xC9, 0xC9,
        0xD7, 0x51, 0xC8, 0x40, 0xA2, 0x00, 0x9F, 0xA1, 0xCA, 0x09, 0x13, 0x00, 0x00, 0x00,
    ]
    /// 128 KiB of zeros: as much as two steps write.
    private static let zeros: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xED, 0xC1, 0x31, 0x01, 0x00,
        0x00, 0x00, 0xC2, 0xA0, 0xF5, 0x4F, 0xED, 0x61, 0x0D, 0xA0, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x6E, 0xCD, 0xCD, 0xE8, 0x7E, 0x00, 0x00, 0x02, 0x00,
    ]

    private func unpack(
        _ packed: [UInt8], limit: Int = 1 << 20, ratio: Int = .max
    ) -> (outcome: Inflater.Outcome, bytes: [UInt8]) {
        let inflater = Inflater(limit: limit, ratio: ratio)
        var unpacked = ByteBuffer()
        while true {
            let before = unpacked.count
            let outcome = unsafe packed.withUnsafeBytes { bytes in
                unsafe inflater.step(bytes, into: &unpacked)
            }
            #expect(unpacked.count - before <= 65_536, "a step is a piece")
            if outcome != .more { return unsafe (outcome, Array(unpacked.readable)) }
        }
    }

    @Test func aMemberIsUnpacked() {
        let (outcome, bytes) = unpack(Self.hello)
        #expect(outcome == .done)
        #expect(bytes == Array("hello, hello, hello".utf8))
    }

    @Test func membersInARowAreOneBody() {
        let (outcome, bytes) = unpack(Self.hello + Self.zeros + Self.hello)
        #expect(outcome == .done)
        #expect(bytes.count == 2 * 19 + 131_072)
        #expect(bytes.suffix(19) == Array("hello, hello, hello".utf8)[...])
    }

    @Test func whatEndsEarlyIsNotWhole() {
        for packed in [Self.hello, Self.zeros] {
            for count in 0..<packed.count {
                #expect(unpack(Array(packed[..<count])).outcome == .endsEarly, "\(count)")
            }
        }
    }

    @Test func whatIsDamagedIsRefused() {
        for place in [0, 1, 2, Self.hello.count - 8, Self.hello.count - 1] {
            var packed = Self.hello
            packed[place] ^= 0x55
            #expect(unpack(packed).outcome == .damaged, "\(place)")
        }
        #expect(unpack(Self.hello + [0x7B, 0x7D]).outcome == .damaged)
        // Deflate without the frame of gzip.
        #expect(unpack([0x78, 0x9C, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]).outcome == .damaged)
    }

    @Test func theLimitIsOfWhatIsUnpacked() {
        #expect(unpack(Self.hello, limit: 19).outcome == .done)
        let (outcome, bytes) = unpack(Self.hello, limit: 18)
        #expect(outcome == .tooLarge)
        #expect(bytes.count == 19)
        #expect(unpack(Self.zeros, limit: 131_072).outcome == .done)
        #expect(unpack(Self.zeros, limit: 131_071).outcome == .tooLarge)
    }

    /// Nothing is said of the first 64 KiB; then it is refused long before it is all unpacked.
    @Test func aBombIsRefusedEarly() {
        let packed = [[UInt8]](repeating: Self.zeros, count: 64).flatMap(\.self)
        let (outcome, bytes) = unpack(packed, limit: 1 << 30, ratio: 100)
        #expect(outcome == .tooDense)
        #expect(bytes.count <= 131_072)
        #expect(unpack(packed, limit: 1 << 30, ratio: 1_032).outcome == .done)
        #expect(unpack(Self.hello, ratio: 1).outcome == .done)
    }
}
