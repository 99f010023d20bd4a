// SPDX-License-Identifier: Apache-2.0

/// The 64 classes of bytes between which the estimator counts transitions.
enum ByteClass {
    /// Lower case one by one, 26 upper case, 27 digits, 28 space, 29 line ends, 30 controls, 31–39
    /// groups of punctuation, 40–47 continuation bytes by eights, 48–63 lead bytes by script.
    static func of(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return byte - UInt8(ascii: "a")
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return 27
        case 0x20: return 28
        case 0x0A, 0x0D: return 29
        case 0x00..<0x20, 0x7F: return 30
        case 0x21..<0x7F: return punctuation(byte)
        case 0x80..<0xC0: return 40 + (byte - 0x80) >> 3
        default: return lead(byte)
        }
    }

    private static func punctuation(_ byte: UInt8) -> UInt8 {
        switch Character(UnicodeScalar(byte)) {
        case "\"", "'": return 31
        case ",", ";": return 32
        case ".", ":": return 33
        case "-": return 34
        case "_": return 35
        case "/", "\\": return 36
        case "(", ")", "<", ">", "[", "]", "{", "}": return 37
        case "*", "+", "=": return 38
        default: return 39
        }
    }

    /// By the scripts that the lead bytes open: Latin, Greek, Cyrillic, Hebrew, Arabic, Indic,
    /// kana, Han, Hangul, and all beyond.
    private static func lead(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0xC0..<0xC4: return 48
        case 0xC4..<0xC6: return 49
        case 0xC6..<0xCE: return 50
        case 0xCE..<0xD0: return 51
        case 0xD0..<0xD2: return 52
        case 0xD2..<0xD6: return 53
        case 0xD6..<0xD8: return 54
        case 0xD8..<0xE0: return 55
        case 0xE0..<0xE4: return 56 + (byte - 0xE0)
        case 0xE4..<0xE7: return 60
        case 0xE7..<0xEA: return 61
        case 0xEA..<0xEE: return 62
        default: return 63
        }
    }
}
