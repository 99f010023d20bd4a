// SPDX-License-Identifier: Apache-2.0

/// The classes of bytes between which the estimator counts transitions.
enum ByteClass {
    static let count = 89

    /// Lower case one by one, 26 upper case, 27 digits, 28 space, 29 line ends, 30 controls, 31–39
    /// groups of punctuation, 40–55 continuation bytes by fours, 56–71 lead bytes of two by twos,
    /// 72–87 those of three one by one, 88 those of four.
    static func of(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return byte - UInt8(ascii: "a")
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return 27
        case 0x20: return 28
        case 0x0A, 0x0D: return 29
        case 0x00..<0x20, 0x7F: return 30
        case 0x21..<0x7F: return punctuation(byte)
        case 0x80..<0xC0: return 40 + (byte - 0x80) >> 2
        // By the scripts that the lead bytes open.
        case 0xC0..<0xE0: return 56 + (byte - 0xC0) >> 1
        case 0xE0..<0xF0: return 72 + (byte - 0xE0)
        default: return 88
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
}
