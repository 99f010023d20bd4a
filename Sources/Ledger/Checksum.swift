// SPDX-License-Identifier: Apache-2.0

/// CRC-32C (Castagnoli): finds every torn or altered record but one in four thousand million.
///
/// Eight bytes at a time (M. Kounavis, F. Berry, "Novel Table Lookup-Based Algorithms for
/// High-Performance CRC Generation"): the table has eight parts, the first one of which is the
/// usual one.
enum Checksum {
    private static let table: [UInt32] = {
        var table = (0..<256).map { index in
            var word = UInt32(index)
            for _ in 0..<8 { word = word & 1 == 1 ? word >> 1 ^ 0x82F6_3B78 : word >> 1 }
            return word
        }
        for place in 256..<2_048 {
            let before = table[place - 256]
            table.append(before >> 8 ^ table[Int(before & 0xFF)])
        }
        return table
    }()

    static func of(_ bytes: RawSpan) -> UInt32 {
        unsafe table.withUnsafeBufferPointer { unsafe sum(bytes, $0) }
    }

    /// Places in the table are made of single bytes, so they are in it.
    private static func sum(_ bytes: RawSpan, _ table: UnsafeBufferPointer<UInt32>) -> UInt32 {
        func part(_ number: Int, _ word: UInt64, _ shift: UInt64) -> UInt32 {
            unsafe table[number << 8 | Int(word >> shift & 0xFF)]
        }
        var sum = UInt32.max
        var offset = 0
        while offset + 8 <= bytes.byteCount {
            let loaded = unsafe bytes.unsafeLoadUnaligned(
                fromByteOffset: offset, as: UInt64.self)
            let word = UInt64(littleEndian: loaded) ^ UInt64(sum)
            let low = part(7, word, 0) ^ part(6, word, 8) ^ part(5, word, 16) ^ part(4, word, 24)
            let high = part(3, word, 32) ^ part(2, word, 40) ^ part(1, word, 48)
            sum = low ^ high ^ part(0, word, 56)
            offset += 8
        }
        while offset < bytes.byteCount {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            sum = sum >> 8 ^ part(0, UInt64(sum ^ UInt32(byte)), 0)
            offset += 1
        }
        return ~sum
    }
}
