// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units

/// One worker's way to the budgets: the process's own memory, or the worker's link to Redis.
public enum BudgetStore {
    case memory(MemoryStore)
    case redis(RedisStore)
}

extension BudgetStore: BudgetStoring {
    public func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        switch self {
        case .memory(let store): store.reserve(request, now: now, wall: wall)
        case .redis(let store): store.reserve(request, now: now, wall: wall)
        }
    }

    public func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        switch self {
        case .memory(let store): store.settle(settlement, now: now, wall: wall)
        case .redis(let store): store.settle(settlement, now: now, wall: wall)
        }
    }

    public func drain(into answers: inout [StoreAnswer]) {
        switch self {
        case .memory: break
        case .redis(let store): store.drain(into: &answers)
        }
    }

    public func usage(
        of accounts: [BudgetAccount], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        switch self {
        case .memory(let store): store.usage(of: accounts, for: request, now: now, wall: wall)
        case .redis(let store): store.usage(of: accounts, for: request, now: now, wall: wall)
        }
    }
}

/// What a loop does for a store that has a connection. For memory nothing of it does anything.
extension BudgetStore {
    /// When `tick` wants to be called at the latest; nil: not at all.
    public var nextDeadline: Instant? {
        switch self {
        case .memory: nil
        case .redis(let store): store.nextDeadline
        }
    }

    /// Does what time brings. The first call, right after the start, begins to connect.
    public func tick(now: Instant, wall: WallTime) {
        if case .redis(let store) = self { store.tick(now: now, wall: wall) }
    }

    /// Takes an event of the poller whose token has the store's kind.
    public func ready(_ token: Token, _ readiness: Readiness, now: Instant, wall: WallTime) {
        if case .redis(let store) = self { store.ready(token, readiness, now: now, wall: wall) }
    }

    /// Sends what a turn of the loop has asked: once, at its end.
    public func flush(now: Instant, wall: WallTime) {
        if case .redis(let store) = self { store.flush(now: now, wall: wall) }
    }

    /// Whether decisions come from the configured store, and why not.
    public var state: StoreState {
        switch self {
        case .memory: .up
        case .redis(let store): store.state
        }
    }

    public var counters: StoreCounters {
        switch self {
        case .memory: StoreCounters()
        case .redis(let store): store.counters
        }
    }
}
