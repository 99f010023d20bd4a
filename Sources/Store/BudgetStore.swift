// SPDX-License-Identifier: Apache-2.0

package import Policy
package import Units

/// One worker's way to the budgets: the process's own memory, or the worker's link to Redis.
package enum BudgetStore {
    case memory(MemoryStore)
    case redis(RedisStore)
}

extension BudgetStore: BudgetStoring {
    package func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        switch self {
        case .memory(let store): store.reserve(request, now: now, wall: wall)
        case .redis(let store): store.reserve(request, now: now, wall: wall)
        }
    }

    package func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        switch self {
        case .memory(let store): store.settle(settlement, now: now, wall: wall)
        case .redis(let store): store.settle(settlement, now: now, wall: wall)
        }
    }

    package func drain(into answers: inout [StoreAnswer]) {
        switch self {
        case .memory: break
        case .redis(let store): store.drain(into: &answers)
        }
    }

    package func usage(
        of tenants: [TenantPolicy], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        switch self {
        case .memory(let store): store.usage(of: tenants, for: request, now: now, wall: wall)
        case .redis(let store): store.usage(of: tenants, for: request, now: now, wall: wall)
        }
    }
}
