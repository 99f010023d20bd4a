// SPDX-License-Identifier: Apache-2.0

/// Reads the tables that stand in the source as Base64.
struct TableText {
    private let bytes: [UInt8]
    private var at = 0

    /// `base64` is one of our own literals.
    init(_ base64: StaticString) { bytes = TableText.decoded(base64) }

    var isAtEnd: Bool { at >= bytes.count }

    /// All of it.
    static func decoded(_ base64: StaticString) -> [UInt8] {
        unsafe Base64.decoded(
            UnsafeBufferPointer(start: base64.utf8Start, count: base64.utf8CodeUnitCount)) ?? []
    }

    mutating func byte() -> UInt8 {
        at += 1
        return bytes[at - 1]
    }

    /// Seven bits a byte, the lowest first.
    mutating func number() -> Int {
        var value = 0
        var shift = 0
        while true {
            let next = byte()
            value |= Int(next & 0x7F) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }
}

/// RFC 4648 section 4.
enum Base64 {
    /// Nil when a symbol is none of the alphabet's; padding may be left out.
    static func decoded(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        var isPadded = false
        for symbol in text {
            if symbol == UInt8(ascii: "=") {
                isPadded = true
                continue
            }
            guard !isPadded, let value = value(of: symbol) else { return nil }
            group = group << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        return bytes
    }

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
