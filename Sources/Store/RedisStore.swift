// SPDX-License-Identifier: Apache-2.0

import Budget
package import Policy
package import Units

/// One worker's budgets in a Redis that all replicas share.
package final class RedisStore {
    private let policy: RedisStorePolicy
    /// The replica's own budgets for the time that Redis is away, shared by its workers.
    private let fallback: MemoryStore
    private var answers: [StoreAnswer] = []

    package init(policy: RedisStorePolicy, fallback: MemoryStore) {
        self.policy = policy
        self.fallback = fallback
    }
}

@available(*, unavailable)
extension RedisStore: Sendable {}

extension RedisStore: BudgetStoring {
    package func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        answerWithoutStore(request, wall: wall)
    }

    package func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        if settlement.holder == .replica { fallback.settle(settlement, wall: wall) }
    }

    package func drain(into answers: inout [StoreAnswer]) {
        answers.append(contentsOf: self.answers)
        self.answers.removeAll(keepingCapacity: true)
    }

    package func usage(
        of tenants: [TenantPolicy], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        policy.onFailure == .local
            ? .usage(fallback.standings(of: tenants, wall: wall), .replica) : .unavailable
    }

    /// What `on_failure` says.
    private func answerWithoutStore(_ request: ReserveRequest, wall: WallTime) -> ReserveAnswer {
        switch policy.onFailure {
        case .local: ReserveAnswer(fallback.reserve(request.order, wall: wall), holder: .replica)
        case .open: .reserved(.unlimited, .nobody)
        case .closed: .unavailable(retryAfter: .seconds(1))
        }
    }
}
