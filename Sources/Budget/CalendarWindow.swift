// SPDX-License-Identifier: Apache-2.0

import Policy

/// The window of a calendar that a moment is in, in a time zone. Times are microseconds since 1970.
/// The script has the same formulas.
///
/// A window is known by its beginning, so the windows of one zone never overlap, whatever its
/// clocks do: a day begins when the clock first shows its midnight or a later time, so that a day
/// with a change of the clocks has 23 or 25 hours. Hours and what is shorter begin anew at one.
struct CalendarWindow: Equatable {
    let start: Int64
    let end: Int64

    private static let second: Int64 = 1_000_000
    private static let dayMicroseconds: Int64 = 86_400_000_000

    init(_ window: LimitWindow, at time: Int64, in zone: ZoneOffsets) {
        switch window {
        case .second, .minute, .hour:
            self = Self.short(Int64(window.seconds) * Self.second, at: time, in: zone)
        case .day, .week, .month:
            let local = time + Self.offset(of: zone, at: time) * Self.second
            var day = Self.begin(window, day: Self.floorDivide(local, Self.dayMicroseconds))
            var next = Self.next(window, after: day)
            var start = Self.reach(day, in: zone)
            var end = Self.reach(next, in: zone)
            // Where the clock goes back over midnight, the new day has begun all the same.
            if end <= time {
                day = next
                next = Self.next(window, after: day)
                start = end
                end = Self.reach(next, in: zone)
            }
            self.init(start: start, end: end)
        }
    }

    private init(start: Int64, end: Int64) {
        self.start = start
        self.end = end
    }

    /// A piece of an even division of the local time, cut where that jumps.
    private static func short(
        _ length: Int64, at time: Int64, in zone: ZoneOffsets
    ) -> CalendarWindow {
        var offset = zone.first * second
        var from: Int64?
        var until: Int64?
        for change in zone.changes {
            if change.at * second > time {
                until = change.at * second
                break
            }
            offset = change.offset * second
            from = change.at * second
        }
        let whole = floorDivide(time + offset, length) * length - offset
        return CalendarWindow(
            start: max(whole, from ?? whole), end: min(whole + length, until ?? whole + length))
    }

    private static func offset(of zone: ZoneOffsets, at time: Int64) -> Int64 {
        var offset = zone.first
        for change in zone.changes {
            if change.at * second > time { break }
            offset = change.offset
        }
        return offset
    }

    /// When the local clock first shows the beginning of a day or a later time.
    private static func reach(_ day: Int64, in zone: ZoneOffsets) -> Int64 {
        let local = day * dayMicroseconds
        var found = local - zone.first * second
        for change in zone.changes {
            if found < change.at * second { return found }
            found = max(local - change.offset * second, change.at * second)
        }
        return found
    }

    // MARK: days of the calendar, as numbers that count up from 1970-01-01

    private static func begin(_ window: LimitWindow, day: Int64) -> Int64 {
        switch window {
        // 1970-01-01 was a Thursday; weeks begin on Mondays (ISO 8601).
        case .week: floorDivide(day + 3, 7) * 7 - 3
        case .month: monthBegin(month(day))
        default: day
        }
    }

    private static func next(_ window: LimitWindow, after day: Int64) -> Int64 {
        switch window {
        case .week: day + 7
        case .month: monthBegin(month(day) + 1)
        default: day + 1
        }
    }

    /// Months since year 0: year × 12 + month − 1. Howard Hinnant, "chrono-Compatible Low-Level
    /// Date Algorithms", civil_from_days; for days after year 0.
    private static func month(_ day: Int64) -> Int64 {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        // March of year 0 is month 2; January and February belong to the year before.
        return (yearOfEra + era * 400) * 12 + monthFromMarch + 2
    }

    /// The first day of a month; the same source, days_from_civil.
    private static func monthBegin(_ month: Int64) -> Int64 {
        let fromMarch = month - 2
        let year = fromMarch / 12
        let monthFromMarch = fromMarch - year * 12
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * monthFromMarch + 2) / 5
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func floorDivide(_ number: Int64, _ divisor: Int64) -> Int64 {
        let (quotient, rest) = number.quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? quotient - 1 : quotient
    }
}
