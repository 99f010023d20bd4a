// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// How one limit stands.
public struct LimitStanding: Sendable, Equatable {
    public let kind: LimitKind
    public let limit: Double
    /// Taken of it at present, above `limit` while a tenant is in debt.
    public let used: Double
    /// Until nothing of it is used any more if nothing else happens: the refill of a minute's
    /// limit, the end of the day or month. Zero for concurrent requests, whose end nobody knows.
    public let reset: Duration

    /// What is left, never below zero.
    public var remaining: Double { max(0, limit - used) }
}

/// How all limits of a tenant stood at one moment: what the rate limit headers are made from.
///
/// A value without allocation: 13 words.
public struct LimitsSnapshot: Sendable, Equatable {
    public let limits: LimitSet
    /// Meaningless where there is no limit.
    private let used: [7 of Double]
    /// Microseconds of the store's wall clock.
    public let time: Int64
    /// From when on the buckets drain: later than `time` where the clock was set back a little.
    private let drainsFrom: Int64

    public init(limits: LimitSet, used: [7 of Double], time: Int64, drainsFrom: Int64) {
        self.limits = limits
        self.used = used
        self.time = time
        self.drainsFrom = drainsFrom
    }

    /// Of a tenant that nobody counts for.
    public static let unlimited = LimitsSnapshot(
        limits: LimitSet(), used: [0, 0, 0, 0, 0, 0, 0], time: 0, drainsFrom: 0)

    /// Nil where the tenant has no such limit.
    public subscript(_ kind: LimitKind) -> LimitStanding? {
        let limit = limits[kind]
        guard limit > 0 else { return nil }
        return LimitStanding(
            kind: kind, limit: limit, used: used[kind.index], reset: reset(of: kind, limit: limit))
    }

    public static func == (left: LimitsSnapshot, right: LimitsSnapshot) -> Bool {
        guard left.limits == right.limits, left.time == right.time,
            left.drainsFrom == right.drainsFrom
        else { return false }
        for index in 0..<LimitKind.count
        where left.limits.amounts[index] > 0 && left.used[index] != right.used[index] {
            return false
        }
        return true
    }

    private func reset(of kind: LimitKind, limit: Double) -> Duration {
        switch kind {
        case .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute, .requestsPerMinute:
            let drain = (used[kind.index] / (limit / Account.minuteMicroseconds)).rounded(.up)
            let whole = min(drain, Account.longestWait)
            return .microseconds(Int(whole) + Int(drainsFrom - time))
        case .concurrentRequests:
            return .zero
        case .tokensPerDay:
            return .microseconds(Int(CalendarWindow.dayEnd(drainsFrom) - time))
        case .costPerMonth:
            let end = CalendarWindow.monthEnd(CalendarWindow.month(drainsFrom))
            return .microseconds(Int(end - time))
        }
    }
}
