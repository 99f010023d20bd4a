// SPDX-License-Identifier: Apache-2.0

/// Days and months of the UTC calendar, as numbers that count up. Times are microseconds since
/// 1970, never negative. The script has the same formulas.
enum CalendarWindow {
    static let dayMicroseconds: Int64 = 86_400_000_000

    /// Days since 1970-01-01.
    static func day(_ time: Int64) -> Int64 { time / dayMicroseconds }

    static func dayEnd(_ time: Int64) -> Int64 { (day(time) + 1) * dayMicroseconds }

    /// Months since year 0: year × 12 + month − 1. Howard Hinnant, "chrono-Compatible Low-Level
    /// Date Algorithms", civil_from_days.
    static func month(_ time: Int64) -> Int64 {
        let shifted = day(time) + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        // March of year 0 is month 2; January and February belong to the year before.
        return (yearOfEra + era * 400) * 12 + monthFromMarch + 2
    }

    /// The first instant of the month after `month`; the same source, days_from_civil.
    static func monthEnd(_ month: Int64) -> Int64 {
        let fromMarch = month + 1 - 2
        let year = fromMarch / 12
        let monthFromMarch = fromMarch - year * 12
        let era = year / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * monthFromMarch + 2) / 5
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * dayMicroseconds
    }
}
