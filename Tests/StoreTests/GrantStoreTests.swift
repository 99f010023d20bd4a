// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import TestSupport
import Testing
import Units

/// Leases of tokens with a real Redis.
@Suite("Redis store, leases")
struct GrantStoreTests {
    private let server = RedisServer()

    /// Not started yet.
    private func loop(
        worker: Int = 0, onFailure: StoreFailureMode = .closed, lease: Duration = .seconds(60)
    ) throws -> StoreLoop {
        try StoreLoop(
            RedisShared(
                policy: policy(
                    server.path, onFailure: onFailure, timeout: .seconds(2), lease: lease,
                    leaseWindow: .milliseconds(500))), worker: worker)
    }

    /// Asks for so many, one token each, a few in each turn; those that were admitted.
    private func ask(
        _ loop: StoreLoop, _ tenant: TenantPolicy, _ count: Int
    ) throws -> [(ReserveRequest, ReservationHolder)] {
        let account = BudgetAccount(tenant)
        var admitted: [(ReserveRequest, ReservationHolder)] = []
        for _ in 0..<count / 8 {
            let requests = (0..<8).map { _ in loop.request(account, demand(1)) }
            for request in requests { loop.ask(request) }
            try loop.run("all are answered") { loop.answers.count >= 8 }
            for request in requests {
                let answer = loop.takeAnswer(request)
                if let holder = answer?.holder { admitted.append((request, holder)) }
            }
        }
        return admitted
    }

    private func settle(
        _ admitted: [(ReserveRequest, ReservationHolder)], _ loop: StoreLoop,
        _ tenant: TenantPolicy
    ) {
        for (request, holder) in admitted {
            loop.settle(request, tenant, .used(demand(1)), holder: holder)
        }
    }

    @Test("of a hot tenant nearly all are decided at once, and all is charged in the end")
    func warm() throws {
        server.start()
        let loop = try loop()
        let acme = tenant([.tokensPerDay: 1e9, .tokensPerMinute: 1e8])
        let admitted = try ask(loop, acme, 4_000)
        #expect(admitted.count == 4_000)
        #expect(loop.store.counters.decidedAhead > 3_800)
        // The scripts that ran, the greeting's included.
        #expect(loop.store.counters.decided < 200)
        settle(admitted, loop, acme)
        try loop.run(for: .milliseconds(700))
        #expect(try loop.used(.tokensPerDay, of: acme) == 4_000)
        // The account is left, and the key by which a greeting tries to write: no reservation.
        #expect(server.command("DBSIZE") == ":2")
    }

    @Test("one gateway alone is admitted to the last token, and not one more")
    func lastToken() throws {
        server.start()
        let loop = try loop()
        let acme = tenant([.tokensPerDay: 3_000])
        let admitted = try ask(loop, acme, 4_000)
        #expect(admitted.count == 3_000)
        #expect(admitted.contains { $0.1 == .book })
        // What is left when it is scarce is decided in the server.
        #expect(admitted.suffix(300).allSatisfy { $0.1 == .store })
    }

    @Test("what another gateway does not use is free when its lease is over")
    func unused() throws {
        server.start()
        let first = try loop()
        let second = try loop(worker: 1)
        let acme = tenant([.tokensPerDay: 3_000])
        let before = try ask(first, acme, 800)
        try first.run(for: .milliseconds(600))
        let after = try ask(second, acme, 4_000)
        #expect(before.count + after.count == 3_000)
    }

    @Test("a gateway that is gone gives its lease back when that expires")
    func gone() throws {
        server.start()
        let acme = tenant([.tokensPerDay: 1e6])
        let watcher = try loop(worker: 1)
        try watcher.runUntilUp()
        let start: Int64 = 1_709_300_000
        let time = { (seconds: Double) in
            WallTime(nanoseconds: start * 1_000_000_000 + Int64(seconds * 1e9))
        }
        var used = 0.0
        do {
            let dying = try loop()
            dying.store.replaceClock(by: time(0))
            // Nothing of it is ever reported.
            let admitted = try ask(dying, acme, 400)
            #expect(admitted.contains { $0.1 == .book })
            watcher.store.replaceClock(by: time(0))
            used = try watcher.used(.tokensPerDay, of: acme) ?? 0
            #expect(used > 400)
        }
        watcher.store.replaceClock(by: time(1.9))
        #expect(try watcher.used(.tokensPerDay, of: acme) == used)
        // What nobody had taken; what was reported as held by open requests is still there.
        watcher.store.replaceClock(by: time(2.1))
        #expect(try watcher.used(.tokensPerDay, of: acme).map { $0 <= 400 } == true)
        watcher.store.replaceClock(by: time(61))
        for _ in 0..<10 { _ = try watcher.used(.tokensPerDay, of: acme) }
        #expect(try watcher.used(.tokensPerDay, of: acme) == 0)
    }

    @Test("while Redis is away nothing is admitted of a lease, and afterwards all is told")
    func outage() throws {
        server.start()
        let loop = try loop(onFailure: .local)
        let acme = tenant([.tokensPerDay: 1e6])
        let admitted = try ask(loop, acme, 400)
        #expect(admitted.contains { $0.1 == .book })
        server.kill()
        try loop.run("it is away") { loop.store.state != .up }
        let alone = try ask(loop, acme, 80)
        #expect(alone.count == 80)
        #expect(alone.allSatisfy { $0.1 == .replica })
        settle(admitted, loop, acme)
        settle(alone, loop, acme)
        server.start()
        try loop.runUntilUp()
        try loop.run("all is told") { loop.store.settlementsWaiting == 0 }
        // What Redis lost is lost; what was used without it is not.
        var used: Double?
        for _ in 0..<100 where used != 80 {
            try loop.run(for: .milliseconds(20))
            used = try loop.used(.tokensPerDay, of: acme)
        }
        #expect(used == 80)
        let again = try ask(loop, acme, 400)
        #expect(again.contains { $0.1 == .book })
    }

    @Test("a server that is only late loses nothing of a lease")
    func late() throws {
        server.start()
        let loop = try StoreLoop(
            RedisShared(
                policy: policy(
                    server.path, onFailure: .closed, timeout: .milliseconds(50),
                    leaseWindow: .milliseconds(500))))
        let acme = tenant([.tokensPerDay: 1e6])
        try loop.runUntilUp()
        let admitted = try ask(loop, acme, 400)
        server.suspend()
        settle(admitted, loop, acme)
        // A lease's end and the settlements meet a server that does not answer.
        try loop.run("it is away") { loop.store.state != .up }
        server.resume()
        try loop.runUntilUp()
        try loop.run("all is told") { loop.store.settlementsWaiting == 0 }
        try loop.run(for: .milliseconds(700))
        #expect(try loop.used(.tokensPerDay, of: acme) == Double(admitted.count))
        #expect(loop.store.grantsKnown == 0)
    }

    @Test("limits of concurrent requests are decided in Redis, each request by itself")
    func concurrent() throws {
        server.start()
        let loop = try loop()
        let acme = tenant([.tokensPerDay: 1e6, .concurrentRequests: 200])
        let admitted = try ask(loop, acme, 400)
        #expect(admitted.count == 200)
        #expect(admitted.allSatisfy { $0.1 == .store })
        #expect(loop.store.counters.decidedAhead == 0)
    }

    @Test("a worker that ends gives back what it has not used")
    func ended() throws {
        server.start()
        let loop = try loop()
        let acme = tenant([.tokensPerDay: 1e6])
        let admitted = try ask(loop, acme, 400)
        settle(admitted, loop, acme)
        loop.store.endGrants(now: loop.now)
        try loop.turn(until: loop.now)
        #expect(try loop.used(.tokensPerDay, of: acme) == Double(admitted.count))
    }
}
