// SPDX-License-Identifier: Apache-2.0

public import Units

/// Times as the ledger spells them: RFC 3339 in UTC, to the microsecond, always 27 bytes.
public enum LedgerTime {
    /// `2026-11-28T19:05:01.123456Z`.
    public static func text(_ time: WallTime) -> String {
        let micros = time.microseconds
        let seconds = micros.quotientDown(1_000_000)
        let days = seconds.quotientDown(86_400)
        let rest = Int(seconds - days * 86_400)
        let date = CivilDate(daysSinceEpoch: Int(days))
        return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))T"
            + "\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2))"
            + ".\(pad(Int(micros - seconds * 1_000_000), 6))Z"
    }

    /// The same without colons and dashes, for file names: `20261128T190501.123456Z`.
    public static func fileText(_ time: WallTime) -> String {
        String(text(time).filter { $0 != "-" && $0 != ":" })
    }

    /// A day (its beginning in UTC) or a time with seconds; nil for anything else. See
    /// `RFC3339.parse`.
    public static func parse(_ text: some StringProtocol) -> WallTime? { RFC3339.parse(text) }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

extension Int64 {
    fileprivate func quotientDown(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self - divisor + 1) / divisor
    }
}
