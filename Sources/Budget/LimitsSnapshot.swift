// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// How one limit stands. Amounts in its own unit: tokens, requests, currency units.
public struct LimitStanding: Sendable, Equatable {
    public let scope: LimitScope
    public let kind: LimitKind
    public let limit: Double
    /// Taken of it at present, above `limit` while somebody is in debt.
    public let used: Double
    /// What is left at present, never below zero: of a burst size, where that is smaller.
    public let remaining: Double
    /// Until nothing of it is used any more if nothing else happens: the refill of a sliding
    /// window, the end of a calendar's. Zero for concurrent requests, whose end nobody knows.
    public let reset: Duration
}

/// How all limits of a request stood at one moment: what the rate limit headers are made from.
public struct LimitsSnapshot: Sendable, Equatable {
    /// Used, in millionths where that is cost, and microseconds until it is none.
    struct Level: Sendable, Equatable {
        let used: Double
        let reset: Double
    }

    public let limits: LimitSet
    let levels: [Level]
    /// Microseconds of the store's wall clock.
    public let time: Int64

    /// `levels`: by limit, each within what its limit can say.
    init(limits: LimitSet, levels: [Level], time: Int64) {
        self.limits = limits
        self.levels = levels
        self.time = time
    }

    /// From a reply: pairs of what is used and microseconds until it is none, one for each limit.
    /// Nil when they are not as many.
    public init?(limits: LimitSet, used: [Double], resets: [Double], time: Int64) {
        guard used.count == limits.limits.count, resets.count == used.count else { return nil }
        self.init(
            limits: limits, levels: zip(used, resets).map { Level(used: $0, reset: $1) },
            time: time)
    }

    /// Of a tenant that nobody counts for.
    public static let unlimited = LimitsSnapshot(limits: LimitSet(), levels: [], time: 0)

    /// How many limits there are.
    public var count: Int { levels.count }

    /// Which part of a limit is left.
    public func part(_ place: Int) -> Double {
        max(0, limits.limits[place].capacity - levels[place].used) / limits.limits[place].amount
    }

    public func standing(_ place: Int) -> LimitStanding {
        let limit = limits.limits[place]
        let level = levels[place]
        return LimitStanding(
            scope: limit.scope, kind: limit.kind,
            limit: limit.amountInUnits,
            used: PlannedLimit.units(level.used, limit.quantity),
            remaining: PlannedLimit.units(
                max(0, limit.capacity - level.used), limit.quantity),
            reset: .microseconds(Int(min(level.reset, 9e15))))
    }

    /// The tenant's own limit of that kind, or the first one there is; nil where there is none.
    public subscript(_ kind: LimitKind) -> LimitStanding? {
        let own = limits.limits.firstIndex { $0.kind == kind && $0.scope == .tenant }
        let place = own ?? limits.limits.firstIndex { $0.kind == kind }
        return place.map { standing($0) }
    }
}
