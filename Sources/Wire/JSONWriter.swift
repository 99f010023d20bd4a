// SPDX-License-Identifier: Apache-2.0

public import Units

/// Appends one JSON text to a buffer.
///
/// Whatever it is given, what comes out is valid: names and texts are escaped, bytes that are not
/// UTF-8 become U+FFFD, numbers that JSON cannot spell become `null`. Calls in an order that is no
/// JSON (a value in an object without a name, an end without a begin, nothing at all) are bugs of
/// the caller and stop the process.
public struct JSONWriter: ~Copyable {
    private enum Phase: UInt8 {
        /// A value: at the start, behind a name.
        case value
        /// The first element or name of a container, or its end.
        case first
        /// Any other element or name, or the end.
        case more
        /// Nothing: the text is complete.
        case complete
    }

    private var buffer: ByteBuffer
    private var phase = Phase.value
    private var depth = 0
    /// One bit a container, the innermost lowest: 1 for an object.
    private var nesting: UInt64 = 0

    private init(_ buffer: consuming ByteBuffer) { self.buffer = buffer }

    /// Appends to `buffer` the text that `body` writes: exactly one value.
    public static func write(
        into buffer: inout ByteBuffer, _ body: (inout JSONWriter) -> Void
    ) {
        var held = ByteBuffer()
        swap(&held, &buffer)
        var writer = JSONWriter(held)
        body(&writer)
        invariant(writer.phase == .complete, "a JSON text is one complete value")
        held = writer.finish()
        swap(&held, &buffer)
    }

    private consuming func finish() -> ByteBuffer { buffer }
}

// MARK: Containers

extension JSONWriter {
    /// Containers may be nested up to 64 deep.
    public mutating func beginObject() { begin(UInt8(ascii: "{"), 1) }
    public mutating func endObject() { end(UInt8(ascii: "}"), 1) }
    public mutating func beginArray() { begin(UInt8(ascii: "["), 0) }
    public mutating func endArray() { end(UInt8(ascii: "]"), 0) }

    /// The name of the next member.
    public mutating func key(_ name: StaticString) {
        beginKey()
        unsafe quoted(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        buffer.append(byte: UInt8(ascii: ":"))
    }
    /// The name of the next member.
    public mutating func key(_ name: String) {
        beginKey()
        quoted(name)
        buffer.append(byte: UInt8(ascii: ":"))
    }

    private mutating func begin(_ byte: UInt8, _ kind: UInt64) {
        beginValue()
        invariant(depth < 64, "JSON is written at most 64 deep")
        buffer.append(byte: byte)
        depth += 1
        nesting = nesting << 1 | kind
        phase = .first
    }

    private mutating func end(_ byte: UInt8, _ kind: UInt64) {
        invariant(
            depth > 0 && nesting & 1 == kind && (phase == .first || phase == .more),
            "a JSON container ends where it began")
        buffer.append(byte: byte)
        depth -= 1
        nesting >>= 1
        endValue()
    }

    private mutating func beginKey() {
        invariant(
            depth > 0 && nesting & 1 == 1 && (phase == .first || phase == .more),
            "a JSON name stands in an object")
        if phase == .more { buffer.append(byte: UInt8(ascii: ",")) }
        phase = .value
    }

    private mutating func beginValue() {
        switch phase {
        case .value: break
        case .first, .more:
            invariant(nesting & 1 == 0, "a JSON value in an object has a name")
            if phase == .more { buffer.append(byte: UInt8(ascii: ",")) }
        case .complete: broken("a JSON text is one value")
        }
    }

    private mutating func endValue() { phase = depth == 0 ? .complete : .more }
}

// MARK: Values

extension JSONWriter {
    /// A text of our own or of a person.
    public mutating func string(_ text: String) {
        beginValue()
        quoted(text)
        endValue()
    }
    /// A word of our own.
    public mutating func string(_ text: StaticString) {
        beginValue()
        unsafe quoted(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        endValue()
    }
    /// Bytes that came from outside, of whatever quality.
    public mutating func string(_ text: RawSpan) {
        beginValue()
        unsafe text.withUnsafeBytes { unsafe quoted($0) }
        endValue()
    }
    /// A whole number, exactly.
    public mutating func int(_ value: Int) {
        beginValue()
        buffer.append(decimal: value)
        endValue()
    }
    /// The shortest spelling that reads back the same; `null` when not finite.
    public mutating func double(_ value: Double) {
        beginValue()
        if value.isFinite { buffer.append(value.description) } else { buffer.append("null") }
        endValue()
    }
    /// `true` or `false`.
    public mutating func bool(_ value: Bool) {
        beginValue()
        if value { buffer.append("true") } else { buffer.append("false") }
        endValue()
    }
    /// `null`.
    public mutating func null() {
        beginValue()
        buffer.append("null")
        endValue()
    }
}

// MARK: Members

extension JSONWriter {
    public mutating func member(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
    }
    public mutating func member(_ name: StaticString, _ value: StaticString) {
        key(name)
        string(value)
    }
    /// `null` for nil.
    public mutating func member(_ name: StaticString, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }
    public mutating func member(_ name: StaticString, _ value: Int) {
        key(name)
        int(value)
    }
    /// `null` for nil.
    public mutating func member(_ name: StaticString, _ value: Int?) {
        key(name)
        if let value { int(value) } else { null() }
    }
    public mutating func member(_ name: StaticString, _ value: Double) {
        key(name)
        double(value)
    }
    public mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        bool(value)
    }
}

// MARK: Texts

extension JSONWriter {
    private mutating func quoted(_ text: String) {
        var text = text
        text.withUTF8 { unsafe quoted(UnsafeRawBufferPointer($0)) }
    }

    private mutating func quoted(_ bytes: UnsafeRawBufferPointer) {
        buffer.append(byte: UInt8(ascii: "\""))
        unsafe JSONEscaping.append(RawSpan(_unsafeBytes: bytes), to: &buffer)
        buffer.append(byte: UInt8(ascii: "\""))
    }
}
