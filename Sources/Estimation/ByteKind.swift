// SPDX-License-Identifier: Apache-2.0

/// What a byte does to the word that it stands in or ends.
enum ByteKind: UInt8, CaseIterable {
    case space, tab, lineEnd, mark, digit, upper, lower
    /// The lead byte of a Latin letter beyond ASCII: it goes on with a word.
    case letter
    /// A continuation byte: nothing changes.
    case continuation
    // Lead bytes of the other scripts.
    case greek, cyrillic, hebrew, arabic, indic, georgian, symbol, kana, han, hangul, beyond

    init(_ byte: UInt8) {
        switch byte {
        case 0x20: self = .space
        case 0x09: self = .tab
        case 0x0A, 0x0D: self = .lineEnd
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self = .digit
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): self = .upper
        case UInt8(ascii: "a")...UInt8(ascii: "z"): self = .lower
        case 0x00..<0x80: self = .mark
        case 0x80..<0xC0: self = .continuation
        case 0xC0..<0xCE: self = .letter
        default: self = ByteKind.script(byte)
        }
    }

    private static func script(_ lead: UInt8) -> ByteKind {
        switch lead {
        case 0xCE..<0xD0: .greek
        case 0xD0..<0xD4: .cyrillic
        case 0xD4..<0xD6: .hebrew
        case 0xD6..<0xE0: .arabic
        case 0xE0: .indic
        case 0xE1: .georgian
        case 0xE2: .symbol
        case 0xE3: .kana
        case 0xE4..<0xEA: .han
        case 0xEA..<0xEE: .hangul
        default: .beyond
        }
    }

    /// A word of this kind begins anew behind any other kind, so that what was before it does not
    /// matter.
    var beginsAlone: Bool {
        switch self {
        case .digit, .upper, .lower, .letter, .continuation: false
        default: true
        }
    }
}
