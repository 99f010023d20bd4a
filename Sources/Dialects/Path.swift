// SPDX-License-Identifier: Apache-2.0

import Wire

/// Percent-encoded paths (RFC 3986 section 2.1).
enum Path {
    /// Whether the decoded path is `name`. An encoded slash is not the slash of a path.
    static func matches(_ target: RawSpan, _ path: Range<Int>, _ name: StaticString) -> Bool {
        behind(name, target, path)?.isEmpty == true
    }

    /// What follows behind `prefix`; nil when the decoded path does not begin with it.
    static func behind(
        _ prefix: StaticString, _ target: RawSpan, _ path: Range<Int>
    ) -> Range<Int>? {
        var at = path.lowerBound
        for index in 0..<prefix.utf8CodeUnitCount {
            guard let (byte, next) = byte(target, at, path.upperBound) else { return nil }
            if byte != prefix.octet(index) { return nil }
            if byte == UInt8(ascii: "/"), next != at + 1 { return nil }
            at = next
        }
        return at..<path.upperBound
    }

    /// The decoded text of `range`; nil when the encoding is broken or it is not UTF-8.
    static func decoded(_ target: RawSpan, _ range: Range<Int>) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        var at = range.lowerBound
        while at < range.upperBound {
            guard let (byte, next) = byte(target, at, range.upperBound) else { return nil }
            bytes.append(byte)
            at = next
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// The byte spelled at `at`, and where the next one begins.
    private static func byte(_ target: RawSpan, _ at: Int, _ end: Int) -> (UInt8, Int)? {
        guard at < end else { return nil }
        let byte = target.octet(at)
        guard byte == UInt8(ascii: "%") else { return (byte, at + 1) }
        guard at + 2 < end, let high = hex(target.octet(at + 1)),
            let low = hex(target.octet(at + 2))
        else { return nil }
        return (high << 4 | low, at + 3)
    }

    private static func hex(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return digit - UInt8(ascii: "A") + 10
        default: return nil
        }
    }
}
