// SPDX-License-Identifier: Apache-2.0

/// A point of the monotonic clock, in nanoseconds since some start that never changes in a process.
///
/// The pure rooms get it with each call and never read a clock.
@frozen
public struct Instant: Hashable, Comparable, Sendable {
    public var nanoseconds: UInt64

    @inlinable
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// A point that never comes.
    public static let distantFuture = Instant(nanoseconds: UInt64(Int64.max))

    @inlinable
    public static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    /// Saturates at zero and at `distantFuture`.
    @inlinable
    public static func + (instant: Instant, span: Duration) -> Instant {
        let sum = Int64(instant.nanoseconds).addingReportingOverflow(span.nanoseconds)
        if sum.overflow { return distantFuture }
        return Instant(nanoseconds: UInt64(max(0, sum.partialValue)))
    }
    @inlinable
    public static func - (instant: Instant, span: Duration) -> Instant {
        instant + (Duration.zero - span)
    }
    @inlinable
    public static func - (later: Instant, earlier: Instant) -> Duration {
        Duration(nanoseconds: Int64(later.nanoseconds) &- Int64(earlier.nanoseconds))
    }
}

/// A length of time in whole nanoseconds. It stands before the standard library's 128-bit type of
/// the same name, whose divisions would be felt on the request path.
@frozen
public struct Duration: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Duration(nanoseconds: 0)
    /// No limit.
    public static let infinite = Duration(nanoseconds: Int64.max)

    @inlinable
    public static func microseconds(_ count: Int) -> Duration {
        Duration(nanoseconds: Int64(count) * 1_000)
    }
    @inlinable
    public static func milliseconds(_ count: Int) -> Duration {
        Duration(nanoseconds: Int64(count) * 1_000_000)
    }
    @inlinable
    public static func seconds(_ count: Int) -> Duration {
        Duration(nanoseconds: Int64(count) * 1_000_000_000)
    }
    /// From a computed number of seconds; not finite or too large saturates at `infinite`.
    @inlinable
    public static func seconds(_ count: Double) -> Duration {
        let scaled = count * 1e9
        guard scaled < 9.2e18 else { return infinite }
        return Duration(nanoseconds: scaled > -9.2e18 ? Int64(scaled) : Int64.min)
    }

    @inlinable
    public var seconds: Double { Double(nanoseconds) / 1e9 }
    /// Whole milliseconds, rounded up: what a client is told to wait must not be too short.
    @inlinable
    public var millisecondsRoundedUp: Int {
        let whole = nanoseconds / 1_000_000
        return Int(nanoseconds % 1_000_000 > 0 ? whole + 1 : whole)
    }

    @inlinable
    public static func < (left: Duration, right: Duration) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    /// Saturates at `infinite`, and at the shortest there is.
    @inlinable
    public static func + (left: Duration, right: Duration) -> Duration {
        let sum = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        guard sum.overflow else { return Duration(nanoseconds: sum.partialValue) }
        return Duration(nanoseconds: right.nanoseconds < 0 ? Int64.min : Int64.max)
    }
    /// Saturates likewise.
    @inlinable
    public static func - (left: Duration, right: Duration) -> Duration {
        let rest = left.nanoseconds.subtractingReportingOverflow(right.nanoseconds)
        guard rest.overflow else { return Duration(nanoseconds: rest.partialValue) }
        return Duration(nanoseconds: right.nanoseconds > 0 ? Int64.min : Int64.max)
    }

    /// As the configuration spells it: `250ms`, `30s`, `5m`.
    public var description: String {
        if self == .infinite { return "infinite" }
        let units: [(Int64, String)] = [
            (3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"),
            (1_000_000, "ms"), (1_000, "us"),
        ]
        for (unit, name) in units where nanoseconds != 0 && nanoseconds % unit == 0 {
            return "\(nanoseconds / unit)\(name)"
        }
        return nanoseconds == 0 ? "0s" : "\(nanoseconds)ns"
    }
}

/// A point of the wall clock: nanoseconds since 1970-01-01T00:00:00Z. For people, for stores and
/// for calendar limits; never for measuring.
@frozen
public struct WallTime: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable
    public var microseconds: Int64 { nanoseconds / 1_000 }
    @inlinable
    public static func < (left: WallTime, right: WallTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
    @inlinable
    public static func + (time: WallTime, span: Duration) -> WallTime {
        WallTime(nanoseconds: time.nanoseconds &+ span.nanoseconds)
    }
}
