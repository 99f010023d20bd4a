// SPDX-License-Identifier: Apache-2.0

extension JSONScanner {
    /// Steps over the next value without a look at what is in it; to be called where a value must
    /// come.
    ///
    /// Within a container only brackets are counted, whatever their kind, and strings are stepped
    /// over; the rest is not validated. For texts that are passed on as they are and of which only
    /// other members matter: it takes a fifth of `skipValue`'s instructions.
    public mutating func passOverValue(in text: RawSpan) throws(JSONFault) {
        let token = try next(in: text)
        guard token == .beginObject || token == .beginArray else { return }
        var open = 1
        var at = offset
        while at < text.byteCount {
            switch text.byte(at) {
            case Byte.quote: at = JSONString.quoteEnd(text, from: at + 1)
            case Byte.openBrace, Byte.openBracket: open += 1
            case Byte.closeBrace, Byte.closeBracket:
                open -= 1
                if open == 0 { return leave(at) }
            default: break
            }
            at += 1
        }
        throw .endsEarly(at: text.byteCount)
    }
}

extension JSONString {
    /// The quote that ends the string of which `start` is in the middle; the text's end when there
    /// is none.
    @inline(__always)
    static func quoteEnd(_ text: RawSpan, from start: Int) -> Int {
        let quote = SIMD16<UInt8>(repeating: Byte.quote)
        let backslash = SIMD16<UInt8>(repeating: Byte.backslash)
        var at = start
        while at < text.byteCount {
            if at + 16 <= text.byteCount {
                let bytes = text.vector(at)
                let found = lanes(bytes .== quote) | lanes(bytes .== backslash)
                guard isAny(found) else {
                    at += 16
                    continue
                }
                at += firstByte(found)
            }
            switch text.byte(at) {
            case Byte.quote: return at
            case Byte.backslash: at += 2
            default: at += 1
            }
        }
        return text.byteCount
    }
}
