// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import Testing
import Units

/// A worker's loop around one Redis store, turned by the test.
final class StoreLoop {
    static let kind: UInt8 = 9
    let store: RedisStore
    let poller: Poller
    private var naming: ReservationNaming
    private var lastRequest: UInt64 = 0
    private(set) var answers: [StoreAnswer] = []
    /// Added to the clock, so that a test can let time pass.
    var ahead = Duration.zero

    init(_ shared: RedisShared, worker: Int = 0) throws {
        poller = try Poller()
        store = RedisStore(
            shared: shared, poller: poller, tokenKind: Self.kind, seed: UInt64(worker))
        var system = SystemRandomNumberGenerator()
        naming = ReservationNaming(nonce: system.next(), worker: worker)
    }

    var now: Instant { MonotonicClock.now() + ahead }

    /// One turn of the loop: waits at most until `deadline`.
    func turn(until deadline: Instant) throws {
        store.tick(now: now, wall: WallClock.now())
        store.flush(now: now, wall: WallClock.now())
        let next = min(deadline, store.nextDeadline ?? deadline)
        let count = try poller.wait(until: next, now: now)
        for index in 0..<count {
            let (token, readiness) = poller.event(index)
            store.ready(token, readiness, now: now, wall: WallClock.now())
        }
        store.tick(now: now, wall: WallClock.now())
        store.flush(now: now, wall: WallClock.now())
        store.drain(into: &answers)
    }

    /// Turns until `isDone`; an issue when that takes longer than `limit`.
    func run(
        within limit: Duration = .seconds(10), _ what: Comment, until isDone: () -> Bool,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let deadline = now + limit
        while !isDone() {
            if now >= deadline {
                Issue.record("\(what): \(store.state)", sourceLocation: location)
                return
            }
            try turn(until: deadline)
        }
    }

    func runUntilUp(location: SourceLocation = #_sourceLocation) throws {
        try run("the store comes up", until: { store.state == .up }, location: location)
    }

    /// Turns for a while.
    func run(for span: Duration) throws {
        let deadline = now + span
        while now < deadline { try turn(until: deadline) }
    }

    func request(_ tenant: TenantPolicy, _ demand: Demand) -> ReserveRequest {
        request(BudgetAccount(tenant), demand)
    }

    func request(_ account: BudgetAccount, _ demand: Demand) -> ReserveRequest {
        lastRequest += 1
        return ReserveRequest(
            request: RequestID(raw: lastRequest), reservation: naming.next(), account: account,
            demand: demand)
    }

    /// Asks without waiting for the answer, which `answer` finds.
    func ask(_ request: ReserveRequest) {
        if let answer = store.reserve(request, now: now, wall: WallClock.now()) {
            answers.append(.reserve(request.request, request.reservation, answer))
        }
    }

    func takeAnswer(_ request: ReserveRequest) -> ReserveAnswer? {
        for (place, answer) in answers.enumerated() {
            if case .reserve(request.request, request.reservation, let found) = answer {
                answers.remove(at: place)
                return found
            }
        }
        return nil
    }

    func reserve(_ request: ReserveRequest) throws -> ReserveAnswer? {
        ask(request)
        var found: ReserveAnswer?
        try run("an answer comes") {
            found = takeAnswer(request)
            return found != nil
        }
        return found
    }

    func reserve(_ tenant: TenantPolicy, _ tokens: Int) throws -> ReserveAnswer? {
        try reserve(request(tenant, demand(tokens)))
    }

    func settle(
        _ request: ReserveRequest, _ tenant: TenantPolicy, _ use: SettledUse,
        holder: ReservationHolder = .store
    ) {
        store.settle(
            Settlement(
                reservation: request.reservation, tenant: tenant, holder: holder, use: use),
            now: now, wall: WallClock.now())
    }

    /// The tenants' standings; nil when the store has none to give.
    func usage(_ tenants: [TenantPolicy]) throws -> [LimitsSnapshot]? {
        try usage(tenants.map { BudgetAccount($0) })
    }

    func usage(_ accounts: [BudgetAccount]) throws -> [LimitsSnapshot]? {
        lastRequest += 1
        let request = RequestID(raw: lastRequest)
        var found = store.usage(of: accounts, for: request, now: now, wall: WallClock.now())
        try run("the usage comes") {
            for (place, answer) in answers.enumerated() {
                if case .usage(request, let usage) = answer {
                    found = usage
                    answers.remove(at: place)
                    break
                }
            }
            return found != nil
        }
        guard case .usage(let standings, _) = found else { return nil }
        return standings
    }

    /// All overrides, after a change where there is one.
    func overrides(_ change: OverrideChange?) throws -> OverrideAnswer? {
        lastRequest += 1
        let request = RequestID(raw: lastRequest)
        guard store.overrides(change, for: request, now: now) else { return nil }
        var found: OverrideAnswer?
        try run("the overrides come") {
            for (place, answer) in answers.enumerated() {
                if case .overrides(request, let overrides) = answer {
                    found = overrides
                    answers.remove(at: place)
                    break
                }
            }
            return found != nil
        }
        return found
    }

    func used(_ kind: LimitKind, of tenant: TenantPolicy) throws -> Double? {
        try usage([tenant])?.first?[kind]?.used
    }
}

extension BudgetAccount {
    /// Of a tenant alone.
    convenience init(_ tenant: TenantPolicy) {
        self.init(LimitSet(tenant.limits, of: tenant.id, named: tenant.name))
    }
}

extension ReserveRequest {
    init(
        request: RequestID, reservation: ReservationID, tenant: TenantPolicy, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.init(
            request: request, reservation: reservation, account: BudgetAccount(tenant),
            demand: demand, serviceTime: serviceTime)
    }
}

extension Settlement {
    init(
        reservation: ReservationID, tenant: TenantPolicy, holder: ReservationHolder,
        use: SettledUse
    ) {
        self.init(
            reservation: reservation, account: BudgetAccount(tenant), holder: holder, use: use)
    }
}

func demand(_ tokens: Int, cost: Double = 0) -> Demand {
    Demand(input: Tokens(tokens), output: .zero, cost: cost)
}

func tenant(_ rates: [LimitKind: Double], id: Int = 0, name: String = "acme") -> TenantPolicy {
    TenantPolicy(
        id: TenantID(id), name: name, keys: [], classes: [], models: [],
        limits: TenantLimits(
            rates: LimitKind.allCases.compactMap { kind in
                rates[kind].map { Limit(kind: kind, amount: $0) }
            }))
}

func policy(
    _ path: String, onFailure: StoreFailureMode = .closed, username: String? = nil,
    password: String? = nil, database: Int = 0, timeout: Duration = .seconds(5),
    lease: Duration = .seconds(60), leaseWindow: Duration? = nil
) -> RedisStorePolicy {
    var policy = RedisStorePolicy(
        addresses: [.unix(path: path)], username: username,
        password: password.map { Secret($0) }, database: database, timeout: timeout,
        onFailure: onFailure, keyPrefix: "test", reservationLease: lease)
    policy.leaseWindow = leaseWindow
    return policy
}

extension ReserveAnswer {
    var isReserved: Bool {
        if case .reserved = self { true } else { false }
    }
    var holder: ReservationHolder? {
        if case .reserved(_, let holder) = self { holder } else { nil }
    }
    var isUnavailable: Bool {
        if case .unavailable = self { true } else { false }
    }
}
