// SPDX-License-Identifier: Apache-2.0

import Units

/// Times for people: RFC 3339 in UTC with milliseconds.
enum LogTime {
    static func text(_ time: WallTime) -> String {
        let seconds = time.nanoseconds / 1_000_000_000
        let milliseconds = time.nanoseconds / 1_000_000 % 1_000
        let days = Int(seconds / 86_400)
        let rest = Int(seconds % 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))T"
            + "\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2))"
            + ".\(pad(Int(milliseconds), 3))Z"
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
