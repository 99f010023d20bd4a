// SPDX-License-Identifier: Apache-2.0

/// The bytes that the parsers name.
enum Byte {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let hash: UInt8 = 0x23
    static let percent: UInt8 = 0x25
    static let asterisk: UInt8 = 0x2A
    static let comma: UInt8 = 0x2C
    static let dot: UInt8 = 0x2E
    static let slash: UInt8 = 0x2F
    static let zero: UInt8 = 0x30
    static let nine: UInt8 = 0x39
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let question: UInt8 = 0x3F
    static let at: UInt8 = 0x40
    static let openBracket: UInt8 = 0x5B
    static let backslash: UInt8 = 0x5C
    static let closeBracket: UInt8 = 0x5D
    static let openBrace: UInt8 = 0x7B
    static let closeBrace: UInt8 = 0x7D
}

extension UInt8 {
    @inline(__always)
    var isBlank: Bool { self == Byte.space || self == Byte.tab }
    @inline(__always)
    var isDigit: Bool { self &- Byte.zero < 10 }
    @inline(__always)
    var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }
    /// The value of a hexadecimal digit.
    @inline(__always)
    var hexadecimal: UInt8? {
        if isDigit { return self &- Byte.zero }
        let letter = (self | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
    /// RFC 9110 section 5.6.2: letters, digits and ``!#$%&'*+-.^_`|~``.
    @inline(__always)
    var isTokenByte: Bool {
        guard self < 0x80 else { return false }
        let table: UInt64 = self < 0x40 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return table >> UInt64(self & 0x3F) & 1 == 1
    }
}
