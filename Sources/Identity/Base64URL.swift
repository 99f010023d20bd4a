// SPDX-License-Identifier: Apache-2.0

import Wire

/// Base64 with the alphabet for URLs and without padding (RFC 4648 section 5, RFC 7515 section 2).
public enum Base64URL {
    /// The bytes that `text` spells; nil for what is not canonical, so that no two texts spell the
    /// same.
    public static func decode(_ text: RawSpan) -> [UInt8]? {
        guard text.byteCount % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.byteCount * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for place in 0..<text.byteCount {
            guard let value = value(of: text.octet(place)) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
                bits &= 1 << UInt32(count) - 1
            }
        }
        return bits == 0 ? bytes : nil
    }

    private static func value(of byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte - 0x41)
        case 0x61...0x7A: UInt32(byte - 0x61 + 26)
        case 0x30...0x39: UInt32(byte - 0x30 + 52)
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
