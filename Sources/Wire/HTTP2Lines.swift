// SPDX-License-Identifier: Apache-2.0

/// Field lines of HTTP/1.1 on their way to HTTP/2: `name: value CR LF`, one after the other.
public struct HTTP2Lines {
    private var at = 0

    /// At the front.
    public init() {}

    /// The next line that has a place in HTTP/2: its name, with capitals as they stand, and its
    /// value. What belongs to one connection is left out (RFC 9113 section 8.2.2), and so is what
    /// is not a line of that form.
    public mutating func next(_ bytes: RawSpan) -> (
        id: FieldName, name: ByteRange, value: ByteRange
    )? {
        while at < bytes.byteCount {
            let start = at
            let end = bytes.lineEnd(from: at, to: bytes.byteCount)
            at = end
            while at < bytes.byteCount, bytes.byte(at) < Byte.space { at += 1 }
            let colon = bytes.tokenEnd(from: start, to: end)
            guard colon > start, colon < end, bytes.byte(colon) == Byte.colon else { continue }
            let name = ByteRange(start, colon)
            let id = FieldName(bytes, name)
            if Self.isOfConnection(id) { continue }
            return (id, name, bytes.trimmed(colon + 1, end))
        }
        return nil
    }

    /// RFC 9113 section 8.2.2.
    public static func isOfConnection(_ id: FieldName) -> Bool {
        switch id {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade, .te: true
        default: false
        }
    }

    /// Whether a field may stand behind a message (RFC 9110 section 6.5.1).
    public static func mayTrail(_ id: FieldName) -> Bool {
        switch id {
        case .host, .contentLength, .trailer, .authorization, .contentType, .contentEncoding,
            .expect, .cookie, .date, .proxyAuthorization, .proxyAuthenticate:
            false
        default: !isOfConnection(id)
        }
    }
}
