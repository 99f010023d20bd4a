// SPDX-License-Identifier: Apache-2.0

package import Policy
package import Units

/// A limit that does not have room for a request now.
package struct BudgetRefusal: Sendable, Equatable {
    /// Of several that refuse, the one with the longest wait.
    package let kind: LimitKind
    package let limit: Double
    package let used: Double
    package let requested: Double
    /// The time after which the same request fits, to the microsecond, if nothing else happens; for
    /// concurrent requests an estimate.
    package let wait: Duration
    package let snapshot: LimitsSnapshot

    package init(
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
package enum BudgetOutcome: Sendable, Equatable {
    /// All limits had room, and all were charged.
    case reserved(LimitsSnapshot)
    /// At least one limit had no room, and none was charged.
    case refused(BudgetRefusal)
    /// Larger than the limit could ever hold; none was charged.
    case neverFits(kind: LimitKind, limit: Double, requested: Double)
    /// The table of open reservations has reached its bound.
    case full
}
