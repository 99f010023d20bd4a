// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import TestSupport
import Testing
import Units

/// What gateways admit while Redis is away: their parts, which together are one budget.
@Suite("Redis store, replicas' shares")
struct ShareTests {
    private static let limit = 400
    private let acme = tenant([.tokensPerDay: Double(ShareTests.limit)])

    @Test("however often Redis fails, the parts of all gateways are one budget, once")
    func outages() throws {
        let server = RedisServer()
        server.start()
        let loops = try (0..<4).map { number in
            let shared = RedisShared(
                policy: policy(server.path, onFailure: .local, timeout: .milliseconds(50)))
            shared.noteReplicas(4, now: MonotonicClock.now())
            let loop = try StoreLoop(shared, worker: number)
            try loop.runUntilUp()
            return loop
        }
        var counted = 0
        var alone = 0
        for _ in 0..<3 {
            for loop in loops { counted += try spend(loop, atMost: 40).counted }
            server.suspend()
            for loop in loops {
                let (byStore, byReplica) = try spend(loop, atMost: 1_000)
                counted += byStore
                alone += byReplica
            }
            server.resume()
            for loop in loops {
                try loop.runUntilUp()
                try loop.run("all is told") { loop.store.settlementsWaiting == 0 }
            }
        }
        for loop in loops { counted += try spend(loop, atMost: 1_000).counted }
        #expect(counted <= Self.limit)
        // Its own memory is never emptied: the second outage finds the part used up.
        #expect(alone == Self.limit)
        #expect(try loops[0].used(.tokensPerDay, of: acme) == Double(counted + alone))
    }

    @Test("parts are whole, one at least, and together no more than the budget, or than gateways")
    func rounding() throws {
        for (limit, most) in [(10, 8), (3, 4), (4, 4), (1_003, 1_000)] {
            var admitted = 0
            for number in 0..<4 {
                let loop = try alone(replicas: 4, number)
                admitted += try spend(
                    loop, atMost: limit + 1, tenant([.tokensPerDay: Double(limit)])
                ).alone
            }
            #expect(admitted == most)
        }
    }

    @Test("who has never heard of the others knows what the operator says")
    func configured() throws {
        #expect(try spend(alone(replicas: 4), atMost: 1_000).alone == Self.limit / 4)
        let crowd = try alone(replicas: 4) { $0.noteReplicas(8, now: MonotonicClock.now()) }
        #expect(try spend(crowd, atMost: 1_000).alone == Self.limit / 8)
        let lonely = try alone(replicas: 4) { shared in
            let now = MonotonicClock.now()
            for second in 0..<60 { shared.noteReplicas(1, now: now + .seconds(second)) }
        }
        #expect(try spend(lonely, atMost: 1_000).alone == Self.limit / 4)
    }

    /// Seconds at which so many are heard of, after four were; and what a part is then.
    @Test(
        "gateways that are not heard of for a moment still count",
        arguments: [
            // Back after an outage: nobody has told yet.
            ([(0, 1), (1, 1), (2, 1)], 100),
            ([(0, 1), (10, 1), (29, 1)], 100),
            // Fewer for long: as many as there were at most meanwhile.
            (stride(from: 0, through: 30, by: 2).map { ($0, $0 == 4 ? 2 : 1) }, 200),
            (stride(from: 0, through: 30, by: 2).map { ($0, 1) }, 400),
            // All came back in between.
            (stride(from: 0, through: 40, by: 2).map { ($0, $0 == 20 ? 4 : 1) }, 100),
            // More, at once.
            ([(0, 5)], 80),
            // Nothing was heard in between: it counts from then on.
            ([(0, 1), (2, 1), (31, 1)], 100),
        ])
    func heard(counts: [(Int, Int)], part: Int) throws {
        let loop = try alone(replicas: 1) { shared in
            let now = MonotonicClock.now()
            shared.noteReplicas(4, now: now)
            for (second, count) in counts {
                shared.noteReplicas(count, now: now + .seconds(second))
            }
        }
        #expect(try spend(loop, atMost: 1_000).alone == part)
    }

    /// One without any Redis.
    private func alone(
        replicas: Int, _ worker: Int = 0, hears: (RedisShared) -> Void = { _ in }
    ) throws -> StoreLoop {
        var policy = policy("/nonexistent/redis.sock", onFailure: .local)
        policy.replicas = replicas
        let shared = RedisShared(policy: policy)
        hears(shared)
        return try StoreLoop(shared, worker: worker)
    }

    /// One token after the other, used and settled, until one is refused; how many were admitted.
    private func spend(
        _ loop: StoreLoop, atMost most: Int, _ tenant: TenantPolicy? = nil
    ) throws -> (counted: Int, alone: Int) {
        let tenant = tenant ?? acme
        var found = (counted: 0, alone: 0)
        for _ in 0..<most {
            let request = loop.request(tenant, demand(1))
            guard let holder = try loop.reserve(request)?.holder else { return found }
            if holder == .replica { found.alone += 1 } else { found.counted += 1 }
            loop.settle(request, tenant, .used(demand(1)), holder: holder)
        }
        return found
    }
}
