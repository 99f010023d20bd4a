// SPDX-License-Identifier: Apache-2.0

public import Units

/// `Date` fields (RFC 9110 section 5.6.7), formatted once a second.
public struct HTTPDate: ~Copyable {
    private var line = ByteBuffer()
    private var second = Int64.min

    /// Nothing is formatted yet.
    public init() {}

    /// `Date: Tue, 24 Nov 2026 15:41:20 GMT` with its line end; valid until the next call.
    public mutating func line(_ time: WallTime) -> UnsafeRawBufferPointer {
        let now = time.nanoseconds / 1_000_000_000
        if now != second {
            second = now
            line.removeAll()
            line.append("Date: ")
            Self.append(now, to: &line)
            line.append("\r\n")
        }
        return unsafe line.readable
    }

    private static func append(_ seconds: Int64, to line: inout ByteBuffer) {
        let days = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
        let rest = Int(seconds) - days * 86_400
        let date = CivilDate(daysSinceEpoch: days)
        let names: StaticString = "ThuFriSatSunMonTueWed"
        append(names, 3 * ((days % 7 + 7) % 7), to: &line)
        line.append(", ")
        append(two: date.day, to: &line)
        line.append(byte: 0x20)
        append("JanFebMarAprMayJunJulAugSepOctNovDec", 3 * (date.month - 1), to: &line)
        line.append(byte: 0x20)
        append(two: date.year / 100, to: &line)
        append(two: date.year % 100, to: &line)
        line.append(byte: 0x20)
        append(two: rest / 3_600, to: &line)
        line.append(byte: 0x3A)
        append(two: rest / 60 % 60, to: &line)
        line.append(byte: 0x3A)
        append(two: rest % 60, to: &line)
        line.append(" GMT")
    }

    private static func append(_ names: StaticString, _ at: Int, to line: inout ByteBuffer) {
        unsafe line.append(UnsafeRawBufferPointer(start: names.utf8Start + at, count: 3))
    }

    private static func append(two value: Int, to line: inout ByteBuffer) {
        line.append(byte: UInt8(0x30 + value / 10 % 10))
        line.append(byte: UInt8(0x30 + value % 10))
    }
}
