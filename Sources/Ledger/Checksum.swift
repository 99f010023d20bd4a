// SPDX-License-Identifier: Apache-2.0

/// CRC-32C (Castagnoli): finds every torn or altered record but one in four thousand million.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        var word = UInt32(index)
        for _ in 0..<8 { word = word & 1 == 1 ? word >> 1 ^ 0x82F6_3B78 : word >> 1 }
        return word
    }

    static func of(_ bytes: RawSpan) -> UInt32 {
        var sum = UInt32.max
        let table = table
        for offset in 0..<bytes.byteCount {
            let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            sum = sum >> 8 ^ table[Int((sum ^ UInt32(byte)) & 0xFF)]
        }
        return ~sum
    }
}
