// SPDX-License-Identifier: Apache-2.0

public import Budget
public import Units

/// Who holds a reservation, and so who has to hear of its settlement.
public enum ReservationHolder: UInt8, Sendable {
    /// The store that all replicas share, or the only one.
    case store
    /// The store granted it in advance, and this worker's book holds it.
    case book
    /// This replica's own memory, while the shared store is away.
    case replica
    /// Nobody: the store is away, and requests are admitted without a budget.
    case nobody
    /// The answer has not come yet.
    case outstanding
}

/// What the budget store says to one request.
public enum ReserveAnswer: Sendable, Equatable {
    case reserved(LimitsSnapshot, ReservationHolder)
    /// At least one limit has no room at present.
    case refused(BudgetRefusal)
    /// Larger than a limit can ever hold.
    case neverFits(BudgetExcess)
    /// The store is away, or full, and requests are refused meanwhile.
    case unavailable(retryAfter: Duration)

    init(_ outcome: BudgetOutcome, holder: ReservationHolder) {
        switch outcome {
        case .reserved(let snapshot): self = .reserved(snapshot, holder)
        case .refused(let refusal): self = .refused(refusal)
        case .neverFits(let excess): self = .neverFits(excess)
        case .full: self = .unavailable(retryAfter: .seconds(1))
        }
    }
}

/// An answer that could not be given at once.
public enum StoreAnswer: Sendable, Equatable {
    case reserve(RequestID, ReservationID, ReserveAnswer)
    case usage(RequestID, UsageAnswer)
    case overrides(RequestID, OverrideAnswer)

    func isFor(_ reservation: ReservationID) -> Bool {
        guard case .reserve(_, let answered, _) = self else { return false }
        return answered == reservation
    }
}

/// How tenants' limits stand in the store.
public enum UsageAnswer: Sendable, Equatable {
    /// One for each tenant asked for, in that order.
    case usage([LimitsSnapshot], ReservationHolder)
    case unavailable
}
