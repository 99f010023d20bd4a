// SPDX-License-Identifier: Apache-2.0

/// Times as RFC 3339 spells them.
public enum RFC3339 {
    /// In UTC to the second, with microseconds only where there are some: `2026-11-28T19:05:01Z`.
    public static func text(_ time: WallTime) -> String {
        let micros = time.microseconds
        let seconds = micros.quotientDown(1_000_000)
        let days = seconds.quotientDown(86_400)
        let rest = Int(seconds - days * 86_400)
        let fraction = Int(micros - seconds * 1_000_000)
        let date = CivilDate(daysSinceEpoch: Int(days))
        return "\(pad(date.year, 4))-\(pad(date.month, 2))-\(pad(date.day, 2))T"
            + "\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2))"
            + (fraction == 0 ? "Z" : ".\(pad(fraction, 6))Z")
    }

    /// A time of day with its date, and nothing less; nil for anything else. From 1970 to 2199.
    public static func time(_ text: some StringProtocol) -> WallTime? {
        // The shortest is `2026-11-28T19:05:01Z`; a day alone is not meant here.
        text.utf8.count >= 20 ? parse(text) : nil
    }

    /// A day (its beginning in UTC) or a time with seconds, with or without a fraction, in UTC or
    /// with an offset; nil for anything else, days that no calendar has included.
    public static func parse(_ text: some StringProtocol) -> WallTime? {
        var reader = Reader(Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2),
            reader.take("-"), let day = reader.number(2),
            let days = days(year: year, month: month, day: day)
        else { return nil }
        var micros = Int64(days) * 86_400_000_000
        if reader.isAtEnd { return WallTime(nanoseconds: micros * 1_000) }
        guard reader.take("T") || reader.take("t") || reader.take(" "),
            let hour = reader.number(2), hour < 24, reader.take(":"),
            let minute = reader.number(2), minute < 60, reader.take(":"),
            let second = reader.number(2), second < 60
        else { return nil }
        micros += Int64(hour * 3_600 + minute * 60 + second) * 1_000_000
        if reader.take(".") {
            guard let fraction = reader.fraction() else { return nil }
            micros += Int64(fraction)
        }
        if !reader.take("Z") && !reader.take("z") {
            guard let offset = reader.offset() else { return nil }
            micros -= Int64(offset) * 60_000_000
        }
        return reader.isAtEnd ? WallTime(nanoseconds: micros * 1_000) : nil
    }

    /// Days since 1970-01-01; from 1970 to 2199, where the clock's nanoseconds reach.
    private static func days(year: Int, month: Int, day: Int) -> Int? {
        guard (1970...2199).contains(year), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let before = year - 1
        var days = (year - 1970) * 365 + (before / 4 - before / 100 + before / 400) - 477
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        guard day <= lengths[month - 1] + (isLeap && month == 2 ? 1 : 0) else { return nil }
        for earlier in 0..<month - 1 { days += lengths[earlier] }
        if isLeap, month > 2 { days += 1 }
        return days + day - 1
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

/// Steps through a time's text.
private struct Reader {
    let bytes: [UInt8]
    var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { at == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    /// Exactly so many digits.
    mutating func number(_ count: Int) -> Int? {
        var value = 0
        for _ in 0..<count {
            guard at < bytes.count, (0x30...0x39).contains(bytes[at]) else { return nil }
            value = value * 10 + Int(bytes[at] - 0x30)
            at += 1
        }
        return value
    }

    /// Microseconds of one to nine digits; what is finer is cut.
    mutating func fraction() -> Int? {
        var value = 0
        var count = 0
        while at < bytes.count, (0x30...0x39).contains(bytes[at]), count < 9 {
            if count < 6 { value = value * 10 + Int(bytes[at] - 0x30) }
            count += 1
            at += 1
        }
        guard count > 0 else { return nil }
        for _ in min(count, 6)..<6 { value *= 10 }
        return value
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int? {
        let isWest = take("-")
        guard isWest || take("+"), let hours = number(2), hours < 24, take(":"),
            let minutes = number(2), minutes < 60
        else { return nil }
        return (isWest ? -1 : 1) * (hours * 60 + minutes)
    }
}

extension Int64 {
    fileprivate func quotientDown(_ divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self - divisor + 1) / divisor
    }
}
