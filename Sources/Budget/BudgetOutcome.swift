// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// A limit that does not have room for a request now. Amounts in the limit's own unit.
public struct BudgetRefusal: Sendable, Equatable {
    /// Of several that refuse, the one with the longest wait.
    public let kind: LimitKind
    /// Whose limit it is.
    public let scope: LimitScope
    /// What it can hold at once: its burst size, where there is one.
    public let limit: Double
    public let used: Double
    public let requested: Double
    /// The time after which the same request fits, to the microsecond, if nothing else happens; for
    /// concurrent requests an estimate.
    public let wait: Duration
    public let snapshot: LimitsSnapshot

    /// `place`: of the limit in the snapshot.
    public init(at place: Int, demand: Demand, wait: Duration, snapshot: LimitsSnapshot) {
        let standing = snapshot.standing(place)
        kind = standing.kind
        scope = standing.scope
        limit = snapshot.limits.limits[place].capacityInUnits
        used = standing.used
        requested = demand.amount(of: standing.kind)
        self.wait = wait
        self.snapshot = snapshot
    }
}

/// A limit that could never hold a request. Amounts in the limit's own unit.
public struct BudgetExcess: Sendable, Equatable {
    public let kind: LimitKind
    public let scope: LimitScope
    /// Its burst size, where that is what the request does not fit into.
    public let limit: Double
    public let requested: Double

    public init(_ limit: PlannedLimit, demand: Demand) {
        kind = limit.kind
        scope = limit.scope
        self.limit = limit.capacityInUnits
        requested = demand.amount(of: limit.kind)
    }
}

/// What the limits say to one request.
public enum BudgetOutcome: Sendable, Equatable {
    /// All limits had room, and all were charged.
    case reserved(LimitsSnapshot)
    /// At least one limit had no room, and none was charged.
    case refused(BudgetRefusal)
    /// Larger than the limit could ever hold; none was charged.
    case neverFits(BudgetExcess)
    /// The table of open reservations, or of accounts, has reached its bound.
    case full
}
