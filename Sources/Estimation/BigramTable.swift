// SPDX-License-Identifier: Apache-2.0

import Units

/// What a transition between two byte classes costs in one family of tokenizers, in 1/4096 token.
struct BigramTable: Sendable {
    /// The price of each of the 65,536 pairs of bytes: at the byte before + 256 × the byte, as two
    /// neighbours stand in memory. The pairs that occur in one text fill a few dozen cache lines.
    let prices: [Int16]

    /// Stands in for every tokenizer that has no table of its own.
    static let llama3 = BigramTable(base64: llama3Base64)

    /// `base64` is one of our own literals: 8,192 bytes, little-endian.
    init(base64: StaticString) {
        let bytes = BigramTable.decoded(base64)
        invariant(bytes.count == 8192, "a bigram table has 4,096 entries")
        let classes = (0..<256).map { Int(ByteClass.of(UInt8($0))) }
        prices = (0..<65_536).map { pair in
            let entry = 2 * (classes[pair & 0xFF] << 6 | classes[pair >> 8])
            return Int16(bitPattern: UInt16(bytes[entry]) | UInt16(bytes[entry + 1]) << 8)
        }
    }

    /// RFC 4648 section 4.
    private static func decoded(_ base64: StaticString) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(base64.utf8CodeUnitCount / 4 * 3)
        var group: UInt32 = 0
        var bits = 0
        for symbol in base64.description.utf8 {
            guard let value = value(of: symbol) else { continue }
            group = group << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return bytes
    }

    /// Nil for the padding.
    private static func value(of symbol: UInt8) -> UInt32? {
        switch symbol {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return UInt32(symbol) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return UInt32(symbol) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return UInt32(symbol) + 4
        case UInt8(ascii: "+"): return 62
        case UInt8(ascii: "/"): return 63
        default: return nil
        }
    }
}
