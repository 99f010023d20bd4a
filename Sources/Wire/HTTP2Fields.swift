// SPDX-License-Identifier: Apache-2.0

import Units

/// The field lines of one HTTP/2 message, taken in one by one as they are decoded, with the bytes
/// that they lie in.
///
/// What goes down to HTTP/1.1 is written from here, so a name is a token in small letters and a
/// value has no byte that could end its line or be read in two ways (RFC 9113 section 8.2.1):
/// everything else is a fault. After the first one nothing more is kept.
struct HTTP2Fields: ~Copyable {
    /// What RFC 9113 section 6.5.2 counts for each line beside its bytes.
    private static let lineOverhead = 32

    private let alphabet: Alphabet
    private let limits: HeadLimits
    private(set) var bytes = ByteBuffer()
    /// Without the pseudo-header fields.
    private(set) var fields: [Field] = []
    private(set) var fault: HeadFault?
    /// As RFC 9113 section 6.5.2 counts it, refused lines included.
    private(set) var size = 0
    private var cookies = 0

    init(_ alphabet: Alphabet, limits: HeadLimits) {
        self.alphabet = alphabet
        self.limits = limits
    }

    /// The bytes at `range`.
    func part(_ range: ByteRange) -> UnsafeRawBufferPointer {
        guard Int(range.end) <= bytes.count else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes.readable[range.range])
    }

    mutating func fail(_ fault: HeadFault) {
        if self.fault == nil { self.fault = fault }
    }

    /// Counts a line; false when nothing more is kept.
    mutating func admit(_ name: RawSpan, _ value: RawSpan) -> Bool {
        size += name.byteCount + value.byteCount + Self.lineOverhead
        if size > limits.maxHead { fail(.headTooLarge(limit: limits.maxHead)) }
        return fault == nil
    }

    /// Keeps the bytes of a pseudo-header field's value.
    mutating func keep(_ value: RawSpan) -> ByteRange {
        let start = bytes.count
        bytes.append(value)
        return ByteRange(start, bytes.count)
    }

    /// Takes in a line that was admitted, and says what its name means; nil where it is a fault.
    mutating func add(_ name: RawSpan, _ value: RawSpan) -> Field? {
        guard Self.isName(name), isValue(value) else {
            fail(.malformedField)
            return nil
        }
        guard fields.count < limits.maxFields else {
            fail(.tooManyFields(limit: limits.maxFields))
            return nil
        }
        let place = keep(name)
        let field = Field(
            id: unsafe FieldName(bytes.readable.bytes, place), name: place, value: keep(value))
        guard isOfMessage(field.id, value) else {
            fail(.malformedField)
            return nil
        }
        if field.id == .cookie { cookies += 1 }
        fields.append(field)
        return field
    }

    /// RFC 9113 section 8.2.1: a token without capitals.
    private static func isName(_ name: RawSpan) -> Bool {
        let count = name.byteCount
        guard count > 0, name.tokenEnd(from: 0, to: count) == count else { return false }
        for offset in 0..<count where name.byte(offset) &- 0x41 < 26 { return false }
        return true
    }

    /// No control byte, and no white space at either end.
    private func isValue(_ value: RawSpan) -> Bool {
        let count = value.byteCount
        guard count > 0 else { return true }
        return value.textEnd(from: 0, to: count, alphabet) == count
            && !value.byte(0).isBlank && !value.byte(count - 1).isBlank
    }

    /// RFC 9113 section 8.2.2: nothing that belongs to one connection.
    private func isOfMessage(_ id: FieldName, _ value: RawSpan) -> Bool {
        switch id {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: false
        case .te: value.equals(ByteRange(0, value.byteCount), ignoringCase: "trailers")
        default: true
        }
    }

    /// RFC 9113 section 8.2.3: cookies that came in pieces are one before they go anywhere else.
    mutating func joinCookies() {
        guard cookies > 1, let first = fields.firstIndex(where: { $0.id == .cookie }) else {
            return
        }
        let start = bytes.count
        var joined = ByteBuffer()
        for field in fields where field.id == .cookie && !field.value.isEmpty {
            if !joined.isEmpty { joined.append("; ") }
            unsafe joined.append(part(field.value))
        }
        unsafe bytes.append(joined.readable)
        fields[first].value = ByteRange(start, bytes.count)
        var isFirst = true
        fields.removeAll { field in
            guard field.id == .cookie else { return false }
            defer { isFirst = false }
            return !isFirst
        }
        cookies = 1
    }

    /// The announced length of the content; nil where there is none or where it is a fault.
    mutating func contentLength() -> Int? {
        do throws(HeadFault) {
            let deciding = try unsafe FramingFields(fields, bytes.readable.bytes)
            guard
                case .length(let count) = try unsafe deciding.framing(
                    bytes.readable.bytes, minorVersion: 1)
            else { return nil }
            return count
        } catch {
            fail(error)
            return nil
        }
    }

    /// Gives the memory back.
    mutating func release() {
        bytes.release()
        fields = []
    }
}
