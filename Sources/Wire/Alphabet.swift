// SPDX-License-Identifier: Apache-2.0

/// What a field value may be made of.
enum Alphabet: Sendable {
    /// Visible ASCII, space and tab. What RFC 9110 section 5.5 calls obs-text (0x80 to 0xFF) is
    /// refused in requests: no field with a meaning here or at an engine holds it, and two readers
    /// that differ on its charset can be made to see different values.
    case ascii
    /// The same and obs-text: engines may send it, and it is theirs to answer for.
    case obsText

    /// Flags control bytes, tab among them, and in `ascii` all bytes from 0x80 on.
    @inline(__always)
    func unusual(_ word: UInt64) -> UInt64 {
        switch self {
        case .ascii:
            return ((word &- Lanes.ones &* 0x20) | (word &+ Lanes.ones) | word) & Lanes.highs
        case .obsText:
            let delete = word ^ Lanes.ones &* 0x7F
            return (((word &- Lanes.ones &* 0x20) & ~word) | ((delete &- Lanes.ones) & ~delete))
                & Lanes.highs
        }
    }
    @inline(__always)
    func allows(_ byte: UInt8) -> Bool {
        if byte >= 0x80 { return self == .obsText }
        return (byte >= Byte.space && byte != 0x7F) || byte == Byte.tab
    }
}
