// SPDX-License-Identifier: Apache-2.0

public import Units

/// One server-sent-event block, as offsets into the buffer that holds it: everything from one end
/// that `SSESplitter` found to the next.
public struct SSEBlock: Sendable, Equatable {
    /// What a block amounts to.
    public enum Kind: Sendable {
        /// No line but empty ones.
        case empty
        /// Comment lines alone: what keeps a connection alive.
        case comment
        /// At least one `data` line: an event.
        case data
        /// Fields, none of them `data`: no event (WHATWG HTML section 9.2.6).
        case fields
    }

    /// Where in its stream a block stands: only in front of the first is a byte order mark skipped.
    public enum Position: Sendable {
        case first
        case later
    }

    /// What its lines amount to.
    public private(set) var kind = Kind.empty
    /// The value of the first `data` line, which is the whole of the data when `dataLines` is one.
    public private(set) var data = ByteRange()
    /// How many `data` lines there are.
    public private(set) var dataLines = 0
    /// The value of the last `event` line.
    public private(set) var event: ByteRange?
    /// From the first `data` line to the end of the block.
    private var dataStart = 0
    private let end: Int

    /// Reads the lines of `range`, with or without the empty one.
    public init(_ bytes: RawSpan, _ range: Range<Int>, _ position: Position = .later) {
        end = range.upperBound
        var lines = SSELines(range)
        if position == .first { lines.skipMark(bytes) }
        while true {
            let lineStart = lines.cursor
            guard let line = lines.next(bytes) else { return }
            if !line.isEmpty { take(line, at: lineStart, bytes) }
        }
    }

    /// Appends the values of all `data` lines with LF between them.
    public func appendData(_ bytes: RawSpan, to buffer: inout ByteBuffer) {
        guard dataLines > 1 else {
            buffer.append(bytes.extracting(data.range))
            return
        }
        var lines = SSELines(dataStart..<end)
        var isFirst = true
        while let line = lines.next(bytes) {
            guard let value = Self.value(of: Self.dataName, line, bytes) else { continue }
            if !isFirst { buffer.append(byte: Byte.lineFeed) }
            buffer.append(bytes.extracting(value.range))
            isFirst = false
        }
    }

    /// Where `part` of the joined data stands in `bytes`. Without these bytes the data lacks just
    /// that part; line ends, names and other fields between the part's lines go with it.
    public func place(ofData part: Range<Int>, in bytes: RawSpan) -> Range<Int> {
        guard dataLines > 1 else {
            let start = Int(data.start)
            return start + part.lowerBound..<start + part.upperBound
        }
        var lines = SSELines(dataStart..<end)
        // Of the present line's value, in the joined data.
        var offset = 0
        var start: Int?
        while let line = lines.next(bytes) {
            guard let value = Self.value(of: Self.dataName, line, bytes) else { continue }
            let valueStart = Int(value.start) - offset
            let reach = offset + value.count
            if start == nil, part.lowerBound <= reach { start = valueStart + part.lowerBound }
            if let start, part.upperBound <= reach { return start..<valueStart + part.upperBound }
            offset = reach + 1
        }
        broken("a part of the data stands in the block")
    }

    private mutating func take(_ line: ByteRange, at lineStart: Int, _ bytes: RawSpan) {
        if bytes.byte(Int(line.start)) == Byte.colon {
            if kind == .empty { kind = .comment }
        } else if let value = Self.value(of: Self.dataName, line, bytes) {
            kind = .data
            if dataLines == 0 {
                data = value
                dataStart = lineStart
            }
            dataLines += 1
        } else {
            if kind != .data { kind = .fields }
            if let value = Self.value(of: Self.eventName, line, bytes) { event = value }
        }
    }

    private static let dataName: StaticString = "data"
    private static let eventName: StaticString = "event"

    /// What stands behind `name` and its colon, without one space; nothing where the line is the
    /// name alone; nil when it is another field.
    private static func value(
        of name: StaticString, _ line: ByteRange, _ bytes: RawSpan
    ) -> ByteRange? {
        let start = Int(line.start)
        let end = Int(line.end)
        let nameEnd = start + name.utf8CodeUnitCount
        guard nameEnd <= end, bytes.equals(ByteRange(start, nameEnd), name) else { return nil }
        guard nameEnd < end else { return ByteRange(end, end) }
        guard bytes.byte(nameEnd) == Byte.colon else { return nil }
        let value = nameEnd + 1
        let padded = value < end && bytes.byte(value) == Byte.space
        return ByteRange(padded ? value + 1 : value, end)
    }
}

/// The lines of one block, ended by LF, CR LF, CR or the end of the block.
private struct SSELines {
    private(set) var cursor: Int
    private let end: Int

    init(_ range: Range<Int>) {
        cursor = range.lowerBound
        end = range.upperBound
    }

    mutating func skipMark(_ bytes: RawSpan) {
        guard cursor + 3 <= end, bytes.byte(cursor) == 0xEF, bytes.byte(cursor + 1) == 0xBB,
            bytes.byte(cursor + 2) == 0xBF
        else { return }
        cursor += 3
    }

    mutating func next(_ bytes: RawSpan) -> ByteRange? {
        guard cursor < end else { return nil }
        let line = ByteRange(cursor, bytes.lineEnd(from: cursor, to: end))
        cursor = Int(line.end) + 1
        if cursor < end, bytes.byte(cursor - 1) == Byte.carriageReturn,
            bytes.byte(cursor) == Byte.lineFeed
        {
            cursor += 1
        }
        return line
    }
}
