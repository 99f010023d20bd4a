// SPDX-License-Identifier: Apache-2.0

public import Units

/// Times as the ledger spells them: RFC 3339 in UTC, to the microsecond, always 27 bytes.
public enum LedgerTime {
    /// `2026-11-28T19:05:01.123456Z`.
    public static func text(_ time: WallTime) -> String {
        var text = ByteBuffer()
        append(time, to: &text)
        return unsafe String(decoding: text.readable, as: UTF8.self)
    }

    /// The same, at the end of a line that is being written.
    static func append(_ time: WallTime, to text: inout ByteBuffer) {
        let micros = time.microseconds
        let seconds = micros.quotientDown(1_000_000)
        let days = seconds.quotientDown(86_400)
        let rest = Int(seconds - days * 86_400)
        let date = CivilDate(daysSinceEpoch: Int(days))
        pad(date.year, 1_000, "-", &text)
        pad(date.month, 10, "-", &text)
        pad(date.day, 10, "T", &text)
        pad(rest / 3_600, 10, ":", &text)
        pad(rest / 60 % 60, 10, ":", &text)
        pad(rest % 60, 10, ".", &text)
        pad(Int(micros - seconds * 1_000_000), 100_000, "Z", &text)
    }

    /// The same without colons and dashes, for file names: `20261128T190501.123456Z`.
    public static func fileText(_ time: WallTime) -> String {
        String(text(time).filter { $0 != "-" && $0 != ":" })
    }

    /// A day (its beginning in UTC) or a time with seconds; nil for anything else. See
    /// `RFC3339.parse`.
    public static func parse(_ text: some StringProtocol) -> WallTime? { RFC3339.parse(text) }

    /// `first`: what the first digit counts.
    private static func pad(
        _ value: Int, _ first: Int, _ end: StaticString, _ text: inout ByteBuffer
    ) {
        var unit = first
        while unit > 1, value < unit {
            text.append(byte: UInt8(ascii: "0"))
            unit /= 10
        }
        text.append(decimal: value)
        text.append(end)
    }
}

extension Int64 {
    fileprivate func quotientDown(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self - divisor + 1) / divisor
    }
}
