// SPDX-License-Identifier: Apache-2.0

/// Reads request heads (RFC 9112), strictly: what is not exactly right is refused, because what two
/// parsers read differently is how requests are smuggled.
///
/// The one liberty is that of section 2.2: a single empty line before the request line is skipped.
public struct RequestParser: Sendable {
    /// What the next byte belongs to.
    private enum Place {
        case start
        case emptyLineFeed
        case method
        case target
        case version
        case fields
    }

    private let limits: HeadLimits
    private var place = Place.start
    /// The first byte not looked at, up to the fields.
    private var cursor = 0
    /// Where the present part of the request line began.
    private var mark = 0
    private var scanner: FieldScanner

    /// At the front of a connection.
    public init(limits: HeadLimits) {
        self.limits = limits
        scanner = FieldScanner(.ascii, maxFields: limits.maxFields)
    }

    /// Forgets a half-read head.
    public mutating func reset() {
        place = .start
        cursor = 0
        mark = 0
    }

    /// Bytes that the head takes, or nil when more are needed.
    ///
    /// Call again with the same bytes and more behind them, and the same `head`: it keeps its place
    /// and does not look twice at what it has seen. After a head it is ready for the next one,
    /// which begins at the front of what it is then given. After a fault the connection cannot be
    /// read on.
    public mutating func parse(
        _ bytes: RawSpan, into head: inout RequestHead
    ) throws(HeadFault) -> Int? {
        let end = min(bytes.byteCount, limits.maxHead)
        if place == .start, cursor == 0 { head.clear() }
        if try startLine(bytes, to: end, &head),
            try scanner.scan(bytes, to: end, into: &head.fields)
        {
            try head.checkTarget(bytes)
            try head.applyFields(bytes)
            reset()
            return scanner.cursor
        }
        if bytes.byteCount >= limits.maxHead { throw .headTooLarge(limit: limits.maxHead) }
        return nil
    }

    /// Whether the request line ended before `end`.
    private mutating func startLine(
        _ bytes: RawSpan, to end: Int, _ head: inout RequestHead
    ) throws(HeadFault) -> Bool {
        while true {
            switch place {
            case .start:
                guard cursor < end else { return false }
                if cursor == 0, bytes.byte(0) == Byte.carriageReturn {
                    cursor = 1
                    place = .emptyLineFeed
                    continue
                }
                mark = cursor
                place = .method
            case .emptyLineFeed:
                guard cursor < end else { return false }
                guard bytes.byte(1) == Byte.lineFeed else { throw .bareLineBreak }
                cursor = 2
                place = .start
            case .method:
                guard try method(bytes, to: end, &head) else { return false }
            case .target:
                guard try target(bytes, to: end, &head) else { return false }
            case .version:
                guard
                    let version = try Version.read(
                        bytes, at: mark, to: end, malformed: .malformedRequestLine),
                    try lineBreak(bytes, at: mark + Version.length, to: end)
                else { return false }
                head.minorVersion = version
                scanner.begin(at: mark + Version.length + 2)
                place = .fields
            case .fields:
                return true
            }
        }
    }

    private mutating func method(
        _ bytes: RawSpan, to end: Int, _ head: inout RequestHead
    ) throws(HeadFault) -> Bool {
        cursor = bytes.tokenEnd(from: cursor, to: end)
        guard cursor < end else { return false }
        guard bytes.byte(cursor) == Byte.space, cursor > mark else {
            throw Self.fault(at: bytes.byte(cursor))
        }
        head.methodName = ByteRange(mark, cursor)
        head.method = Method(bytes, head.methodName)
        advance(to: .target)
        return true
    }

    private mutating func target(
        _ bytes: RawSpan, to end: Int, _ head: inout RequestHead
    ) throws(HeadFault) -> Bool {
        let bound = min(end, mark + limits.maxTarget + 1)
        cursor = bytes.targetEnd(from: cursor, to: bound)
        if cursor - mark > limits.maxTarget { throw .targetTooLong(limit: limits.maxTarget) }
        guard cursor < end else { return false }
        guard bytes.byte(cursor) == Byte.space, cursor > mark else {
            throw Self.fault(at: bytes.byte(cursor))
        }
        head.target = ByteRange(mark, cursor)
        advance(to: .version)
        return true
    }

    /// Steps over the one space and begins the next part.
    private mutating func advance(to next: Place) {
        cursor += 1
        mark = cursor
        place = next
    }

    /// Whether CR LF stands at `offset`; false when that cannot be seen yet.
    private func lineBreak(
        _ bytes: RawSpan, at offset: Int, to end: Int
    ) throws(HeadFault) -> Bool {
        guard offset < end else { return false }
        guard bytes.byte(offset) == Byte.carriageReturn else {
            throw Self.fault(at: bytes.byte(offset))
        }
        guard offset + 1 < end else { return false }
        guard bytes.byte(offset + 1) == Byte.lineFeed else { throw .bareLineBreak }
        return true
    }

    private static func fault(at byte: UInt8) -> HeadFault {
        byte == Byte.lineFeed ? .bareLineBreak : .malformedRequestLine
    }
}
