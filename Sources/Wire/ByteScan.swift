// SPDX-License-Identifier: Apache-2.0

/// Scanning eight bytes at a time.
///
/// A byte is flagged by its highest bit. Subtracting the lower bound of a range from every byte
/// sets that bit where the byte is below it; the borrow can flag a neighbour wrongly, but only
/// above a byte that is flagged rightly, so the lowest flag of a little-endian word is always true.
private let ones: UInt64 = 0x0101_0101_0101_0101
private let highs: UInt64 = 0x8080_8080_8080_8080
private let cases: UInt64 = 0x2020_2020_2020_2020

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

/// The first eight bytes of `text`, the first one lowest, zeros behind.
func word(_ text: StaticString) -> UInt64 {
    var word: UInt64 = 0
    for offset in 0..<min(8, text.utf8CodeUnitCount) {
        unsafe word |= UInt64(text.utf8Start[offset]) << UInt64(offset * 8)
    }
    return word
}

extension RawSpan {
    @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
    /// Eight bytes, the first one lowest; all of them within the span.
    @inline(__always)
    func word(_ offset: Int) -> UInt64 {
        unsafe UInt64(
            littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    /// `count` bytes (at most eight are looked at) with the bits of `folding` set in each, zeros
    /// behind: token bytes folded with 0x20 are equal exactly when they are equal but for case.
    /// A count over eight gives no word that a shorter run gives, for lack of a zero at the top.
    @inline(__always)
    func foldedWord(_ offset: Int, count: Int, folding: UInt64) -> UInt64 {
        if offset + 8 <= byteCount {
            let mask = count >= 8 ? UInt64.max : (1 << UInt64(count * 8)) &- 1
            return (word(offset) | folding) & mask
        }
        var word: UInt64 = 0
        for index in 0..<min(8, count) {
            word |= UInt64(byte(offset + index)) << UInt64(index * 8)
            word |= folding & 0xFF << UInt64(index * 8)
        }
        return word
    }

    /// The first place from `start` on whose byte no token may hold; `end` when there is none.
    @inline(__always)
    func tokenEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let stop = Self.unusual(inToken: word(at))
            if stop == 0 {
                at += 8
                continue
            }
            at += stop.trailingZeroBitCount >> 3
            if !byte(at).isTokenByte { return at }
            at += 1
        }
        while at < end, byte(at).isTokenByte { at += 1 }
        return at
    }
    /// Flags bytes that are neither letters nor digits nor hyphens: what names are made of.
    @inline(__always)
    private static func unusual(inToken word: UInt64) -> UInt64 {
        let low = word & ~highs
        let folded = low | cases
        let letter = (folded &+ ones &* (0x80 - 0x61)) & ~(folded &+ ones &* (0x80 - 0x7B))
        let digit = (low &+ ones &* (0x80 - 0x30)) & ~(low &+ ones &* (0x80 - 0x3A))
        let hyphen = ~((low ^ ones &* 0x2D) &+ ones &* 0x7F)
        return (~(letter | digit | hyphen) | word) & highs
    }

    /// The first place from `start` on whose byte is not visible ASCII, or is `#`, which no request
    /// target may hold (RFC 9112 section 3.2: a fragment is not sent); `end` when there is none.
    @inline(__always)
    func targetEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let word = word(at)
            let hash = word ^ ones &* UInt64(Byte.hash)
            let stop =
                ((word &- ones &* 0x21) | (word &+ ones) | word | ((hash &- ones) & ~hash)) & highs
            if stop != 0 { return at + stop.trailingZeroBitCount >> 3 }
            at += 8
        }
        while at < end {
            let byte = byte(at)
            if byte <= Byte.space || byte >= 0x7F || byte == Byte.hash { return at }
            at += 1
        }
        return at
    }

    /// The first place from `start` on whose byte no field value may hold; `end` when there is
    /// none.
    @inline(__always)
    func textEnd(from start: Int, to end: Int, _ alphabet: Alphabet) -> Int {
        var at = start
        while at + 8 <= end {
            let stop = alphabet.unusual(word(at))
            if stop == 0 {
                at += 8
                continue
            }
            at += stop.trailingZeroBitCount >> 3
            if !alphabet.allows(byte(at)) { return at }
            at += 1
        }
        while at < end, alphabet.allows(byte(at)) { at += 1 }
        return at
    }

    /// The first CR or LF from `start` on; `end` when there is none.
    @inline(__always)
    func lineEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let word = word(at)
            let feed = word ^ ones &* UInt64(Byte.lineFeed)
            let carriage = word ^ ones &* UInt64(Byte.carriageReturn)
            let stop = (((feed &- ones) & ~feed) | ((carriage &- ones) & ~carriage)) & highs
            if stop != 0 { return at + stop.trailingZeroBitCount >> 3 }
            at += 8
        }
        while at < end, byte(at) != Byte.lineFeed, byte(at) != Byte.carriageReturn { at += 1 }
        return at
    }

    /// Whether the bytes of `range` are `text`.
    package func equals(_ range: ByteRange, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count {
            guard unsafe byte(Int(range.start) + offset) == text.utf8Start[offset] else {
                return false
            }
        }
        return true
    }

    /// Whether the bytes of `range` are `text` but for the case of letters; `text` has no capitals.
    package func equals(_ range: ByteRange, ignoringCase text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count {
            let byte = byte(Int(range.start) + offset)
            let folded = byte.isLetter ? byte | 0x20 : byte
            guard unsafe folded == text.utf8Start[offset] else { return false }
        }
        return true
    }
}

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
            return ((word &- ones &* 0x20) | (word &+ ones) | word) & highs
        case .obsText:
            let delete = word ^ ones &* 0x7F
            return (((word &- ones &* 0x20) & ~word) | ((delete &- ones) & ~delete)) & highs
        }
    }
    @inline(__always)
    func allows(_ byte: UInt8) -> Bool {
        if byte >= 0x80 { return self == .obsText }
        return (byte >= Byte.space && byte != 0x7F) || byte == Byte.tab
    }
}
