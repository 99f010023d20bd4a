// SPDX-License-Identifier: Apache-2.0

import Units

/// What a transition between two byte classes costs in one family of tokenizers, in 1/4096 token.
public struct BigramTable: Sendable {
    /// 4,096 entries: 64 × the class before + the class.
    let entries: [Int16]
    /// The class of each byte, 0 ..< 64.
    let classes: [UInt8]

    /// Stands in for every tokenizer that has no table of its own.
    public static let llama3 = BigramTable(base64: llama3Base64)

    /// `base64` is one of our own literals: 8,192 bytes, little-endian.
    init(base64: StaticString) {
        let bytes = BigramTable.decoded(base64)
        invariant(bytes.count == 8192, "a bigram table has 4,096 entries")
        entries = (0..<4096).map { index in
            Int16(bitPattern: UInt16(bytes[2 * index]) | UInt16(bytes[2 * index + 1]) << 8)
        }
        classes = (0..<256).map { ByteClass.of(UInt8($0)) }
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
