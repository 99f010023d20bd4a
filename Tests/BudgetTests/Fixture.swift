// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Units

/// One tenant's budget, spoken to in seconds since the first of March 2024.
struct Fixture {
    static let start: Int64 = 1_709_251_200_000_000
    var budgets: Budgets
    var limits: LimitSet
    var naming = ReservationNaming(nonce: 7, worker: 1)

    init(
        _ rates: [LimitKind: Double], lease: Duration = .seconds(1e8), maxReservations: Int = 1_000
    ) {
        budgets = Budgets(lease: lease, maxReservations: maxReservations)
        limits = Self.set(rates)
    }

    static func set(
        _ rates: [LimitKind: Double], of tenant: Int = 0, named name: String = ""
    ) -> LimitSet {
        LimitSet(
            TenantLimits(
                rates: LimitKind.allCases.compactMap { kind in
                    rates[kind].map { Limit(kind: kind, amount: $0) }
                }), of: TenantID(tenant), named: name)
    }

    static func wall(_ microseconds: Int64) -> WallTime {
        WallTime(nanoseconds: (start + microseconds) * 1_000)
    }

    /// Reserves under a new name.
    mutating func reserve(
        _ demand: Demand, at microseconds: Int64, serviceTime: Duration = .zero
    ) -> (BudgetOutcome, ReservationID) {
        let id = naming.next()
        return (
            reserve(id, demand, at: microseconds, serviceTime: serviceTime), id
        )
    }

    mutating func reserve(
        _ id: ReservationID, _ demand: Demand, at microseconds: Int64,
        serviceTime: Duration = .zero
    ) -> BudgetOutcome {
        budgets.reserve(
            BudgetOrder(
                id: id, limits: limits, demand: demand, serviceTime: serviceTime),
            wall: Self.wall(microseconds))
    }

    @discardableResult
    mutating func settle(
        _ id: ReservationID, _ use: SettledUse, at microseconds: Int64
    ) -> SettlementOutcome {
        budgets.settle(
            id, use: use, limits: limits, wall: Self.wall(microseconds))
    }

    /// Used of `kind`, and NaN where there is no such limit.
    mutating func used(_ kind: LimitKind, at microseconds: Int64) -> Double {
        standing(at: microseconds)[kind]?.used ?? .nan
    }

    mutating func standing(at microseconds: Int64) -> LimitsSnapshot {
        budgets.standing(of: limits, wall: Self.wall(microseconds))
    }
}

/// The kinds that most limits are of.
let usualKinds: [LimitKind] = [
    .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute, .requestsPerMinute,
    .concurrentRequests, .tokensPerDay, .costPerMonth,
]

func tokens(_ input: Int, _ output: Int = 0, cost: Double = 0) -> Demand {
    Demand(input: Tokens(input), output: Tokens(output), cost: cost)
}

func seconds(_ count: Double) -> Int64 { Int64(count * 1_000_000) }

extension BudgetOutcome {
    var isReserved: Bool {
        if case .reserved = self { true } else { false }
    }
    var excess: BudgetExcess? {
        if case .neverFits(let excess) = self { excess } else { nil }
    }
    var refusal: BudgetRefusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
}
