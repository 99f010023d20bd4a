// SPDX-License-Identifier: Apache-2.0

public import Units

/// A string of a JSON text that a scanner has validated: where it stands between its quotes.
///
/// Every call gets the text that was scanned.
public struct JSONString: Sendable, Equatable {
    /// The raw bytes, without the quotes.
    public let range: Range<Int>
    /// Whether a backslash occurs: otherwise the raw bytes are the text.
    public let isEscaped: Bool

    /// `isEscaped` may be true without need, which only costs time.
    @inlinable
    public init(range: Range<Int>, isEscaped: Bool) {
        self.range = range
        self.isEscaped = isEscaped
    }

    /// Whether it is `""`.
    @inlinable
    public var isEmpty: Bool { range.isEmpty }

    /// Whether the decoded text is `name`, however it is spelled: `"max_tok\u0065ns"` is
    /// `max_tokens`.
    public func equals(_ name: StaticString, in text: RawSpan) -> Bool {
        if isEscaped { return decodedEquals(name, in: text) }
        let count = name.utf8CodeUnitCount
        guard range.count == count else { return false }
        let start = unsafe UnsafeRawPointer(name.utf8Start)
        var at = 0
        while at + 8 <= count {
            let word = unsafe start.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            if text.word(range.lowerBound + at) != UInt64(littleEndian: word) { return false }
            at += 8
        }
        while at < count {
            let byte = unsafe start.load(fromByteOffset: at, as: UInt8.self)
            if text.byte(range.lowerBound + at) != byte { return false }
            at += 1
        }
        return true
    }

    private func decodedEquals(_ name: StaticString, in text: RawSpan) -> Bool {
        unsafe equals(
            RawSpan(
                _unsafeBytes: UnsafeRawBufferPointer(
                    start: name.utf8Start, count: name.utf8CodeUnitCount)), in: text)
    }

    /// Whether the decoded text is the UTF-8 text `other`.
    public func equals(_ other: RawSpan, in text: RawSpan) -> Bool {
        // No spelling is shorter than what it spells, and only an escaped one is longer.
        guard range.count >= other.byteCount else { return false }
        if !isEscaped {
            guard range.count == other.byteCount else { return false }
            for index in 0..<other.byteCount
            where text.byte(range.lowerBound + index) != other.byte(index) {
                return false
            }
            return true
        }
        var matched = 0
        var same = true
        forEachPiece(in: text) { piece in
            for index in 0..<piece.byteCount where same {
                same = matched < other.byteCount && piece.byte(index) == other.byte(matched)
                matched += 1
            }
        }
        return same && matched == other.byteCount
    }

    /// Gives the decoded text piece by piece; a piece never ends within a character.
    public func forEachPiece(in text: RawSpan, _ body: (RawSpan) -> Void) {
        if isEscaped {
            decodePieces(text, body)
        } else if !range.isEmpty {
            body(text.extracting(range))
        }
    }

    /// Feeds the decoded text to `meter`.
    public func feed<Meter: TextMeter>(_ meter: inout Meter, from text: RawSpan) {
        forEachPiece(in: text) { meter.feed($0) }
    }

    /// Appends the decoded text.
    public func append(to buffer: inout ByteBuffer, from text: RawSpan) {
        forEachPiece(in: text) { buffer.append($0) }
    }

    /// The decoded text.
    public func string(in text: RawSpan) -> String {
        if !isEscaped { return text.text(range) }
        var string = ""
        string.reserveCapacity(range.count)
        forEachPiece(in: text) { string += $0.text($0.byteOffsets) }
        return string
    }
}

// MARK: Characters

extension JSONString {
    /// The least range around `wanted` that begins and ends between characters: within no escape,
    /// pair of surrogates or UTF-8 sequence. Linear in the string.
    public func wholeCharacters(around wanted: Range<Int>, in text: RawSpan) -> Range<Int> {
        let start = character(at: max(wanted.lowerBound, range.lowerBound), in: text).lowerBound
        let last = min(wanted.upperBound, range.upperBound) - 1
        guard last >= start else { return start..<start }
        return start..<character(at: last, in: text).upperBound
    }

    /// What is spelled at `place`, whole.
    private func character(at place: Int, in text: RawSpan) -> Range<Int> {
        var at = range.lowerBound
        while at < range.upperBound {
            var end = at + 1
            if text.byte(at) == Byte.backslash {
                end = JSONString.escape(text, at).1
            } else if text.byte(at) >= 0x80 {
                end = at + max(1, JSONString.utf8Length(text, at))
            }
            if end > place { return at..<end }
            at = end
        }
        return range.upperBound..<range.upperBound
    }
}

// MARK: Decoding

extension JSONString {
    private func decodePieces(_ text: RawSpan, _ body: (RawSpan) -> Void) {
        var collected = CollectedPiece()
        var at = range.lowerBound
        while at < range.upperBound {
            if text.byte(at) == Byte.backslash {
                let (scalar, next) = JSONString.escape(text, at)
                if collected.room < 4 { collected.flush(body) }
                collected.append(scalar)
                at = next
                continue
            }
            let end = JSONString.runEnd(text, at, range.upperBound)
            if end - at > collected.room || end - at >= longRun { collected.flush(body) }
            if end - at > collected.room || end - at >= longRun {
                body(text.extracting(at..<end))
            } else {
                for index in at..<end { collected.append(byte: text.byte(index)) }
            }
            at = end
        }
        collected.flush(body)
    }

    /// A run of plain text from here on is handed out where it stands, not collected.
    private var longRun: Int { 16 }

    /// Behind the bytes from `start` on that are no escape.
    private static func runEnd(_ text: RawSpan, _ start: Int, _ limit: Int) -> Int {
        var at = start
        let backslash = SIMD16<UInt8>(repeating: Byte.backslash)
        while at + 16 <= limit {
            let found = lanes(text.vector(at) .== backslash)
            if isAny(found) { return at + firstByte(found) }
            at += 16
        }
        while at < limit, text.byte(at) != Byte.backslash { at += 1 }
        return at
    }

    /// The scalar that the escape at `start` spells, and where the text goes on.
    private static func escape(_ text: RawSpan, _ start: Int) -> (UInt32, Int) {
        switch text.byte(start + 1) {
        case UInt8(ascii: "b"): return (0x08, start + 2)
        case UInt8(ascii: "f"): return (0x0C, start + 2)
        case UInt8(ascii: "n"): return (0x0A, start + 2)
        case UInt8(ascii: "r"): return (0x0D, start + 2)
        case UInt8(ascii: "t"): return (0x09, start + 2)
        case UInt8(ascii: "u"):
            let unit = hex4(text, start + 2) ?? 0xFFFD
            guard unit & 0xFC00 == 0xD800 else { return (unit, start + 6) }
            let low = hex4(text, start + 8) ?? 0xDC00
            return (0x1_0000 + (unit & 0x3FF) << 10 + low & 0x3FF, start + 12)
        case let itself: return (UInt32(itself), start + 2)
        }
    }
}

/// Short runs and escapes put together, so that a text full of escapes is not given in crumbs.
private struct CollectedPiece {
    private var bytes = InlineArray<256, UInt8>(repeating: 0)
    private var count = 0

    var room: Int { bytes.count - count }

    mutating func append(byte: UInt8) {
        bytes[count] = byte
        count += 1
    }

    /// The UTF-8 form of `scalar`, up to four bytes.
    mutating func append(_ scalar: UInt32) {
        if scalar < 0x80 {
            append(byte: UInt8(scalar))
            return
        }
        let continuations = scalar < 0x800 ? 1 : scalar < 0x1_0000 ? 2 : 3
        let lead: UInt32 = continuations == 1 ? 0xC0 : continuations == 2 ? 0xE0 : 0xF0
        append(byte: UInt8(truncatingIfNeeded: lead | scalar >> (6 * continuations)))
        for left in (0..<continuations).reversed() {
            append(byte: UInt8(truncatingIfNeeded: 0x80 | scalar >> (6 * left) & 0x3F))
        }
    }

    mutating func flush(_ body: (RawSpan) -> Void) {
        guard count > 0 else { return }
        let span = bytes.span
        unsafe body(span.bytes.extracting(0..<count))
        count = 0
    }
}

// MARK: Validation, for the scanner

extension JSONString {
    /// Behind the printable ASCII from `start` on that is neither a quote nor a backslash: sixteen
    /// bytes a step, or eight where `isShort` says that wide steps are not worth it.
    @inline(__always)
    static func plainEnd(_ text: RawSpan, from start: Int, isShort: Bool) -> Int {
        var at = start
        if !isShort {
            let quote = SIMD16<UInt8>(repeating: Byte.quote)
            let backslash = SIMD16<UInt8>(repeating: Byte.backslash)
            let graphic = SIMD16<UInt8>(repeating: 0xE0)
            let zero = SIMD16<UInt8>(repeating: 0)
            let highs = SIMD2<UInt64>(repeating: 0x8080_8080_8080_8080)
            while at + 16 <= text.byteCount {
                let bytes = text.vector(at)
                let found =
                    lanes(bytes .== quote) | lanes(bytes .== backslash)
                    | lanes((bytes & graphic) .== zero) | (lanes(bytes) & highs)
                if isAny(found) { return at + firstByte(found) }
                at += 16
            }
        }
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while at + 8 <= text.byteCount {
            let word = text.word(at)
            // A byte's high bit: control character, quote or backslash (by borrow), or not ASCII.
            // Borrows only reach bytes above a real find, and the lowest find counts.
            let quotes = (word ^ ones &* UInt64(Byte.quote)) &- ones
            let backslashes = (word ^ ones &* UInt64(Byte.backslash)) &- ones
            let found = (word &- ones &* 0x20 | quotes | backslashes | word) & highs
            if found != 0 { return at + found.trailingZeroBitCount >> 3 }
            at += 8
        }
        while at < text.byteCount {
            let byte = text.byte(at)
            if byte < 0x20 || byte >= 0x80 || byte == Byte.quote || byte == Byte.backslash {
                break
            }
            at += 1
        }
        return at
    }

    /// Behind the escape at `start`. Surrogates must come in pairs: engines differ about single
    /// ones.
    static func escapeEnd(_ text: RawSpan, _ start: Int) throws(JSONFault) -> Int {
        guard start + 1 < text.byteCount else { throw .endsEarly(at: text.byteCount) }
        switch text.byte(start + 1) {
        case Byte.quote, Byte.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start + 2
        case UInt8(ascii: "u"): break
        default: throw .badText(at: start)
        }
        guard let unit = hex4(text, start + 2) else { throw .badText(at: start) }
        guard unit & 0xF800 == 0xD800 else { return start + 6 }
        guard unit & 0xFC00 == 0xD800, start + 8 <= text.byteCount,
            text.byte(start + 6) == Byte.backslash,
            text.byte(start + 7) == UInt8(ascii: "u"),
            let low = hex4(text, start + 8), low & 0xFC00 == 0xDC00
        else { throw .badText(at: start) }
        return start + 12
    }

    /// The number that four hexadecimal digits at `start` spell.
    private static func hex4(_ text: RawSpan, _ start: Int) -> UInt32? {
        guard start + 4 <= text.byteCount else { return nil }
        var value: UInt32 = 0
        for at in start..<start + 4 {
            guard let digit = text.byte(at).hexadecimal else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// Behind the characters from `start` on that are not ASCII; well formed by Unicode 16 table
    /// 3-7.
    static func charactersEnd(_ text: RawSpan, _ start: Int) throws(JSONFault) -> Int {
        var at = start
        while at < text.byteCount, text.byte(at) >= 0x80 {
            let length = utf8Length(text, at)
            guard length > 0 else { throw .badText(at: at) }
            at += length
        }
        return at
    }

    /// Bytes of the well-formed character at `at` that is not ASCII; 0 when it is none.
    @inline(__always)
    static func utf8Length(_ text: RawSpan, _ at: Int) -> Int {
        let left = text.byteCount - at
        let lead = text.byte(at)
        guard left >= 2 else { return 0 }
        let second = text.byte(at + 1)
        switch lead {
        case 0xC2...0xDF: return second & 0xC0 == 0x80 ? 2 : 0
        case 0xE0...0xEF:
            guard left >= 3, second & 0xC0 == 0x80, text.byte(at + 2) & 0xC0 == 0x80 else {
                return 0
            }
            if lead == 0xE0 && second < 0xA0 || lead == 0xED && second > 0x9F { return 0 }
            return 3
        case 0xF0...0xF4:
            guard left >= 4, second & 0xC0 == 0x80, text.byte(at + 2) & 0xC0 == 0x80,
                text.byte(at + 3) & 0xC0 == 0x80
            else { return 0 }
            if lead == 0xF0 && second < 0x90 || lead == 0xF4 && second > 0x8F { return 0 }
            return 4
        default: return 0
        }
    }
}
