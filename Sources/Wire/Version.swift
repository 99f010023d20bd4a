// SPDX-License-Identifier: Apache-2.0

/// `HTTP/1.x` (RFC 9112 section 2.3), eight bytes that are told apart from anything else at the
/// first one that differs.
enum Version {
    static let length = 8

    /// The minor version, 0 or 1, or nil when not all of it is there.
    static func read(
        _ bytes: RawSpan, at start: Int, to end: Int, malformed: HeadFault
    ) throws(HeadFault) -> UInt8? {
        if start + length <= end, bytes.word(start) == current { return 1 }
        for offset in 0..<min(length, end - start) {
            let byte = bytes.byte(start + offset)
            switch offset {
            case 5, 7:
                guard byte.isDigit else { throw malformed }
            default:
                guard byte == UInt8(truncatingIfNeeded: current >> UInt64(offset * 8)) else {
                    throw malformed
                }
            }
        }
        guard start + length <= end else { return nil }
        guard bytes.byte(start + 5) == Byte.zero + 1 else { throw .unsupportedVersion }
        return min(bytes.byte(start + 7) - Byte.zero, 1)
    }

    private static let current = word("HTTP/1.1")
}
