// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// A limit that does not have room for a request now.
public struct BudgetRefusal: Sendable, Equatable {
    /// Of several that refuse, the one with the longest wait.
    public let kind: LimitKind
    public let limit: Double
    public let used: Double
    public let requested: Double
    /// The time after which the same request fits, to the microsecond, if nothing else happens; for
    /// concurrent requests an estimate.
    public let wait: Duration
    public let snapshot: LimitsSnapshot

    public init(
        kind: LimitKind, used: Double, requested: Double, wait: Duration, snapshot: LimitsSnapshot
    ) {
        self.kind = kind
        self.limit = snapshot.limits[kind]
        self.used = used
        self.requested = requested
        self.wait = wait
        self.snapshot = snapshot
    }
}

/// What the limits say to one request.
public enum BudgetOutcome: Sendable, Equatable {
    /// All limits had room, and all were charged.
    case reserved(LimitsSnapshot)
    /// At least one limit had no room, and none was charged.
    case refused(BudgetRefusal)
    /// Larger than the limit could ever hold; none was charged.
    case neverFits(kind: LimitKind, limit: Double, requested: Double)
    /// The table of open reservations has reached its bound.
    case full
}
