// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Glibc
import Policy
import Store
import TestSupport
import Units

/// What is measured.
struct Case {
    let name: String
    var leaseWindow: Duration?
    var settles = true
    let limits: [LimitKind]

    private static let one: [LimitKind] = [.tokensPerMinute]
    private static let many: [LimitKind] = [
        .tokensPerMinute, .requestsPerMinute, .inputTokensPerMinute, .tokensPerDay, .costPerMonth,
    ]
    static let all = [
        Case(name: "a script", settles: false, limits: one),
        Case(name: "a script, and its settlement", limits: one),
        Case(name: "a script, and its settlement", limits: many),
        Case(name: "a lease, and its settlement", leaseWindow: .milliseconds(500), limits: one),
        Case(name: "a lease, and its settlement", leaseWindow: .milliseconds(500), limits: many),
    ]
}

/// For each request.
struct Figures {
    let gatewayNanoseconds: Double
    let serverNanoseconds: Double
    /// Of those that were measured, how many had to ask.
    let roundTrips: Double
}

/// One worker's loop, and as many requests as it gets through.
final class Bench {
    private static let requests = 60_000
    /// What is under way at once, as a busy worker has it.
    private static let batch = 256

    private let of: Case
    private let server: RedisServer
    private let store: RedisStore
    private let poller: Poller
    private let account: BudgetAccount
    private var naming = ReservationNaming(nonce: 1, worker: 1)
    private var answers: [StoreAnswer] = []
    private var requests: [ReserveRequest] = []

    init(_ server: RedisServer, _ of: Case) throws {
        self.of = of
        self.server = server
        poller = try Poller()
        var policy = RedisStorePolicy(
            addresses: [.unix(path: server.path)], username: nil, password: nil, database: 0,
            timeout: .seconds(5), onFailure: .closed, keyPrefix: "bench",
            reservationLease: .seconds(30))
        policy.leaseWindow = of.leaseWindow
        store = RedisStore(
            shared: RedisShared(policy: policy), poller: poller, tokenKind: 1, seed: 1)
        account = BudgetAccount(
            LimitSet(
                TenantLimits(rates: of.limits.map { Limit(kind: $0, amount: 1e12) }),
                of: TenantID(0), named: "acme"))
        while store.state != .up { try turn() }
    }

    func run() throws -> Figures {
        server.command("FLUSHALL")
        // The table of names grows, and leases are found to be worth it.
        for _ in 0..<40 { try ask() }
        let before = (Self.threadSeconds(), serverSeconds(), store.counters)
        for _ in 0..<Self.requests / Self.batch { try ask() }
        while store.settlementsWaiting > 0 { try turn() }
        let after = (Self.threadSeconds(), serverSeconds(), store.counters)
        let count = Double(Self.requests / Self.batch * Self.batch)
        return Figures(
            gatewayNanoseconds: (after.0 - before.0) * 1e9 / count,
            serverNanoseconds: (after.1 - before.1) * 1e9 / count,
            roundTrips: Double(after.2.decided - before.2.decided) / count)
    }

    /// One batch, answered and settled.
    private func ask() throws {
        requests.removeAll(keepingCapacity: true)
        for number in 0..<Self.batch {
            let request = ReserveRequest(
                request: RequestID(raw: UInt64(number)), reservation: naming.next(),
                account: account,
                demand: Demand(input: Tokens(100), output: Tokens(200), cost: 0.01))
            let now = MonotonicClock.now()
            if let answer = store.reserve(request, now: now, wall: WallClock.now()) {
                settle(request, answer)
            } else {
                requests.append(request)
            }
        }
        var open = requests.count
        repeat {
            try turn()
            store.drain(into: &answers)
            for case .reserve(let id, _, let answer) in answers {
                guard let place = requests.firstIndex(where: { $0.request == id }) else {
                    continue
                }
                let request = requests.remove(at: place)
                settle(request, answer)
                open -= 1
            }
            answers.removeAll(keepingCapacity: true)
        } while open > 0
    }

    private func settle(_ request: ReserveRequest, _ answer: ReserveAnswer) {
        guard of.settles, case .reserved(_, let holder) = answer else { return }
        store.settle(
            Settlement(
                reservation: request.reservation, account: account, holder: holder,
                use: .used(Demand(input: Tokens(100), output: Tokens(50), cost: 0.004))),
            now: MonotonicClock.now(), wall: WallClock.now())
    }

    private func turn() throws {
        let now = MonotonicClock.now()
        let wall = WallClock.now()
        store.tick(now: now, wall: wall)
        store.flush(now: now, wall: wall)
        // What is not there yet is waited for: with leases there is mostly nothing.
        let until = of.leaseWindow == nil ? now + .milliseconds(5) : now
        let count = try poller.wait(until: until, now: now)
        for index in 0..<count {
            let (token, readiness) = poller.event(index)
            store.ready(token, readiness, now: now, wall: wall)
        }
        store.flush(now: now, wall: wall)
    }

    private static func threadSeconds() -> Double {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// User and system time of the server.
    private func serverSeconds() -> Double {
        ["used_cpu_user", "used_cpu_sys"].reduce(0) { sum, name in
            let script = "return string.match(redis.call('INFO', 'cpu'), '\(name):(%S+)')"
            return sum + (Double(server.command("EVAL", script, "0")) ?? 0)
        }
    }
}
