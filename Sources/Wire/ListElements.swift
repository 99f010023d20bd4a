// SPDX-License-Identifier: Apache-2.0

/// The elements of a comma-separated field value (RFC 9110 section 5.6.1): empty ones are skipped,
/// the whitespace around each is left out. Commas in quoted strings are not understood: the fields
/// that are read with this have none.
public struct ListElements: Sendable {
    private var cursor: Int
    private let end: Int

    /// At the front of `value`.
    public init(_ value: ByteRange) {
        cursor = Int(value.start)
        end = Int(value.end)
    }

    /// The next element; nil behind the last one.
    public mutating func next(_ bytes: RawSpan) -> ByteRange? {
        while cursor < end {
            let start = cursor
            while cursor < end, bytes.byte(cursor) != Byte.comma { cursor += 1 }
            let element = bytes.trimmed(start, cursor)
            cursor += 1
            if !element.isEmpty { return element }
        }
        return nil
    }
}

extension RawSpan {
    /// Without the spaces and tabs at both ends.
    func trimmed(_ start: Int, _ end: Int) -> ByteRange {
        var start = start
        var end = end
        while start < end, byte(start).isBlank { start += 1 }
        while end > start, byte(end - 1).isBlank { end -= 1 }
        return ByteRange(start, end)
    }
    func isToken(_ range: ByteRange) -> Bool {
        !range.isEmpty && tokenEnd(from: Int(range.start), to: Int(range.end)) == Int(range.end)
    }
}
