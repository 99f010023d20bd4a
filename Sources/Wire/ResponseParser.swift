// SPDX-License-Identifier: Apache-2.0

/// Reads response heads (RFC 9112) as strictly as requests, but for three things that engines may
/// do and that are not forwarded as received: obs-text in values and in the reason, and a status
/// line that ends right after the status.
public struct ResponseParser: Sendable {
    /// What the next byte belongs to.
    private enum Place {
        case start
        case reason
        case lineFeed
        case fields
    }
    /// `HTTP/1.1 200`
    private static let statusEnd = Version.length + 4

    private let limits: HeadLimits
    private var place = Place.start
    /// The first byte of the reason not looked at.
    private var cursor = 0
    private var scanner: FieldScanner

    /// At the front of a response; `maxTarget` is of no meaning here.
    public init(limits: HeadLimits) {
        self.limits = limits
        scanner = FieldScanner(.obsText, maxFields: limits.maxFields)
    }

    /// Forgets a half-read head.
    public mutating func reset() {
        place = .start
        cursor = 0
    }

    /// Bytes that the head takes, or nil when more are needed.
    ///
    /// Call again with the same bytes and more behind them, and the same `head`: it keeps its place
    /// and does not look twice at what it has seen. After a head it is ready for the next one,
    /// which after an interim status (1xx) answers the same request. After a fault the connection
    /// cannot be read on.
    public mutating func parse(
        _ bytes: RawSpan, requestMethod: Method, into head: inout ResponseHead
    ) throws(HeadFault) -> Int? {
        let end = min(bytes.byteCount, limits.maxHead)
        if place == .start { head.clear() }
        if try startLine(bytes, to: end, &head),
            try scanner.scan(bytes, to: end, into: &head.fields)
        {
            try head.applyFields(bytes, requestMethod: requestMethod)
            reset()
            return scanner.cursor
        }
        if bytes.byteCount >= limits.maxHead { throw .headTooLarge(limit: limits.maxHead) }
        return nil
    }

    /// Whether the status line ended before `end`.
    private mutating func startLine(
        _ bytes: RawSpan, to end: Int, _ head: inout ResponseHead
    ) throws(HeadFault) -> Bool {
        while true {
            switch place {
            case .start:
                guard try status(bytes, to: end, &head) else { return false }
            case .reason:
                cursor = bytes.textEnd(from: cursor, to: end, .obsText)
                guard cursor < end else { return false }
                guard bytes.byte(cursor) == Byte.carriageReturn else {
                    throw Self.fault(at: bytes.byte(cursor))
                }
                head.reason = ByteRange(min(Self.statusEnd + 1, cursor), cursor)
                cursor += 1
                place = .lineFeed
            case .lineFeed:
                guard cursor < end else { return false }
                guard bytes.byte(cursor) == Byte.lineFeed else { throw .bareLineBreak }
                scanner.begin(at: cursor + 1)
                place = .fields
            case .fields:
                return true
            }
        }
    }

    /// Reads up to the byte behind the status: a space, or the CR of a line without a reason.
    private mutating func status(
        _ bytes: RawSpan, to end: Int, _ head: inout ResponseHead
    ) throws(HeadFault) -> Bool {
        guard
            let version = try Version.read(bytes, at: 0, to: end, malformed: .malformedStatusLine)
        else { return false }
        var status = 0
        for offset in Version.length..<min(Self.statusEnd, end) {
            let byte = bytes.byte(offset)
            if offset == Version.length {
                guard byte == Byte.space else { throw Self.fault(at: byte) }
                continue
            }
            guard byte.isDigit else { throw Self.fault(at: byte) }
            status = status * 10 + Int(byte - Byte.zero)
        }
        guard end > Self.statusEnd else { return false }
        guard 100...599 ~= status else { throw .malformedStatusLine }
        let next = bytes.byte(Self.statusEnd)
        guard next == Byte.space || next == Byte.carriageReturn else { throw Self.fault(at: next) }
        head.status = status
        head.minorVersion = version
        cursor = next == Byte.space ? Self.statusEnd + 1 : Self.statusEnd
        place = .reason
        return true
    }

    private static func fault(at byte: UInt8) -> HeadFault {
        byte == Byte.lineFeed ? .bareLineBreak : .malformedStatusLine
    }
}
