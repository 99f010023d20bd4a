// SPDX-License-Identifier: Apache-2.0

/// Host and perhaps port, as the Host field and targets hold them (RFC 3986 section 3.2): a name,
/// an IPv4 address, or an IPv6 address in brackets. User information, zone identifiers and address
/// formats of the future are refused, as is an empty host.
struct Authority: Sendable, Equatable {
    let host: ByteRange
    /// Whether a port with at least one digit stands behind the host; it is at most 65535.
    let hasPort: Bool

    /// Nil when `range` is not an authority.
    init?(_ bytes: RawSpan, _ range: ByteRange) {
        let end = Int(range.end)
        guard let hostEnd = Self.hostEnd(bytes, range) else { return nil }
        host = ByteRange(Int(range.start), hostEnd)
        guard hostEnd < end else {
            hasPort = false
            return
        }
        guard bytes.byte(hostEnd) == Byte.colon, Self.isPort(bytes, hostEnd + 1, end) else {
            return nil
        }
        hasPort = end > hostEnd + 1
    }

    private static func hostEnd(_ bytes: RawSpan, _ range: ByteRange) -> Int? {
        guard !range.isEmpty else { return nil }
        let start = Int(range.start)
        let end = Int(range.end)
        if bytes.byte(start) == Byte.openBracket {
            var at = start + 1
            while at < end, bytes.byte(at) != Byte.closeBracket { at += 1 }
            guard at < end, IPv6.isAddress(bytes, start + 1, at) else { return nil }
            return at + 1
        }
        var at = start
        while at < end, bytes.byte(at) != Byte.colon {
            if bytes.byte(at) == Byte.percent {
                guard at + 2 < end, bytes.byte(at + 1).hexadecimal != nil,
                    bytes.byte(at + 2).hexadecimal != nil
                else { return nil }
                at += 3
            } else {
                guard isNameByte(bytes.byte(at)) else { return nil }
                at += 1
            }
        }
        return at > start ? at : nil
    }

    /// RFC 3986 section 3.2.2: unreserved and sub-delims.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        if byte.isLetter || byte.isDigit { return true }
        switch byte {
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
            UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="):
            return true
        default:
            return false
        }
    }

    /// *DIGIT, at most 65535.
    private static func isPort(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Bool {
        var port = 0
        for offset in start..<end {
            guard bytes.byte(offset).isDigit else { return false }
            port = port * 10 + Int(bytes.byte(offset) - Byte.zero)
            guard port <= 65_535 else { return false }
        }
        return true
    }
}
