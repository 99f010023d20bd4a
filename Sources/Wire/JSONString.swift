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
        unsafe withUnsafeTemporaryAllocation(
            byteCount: CollectedPiece.room, alignment: 1
        ) { room in
            guard let base = room.baseAddress else { return }
            var collected = unsafe CollectedPiece(base.assumingMemoryBound(to: UInt8.self))
            var at = range.lowerBound
            while at < range.upperBound {
                if text.byte(at) == Byte.backslash {
                    let (scalar, next) = JSONString.escape(text, at)
                    collected.append(scalar, body)
                    at = next
                } else {
                    let end = JSONString.runEnd(text, at, range.upperBound)
                    if end - at >= CollectedPiece.longRun {
                        collected.flush(body)
                        body(text.extracting(at..<end))
                    } else {
                        collected.append(text.extracting(at..<end), body)
                    }
                    at = end
                }
            }
            collected.flush(body)
        }
    }

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
    @inline(__always)
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
@safe
private struct CollectedPiece {
    /// In bytes.
    static let room = 4_096
    /// A run of so many plain bytes is handed out where it stands; a shorter one costs less to copy
    /// than whoever takes the text loses by a short piece.
    static let longRun = 512

    private let bytes: UnsafeMutablePointer<UInt8>
    private var count = 0

    /// `bytes` has `room`, and outlives this.
    init(_ bytes: UnsafeMutablePointer<UInt8>) { unsafe self.bytes = unsafe bytes }

    /// Appends a run shorter than `longRun`.
    mutating func append(_ run: RawSpan, _ body: (RawSpan) -> Void) {
        if count + run.byteCount > CollectedPiece.room { flush(body) }
        unsafe run.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(bytes + count).copyMemory(
                from: start, byteCount: source.count)
        }
        count &+= run.byteCount
    }

    /// Appends the UTF-8 form of `scalar`.
    @inline(__always)
    mutating func append(_ scalar: UInt32, _ body: (RawSpan) -> Void) {
        if count + 4 > CollectedPiece.room { flush(body) }
        if scalar < 0x80 { return put(scalar) }
        if scalar < 0x800 {
            put(0xC0 | scalar >> 6)
        } else {
            if scalar < 0x1_0000 {
                put(0xE0 | scalar >> 12)
            } else {
                put(0xF0 | scalar >> 18)
                put(0x80 | scalar >> 12 & 0x3F)
            }
            put(0x80 | scalar >> 6 & 0x3F)
        }
        put(0x80 | scalar & 0x3F)
    }

    @inline(__always)
    private mutating func put(_ byte: UInt32) {
        unsafe bytes[count] = UInt8(truncatingIfNeeded: byte)
        count &+= 1
    }

    mutating func flush(_ body: (RawSpan) -> Void) {
        guard count > 0 else { return }
        unsafe body(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: count)))
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

    /// The number that four hexadecimal digits at `start` spell, all four at once.
    @inline(__always)
    private static func hex4(_ text: RawSpan, _ start: Int) -> UInt32? {
        guard start + 4 <= text.byteCount else { return nil }
        let word = unsafe UInt32(
            littleEndian: text.unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self))
        let small = word | 0x2020_2020
        // The high bit of a byte: `0` and more but not over `9`, `a` and more but not over `f`.
        let digits = (word &+ 0x5050_5050) & ~(word &+ 0x4646_4646)
        let letters = (small &+ 0x1F1F_1F1F) & ~(small &+ 0x1919_1919)
        guard word & 0x8080_8080 == 0, (digits | letters) & 0x8080_8080 == 0x8080_8080 else {
            return nil
        }
        let values = word & 0x0F0F_0F0F &+ (word >> 6 & 0x0101_0101) &* 9
        return (values & 0xFF) << 12 | (values >> 8 & 0xFF) << 8 | (values >> 16 & 0xFF) << 4
            | values >> 24
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
