// SPDX-License-Identifier: Apache-2.0

/// The textual form of IPv6 addresses (RFC 3986 section 3.2.2).
enum IPv6 {
    /// Whether the bytes are eight groups of one to four hexadecimal digits, of which one run may
    /// be left out by `::`, and the last two may be an IPv4 address.
    static func isAddress(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Bool {
        var at = start
        var groups = 0
        var omitted = false
        if isDoubleColon(bytes, at, end) {
            omitted = true
            at += 2
        }
        while at < end {
            let groupStart = at
            while at < end, bytes.byte(at).hexadecimal != nil { at += 1 }
            if at < end, bytes.byte(at) == Byte.dot {
                guard isIPv4(bytes, groupStart, end) else { return false }
                groups += 2
                break
            }
            guard 1...4 ~= at - groupStart else { return false }
            groups += 1
            guard at < end else { break }
            if isDoubleColon(bytes, at, end) {
                guard !omitted else { return false }
                omitted = true
                at += 2
            } else {
                guard bytes.byte(at) == Byte.colon, at + 1 < end else { return false }
                at += 1
            }
        }
        return omitted ? groups <= 7 : groups == 8
    }

    private static func isDoubleColon(_ bytes: RawSpan, _ at: Int, _ end: Int) -> Bool {
        at + 2 <= end && bytes.byte(at) == Byte.colon && bytes.byte(at + 1) == Byte.colon
    }

    /// Four decimal numbers up to 255 without leading zeros.
    private static func isIPv4(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Bool {
        var at = start
        for part in 0..<4 {
            if part > 0 {
                guard at < end, bytes.byte(at) == Byte.dot else { return false }
                at += 1
            }
            let partStart = at
            var number = 0
            while at < end, bytes.byte(at).isDigit, at - partStart < 3 {
                number = number * 10 + Int(bytes.byte(at) - Byte.zero)
                at += 1
            }
            guard at > partStart, number <= 255 else { return false }
            guard at - partStart == 1 || bytes.byte(partStart) != Byte.zero else { return false }
        }
        return at == end
    }
}
