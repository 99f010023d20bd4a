// SPDX-License-Identifier: Apache-2.0

public import Units

/// What Penstock writes of HTTP/1.1.
extension ByteBuffer {
    /// The line before a chunk's data; `size` is above zero, since a chunk of size zero ends the
    /// body.
    public mutating func appendChunkHeader(_ size: Int) {
        invariant(size > 0, "a chunk that is not the last has content")
        append(hexadecimal: size)
        append("\r\n")
    }
    /// The CR LF behind a chunk's data.
    public mutating func appendChunkEnd() { append("\r\n") }
    /// The chunk that ends the body, and an empty trailer section. Only for a body known to be
    /// whole.
    public mutating func appendLastChunk() { append("0\r\n\r\n") }
    /// The same with field lines, each with its CR LF, as a `ChunkedDecoder` gives them.
    public mutating func appendLastChunk(trailers: RawSpan) {
        append("0\r\n")
        append(trailers)
        append("\r\n")
    }

    /// One field line; the value has no byte that a field may not have.
    public mutating func appendField(name: StaticString, value: StaticString) {
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }
    /// One field line with decimal digits.
    public mutating func appendField(name: StaticString, value: Int) {
        append(name)
        append(": ")
        append(decimal: value)
        append("\r\n")
    }
    /// Control bytes but tab are written as `?`: a value can never end its line.
    public mutating func appendField(name: StaticString, value: String) {
        append(name)
        append(": ")
        var value = value
        value.withUTF8 { text in
            unsafe appendText(RawSpan(_unsafeElements: text))
        }
        append("\r\n")
    }
    /// Control bytes but tab are written as `?`: a value can never end its line.
    public mutating func appendField(name: StaticString, value: RawSpan) {
        append(name)
        append(": ")
        appendText(value)
        append("\r\n")
    }

    private mutating func appendText(_ text: RawSpan) {
        var start = 0
        while start < text.byteCount {
            let end = text.textEnd(from: start, to: text.byteCount, .obsText)
            append(text.extracting(start..<end))
            if end < text.byteCount { append("?") }
            start = end + 1
        }
    }
}
