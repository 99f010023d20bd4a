// SPDX-License-Identifier: Apache-2.0

/// Steps through a JSON text once, from token to token, and validates it strictly on the way (RFC
/// 8259).
///
/// It holds no text and allocates nothing: every call gets the same span again. A leading UTF-8
/// byte order mark is skipped. Containers may be nested up to `maxDepth`, which is 1 ... 64. After
/// a fault the scanner must not be used further. Bytes that follow the value are a fault, too.
public struct JSONScanner: Sendable {
    /// What the grammar allows next.
    private enum Phase: UInt8 {
        case start
        /// A value, after a key or a comma.
        case value
        /// A value or `]`.
        case firstElement
        /// A key or `}`.
        case firstKey
        /// A comma or the end of the container; at depth 0 the end of the text.
        case afterValue
    }

    /// Where the last token begins, with its quote.
    public private(set) var tokenStart = 0
    /// Behind the last token; behind the colon after a key.
    public private(set) var offset = 0
    /// Open containers.
    public private(set) var depth = 0
    private let maxDepth: Int
    /// One bit a container, the innermost lowest: 1 for an object.
    private var nesting: UInt64 = 0
    private var phase = Phase.start

    /// Out of range, the depth is clamped.
    public init(maxDepth: Int = 64) { self.maxDepth = min(max(maxDepth, 1), 64) }

    /// The next token.
    public mutating func next(in text: RawSpan) throws(JSONFault) -> JSONToken {
        if phase == .start { skipByteOrderMark(text) }
        guard var byte = significantByte(text) else { return try atEnd(text) }
        switch phase {
        case .start, .value: break
        case .firstElement:
            if byte == Byte.closeBracket { return close(.endArray) }
        case .firstKey:
            if byte == Byte.closeBrace { return close(.endObject) }
            return try key(text, byte)
        case .afterValue:
            if depth == 0 { throw .malformed(at: offset) }
            let inObject = nesting & 1 == 1
            if byte == Byte.comma {
                offset += 1
                guard let following = significantByte(text) else { return try atEnd(text) }
                if inObject { return try key(text, following) }
                byte = following
            } else if inObject, byte == Byte.closeBrace {
                return close(.endObject)
            } else if !inObject, byte == Byte.closeBracket {
                return close(.endArray)
            } else {
                throw .malformed(at: offset)
            }
        }
        return try value(text, byte)
    }

    /// Steps over the rest of what `token` began: to the end of its container, or nowhere for a
    /// scalar.
    public mutating func skip(_ token: JSONToken, in text: RawSpan) throws(JSONFault) {
        guard token == .beginObject || token == .beginArray else { return }
        let outside = depth - 1
        while depth > outside { _ = try next(in: text) }
    }

    /// Steps over the next value, whole. To be called where a value must come: after a key.
    public mutating func skipValue(in text: RawSpan) throws(JSONFault) {
        try skip(next(in: text), in: text)
    }

    private mutating func atEnd(_ text: RawSpan) throws(JSONFault) -> JSONToken {
        guard phase == .afterValue, depth == 0 else { throw .endsEarly(at: text.byteCount) }
        tokenStart = offset
        return .end
    }

    private mutating func skipByteOrderMark(_ text: RawSpan) {
        if text.byteCount >= 3, text.byte(0) == 0xEF, text.byte(1) == 0xBB, text.byte(2) == 0xBF {
            offset = 3
        }
        phase = .value
    }

    /// Moves to the next byte that is not white space; nil at the end of the text.
    @inline(__always)
    private mutating func significantByte(_ text: RawSpan) -> UInt8? {
        while offset < text.byteCount {
            let byte = text.byte(offset)
            switch byte {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return byte
            }
        }
        return nil
    }
}

// MARK: Containers and scalars

extension JSONScanner {
    private mutating func close(_ token: JSONToken) -> JSONToken {
        tokenStart = offset
        offset += 1
        depth -= 1
        nesting >>= 1
        phase = .afterValue
        return token
    }

    /// As if the innermost container had been read up to its bracket at `end`.
    mutating func leave(_ end: Int) {
        offset = end
        _ = close(.endObject)
    }

    private mutating func open(_ token: JSONToken, _ kind: UInt64) throws(JSONFault) -> JSONToken {
        guard depth < maxDepth else { throw .tooDeep(limit: maxDepth) }
        tokenStart = offset
        offset += 1
        depth += 1
        nesting = nesting << 1 | kind
        phase = kind == 1 ? .firstKey : .firstElement
        return token
    }

    private mutating func key(_ text: RawSpan, _ byte: UInt8) throws(JSONFault) -> JSONToken {
        guard byte == Byte.quote else { throw .malformed(at: offset) }
        let name = try string(text, isShort: true)
        guard let after = significantByte(text) else { throw .endsEarly(at: text.byteCount) }
        guard after == Byte.colon else { throw .malformed(at: offset) }
        offset += 1
        phase = .value
        return .key(name)
    }

    private mutating func value(_ text: RawSpan, _ byte: UInt8) throws(JSONFault) -> JSONToken {
        switch byte {
        case Byte.quote:
            phase = .afterValue
            return .string(try string(text, isShort: false))
        case Byte.openBrace: return try open(.beginObject, 1)
        case Byte.openBracket: return try open(.beginArray, 0)
        case UInt8(ascii: "t"): return try word("true", .bool(true), text)
        case UInt8(ascii: "f"): return try word("false", .bool(false), text)
        case UInt8(ascii: "n"): return try word("null", .null, text)
        default: return try number(text)
        }
    }

    private mutating func word(
        _ name: StaticString, _ token: JSONToken, _ text: RawSpan
    ) throws(JSONFault) -> JSONToken {
        for index in 0..<name.utf8CodeUnitCount {
            guard offset + index < text.byteCount else { throw .endsEarly(at: text.byteCount) }
            guard text.byte(offset + index) == name.octet(index) else {
                throw .malformed(at: offset + index)
            }
        }
        tokenStart = offset
        offset += name.utf8CodeUnitCount
        phase = .afterValue
        return token
    }

    /// RFC 8259 section 6: `-`? int frac? exp?, without a leading zero.
    private mutating func number(_ text: RawSpan) throws(JSONFault) -> JSONToken {
        var at = offset
        if text.byte(at) == UInt8(ascii: "-") { at += 1 }
        if at < text.byteCount, text.byte(at) == Byte.zero {
            at += 1
        } else {
            at = try digits(text, at)
        }
        if at < text.byteCount, text.byte(at) == Byte.dot {
            at = try digits(text, at + 1)
        }
        if at < text.byteCount, text.byte(at) | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < text.byteCount {
                let sign = text.byte(at)
                if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { at += 1 }
            }
            at = try digits(text, at)
        }
        tokenStart = offset
        offset = at
        phase = .afterValue
        return .number(tokenStart..<at)
    }

    /// Behind one or more digits.
    private func digits(_ text: RawSpan, _ start: Int) throws(JSONFault) -> Int {
        var at = start
        while at < text.byteCount, text.byte(at).isDigit { at += 1 }
        if at > start { return at }
        if at == text.byteCount { throw .endsEarly(at: at) }
        throw .malformed(at: at)
    }
}

// MARK: Strings

extension JSONScanner {
    /// The string whose opening quote is at `offset`; short ones are not worth wide steps.
    @inline(__always)
    private mutating func string(
        _ text: RawSpan, isShort: Bool
    ) throws(JSONFault) -> JSONString {
        tokenStart = offset
        let start = offset + 1
        var at = start
        var escaped = false
        while true {
            at = JSONString.plainEnd(text, from: at, isShort: isShort)
            guard at < text.byteCount else { throw .endsEarly(at: text.byteCount) }
            let byte = text.byte(at)
            if byte == Byte.quote { break }
            if byte == Byte.backslash {
                escaped = true
                repeat {
                    at = try JSONString.escapeEnd(text, at)
                } while at < text.byteCount && text.byte(at) == Byte.backslash
            } else if byte >= 0x80 {
                at = try JSONString.charactersEnd(text, at)
            } else {
                throw .badText(at: at)
            }
        }
        offset = at + 1
        return JSONString(range: start..<at, isEscaped: escaped)
    }
}
