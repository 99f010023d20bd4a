// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import TestSupport
import Testing
import Units

@Suite("Redis store, healthy")
struct RedisStoreTests {
    let server = RedisServer()

    @Test("a reservation is charged, refused when it is too much, and settled")
    func roundTrip() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let acme = tenant([.tokensPerDay: 1_000, .concurrentRequests: 2])
        let first = loop.request(acme, demand(600))
        let answer = try loop.reserve(first)
        #expect(answer?.holder == .store)
        guard case .refused(let refusal) = try loop.reserve(acme, 500) else {
            Issue.record("not refused")
            return
        }
        #expect(refusal.kind == .tokensPerDay)
        #expect(refusal.used == 600)
        #expect(refusal.requested == 500)
        loop.settle(first, acme, .used(demand(450)))
        #expect(try loop.used(.tokensPerDay, of: acme) == 450)
        #expect(try loop.used(.concurrentRequests, of: acme) == 0)
        #expect(loop.store.state == .up)
    }

    @Test("what never fits is told so")
    func neverFits() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let answer = try loop.reserve(tenant([.tokensPerDay: 1_000]), 1_001)
        guard case .neverFits(let no) = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
        #expect(no.kind == .tokensPerDay && no.limit == 1_000 && no.requested == 1_001)
    }

    @Test("requests that come before the first connection wait for it")
    func waitsForTheFirstConnection() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path, timeout: .seconds(2))))
        let request = loop.request(tenant([.tokensPerDay: 1_000]), demand(1))
        #expect(loop.store.state == .opening)
        #expect(try loop.reserve(request)?.holder == .store)
    }

    @Test("every key expires and is as small as documented, and settlement leaves only the account")
    func keysExpire() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let kinds: [LimitKind] = [
            .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute, .requestsPerMinute,
            .concurrentRequests, .tokensPerDay, .costPerMonth,
        ]
        var rates: [LimitKind: Double] = [:]
        for kind in kinds { rates[kind] = 123_456.789 }
        let acme = tenant(rates)
        let requests = (0..<200).map { _ in loop.request(acme, demand(17, cost: 1.0 / 3)) }
        for request in requests { _ = try loop.reserve(request) }
        for request in requests.prefix(100) { loop.settle(request, acme, .used(demand(5))) }
        _ = try loop.usage([acme])
        let script = """
            local count, forever, sizes = 0, 0, {used = 0, open = 0, hold = 0}
            for _, key in ipairs(redis.call('KEYS', '{test:acme}:*')) do
              count = count + 1
              if redis.call('PTTL', key) < 0 then forever = forever + 1 end
              local part = string.match(key, '}:(%a+)')
              sizes[part] = sizes[part] + redis.call('MEMORY', 'USAGE', key)
            end
            return table.concat({count, forever, sizes.used, sizes.open, sizes.hold}, ' ')
            """
        let found = server.command("EVAL", script, "0").split(separator: " ").map { Int($0) ?? -1 }
        #expect(found.count == 5)
        #expect(found[0] == 102)
        #expect(found[1] == 0)
        #expect(found[2] < 1_024)
        #expect(found[3] < 100 * 250)
        #expect(found[4] < 100 * 400)
    }

    @Test("a user with a password and another database are used")
    func credentials() throws {
        server.start()
        server.command("ACL", "SETUSER", "penstock", "on", ">secret", "~*", "+@all")
        server.command("CONFIG", "SET", "requirepass", "other")
        let shared = RedisShared(
            policy: policy(server.path, username: "penstock", password: "secret", database: 3))
        let loop = try StoreLoop(shared)
        #expect(try loop.reserve(tenant([.tokensPerDay: 10]), 1)?.holder == .store)
    }

    @Test("the permissions that the documentation names are enough")
    func permissions() throws {
        server.start()
        server.command(
            "ACL", "SETUSER", "penstock", "on", ">secret", "~{test:*", "-@all", "+evalsha",
            "+script|load", "+time", "+get", "+set", "+del", "+hmget", "+hset", "+hgetall", "+hdel",
            "+pexpire",
            "+zadd", "+zcount", "+zrem", "+zrangebyscore",
            "+zremrangebyscore", "+zscore")
        let shared = RedisShared(
            policy: policy(server.path, username: "penstock", password: "secret"))
        let loop = try StoreLoop(shared)
        let acme = tenant([.tokensPerDay: 10, .concurrentRequests: 3])
        let request = loop.request(acme, demand(1))
        #expect(try loop.reserve(request)?.holder == .store)
        loop.settle(request, acme, .nothing)
        #expect(try loop.used(.tokensPerDay, of: acme) == 0)
        #expect(try loop.overrides(nil) == .overrides([]))
        #expect(loop.store.counters.commandsRefused == 0)
    }

    @Test("when the server has lost the script it is loaded again, and nobody notices")
    func scriptFlushed() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let acme = tenant([.tokensPerDay: 1_000])
        _ = try loop.reserve(acme, 1)
        server.command("SCRIPT", "FLUSH")
        let requests = (0..<50).map { _ in loop.request(acme, demand(1)) }
        for request in requests { loop.ask(request) }
        loop.settle(requests[0], acme, .nothing, holder: .outstanding)
        try loop.run("all answers come") { loop.answers.count == 49 }
        #expect(loop.answers.allSatisfy { $0.isReservedByTheStore })
        #expect(try loop.used(.tokensPerDay, of: acme) == 50)
        #expect(loop.store.counters.faults == 0)
    }

    @Test("a request that ends before its answer gets none, and holds nothing")
    func abandoned() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let acme = tenant([.tokensPerDay: 1_000])
        try loop.runUntilUp()
        let gone = loop.request(acme, demand(500))
        loop.ask(gone)
        loop.settle(gone, acme, .nothing, holder: .outstanding)
        #expect(try loop.used(.tokensPerDay, of: acme) == 0)
        #expect(loop.takeAnswer(gone) == nil)
    }

    @Test("all tenants are read in one go")
    func usage() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        try loop.runUntilUp()
        let tenants = (0..<600).map { tenant([.tokensPerDay: 1_000], id: $0, name: "t\($0)") }
        for tenant in tenants { loop.ask(loop.request(tenant, demand(tenant.id.index))) }
        let used = try loop.usage(tenants)?.map { $0[.tokensPerDay]?.used ?? -1 }
        #expect(used == (0..<600).map { Double($0) })
        #expect(try loop.usage([TenantPolicy]()) == [])
    }

    @Test("when one tenant cannot be read, the read says so and the next one is whole")
    func brokenUsage() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        try loop.runUntilUp()
        let tenants = (0..<20).map { tenant([.tokensPerDay: 1_000], id: $0, name: "t\($0)") }
        server.command("SET", "{test:t3}:used:tenant/t3", "not ours")
        #expect(try loop.usage(tenants) == nil)
        #expect(try loop.usage(Array(tenants.suffix(5)))?.count == 5)
    }

    @Test("a burst larger than what is sent at once is answered whole, by the store")
    func burst() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        try loop.runUntilUp()
        let acme = tenant([.tokensPerDay: 1_000])
        let requests = (0..<3_000).map { _ in loop.request(acme, demand(1)) }
        for request in requests { loop.ask(request) }
        // One that still waits for its turn is never sent.
        loop.settle(requests[2_999], acme, .nothing, holder: .outstanding)
        for request in requests.prefix(2) {
            loop.settle(request, acme, .nothing, holder: .outstanding)
        }
        try loop.run("all answers come") { loop.answers.count == 2_997 }
        #expect(loop.answers.count { $0.isReservedByTheStore } == 1_000)
        #expect(try loop.used(.tokensPerDay, of: acme) == 1_000)
        #expect(loop.store.counters.decided == 2_997)
    }

    @Test("a key of another type under our name harms only its tenant")
    func foreignKey() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path, onFailure: .open)))
        server.command("SET", "{test:acme}:used:tenant/acme", "not ours")
        #expect(try loop.reserve(tenant([.tokensPerDay: 10]), 1)?.holder == .nobody)
        let other = tenant([.tokensPerDay: 10], id: 1, name: "other")
        #expect(try loop.reserve(other, 1)?.holder == .store)
        #expect(loop.store.counters.commandsRefused == 1)
        #expect(loop.store.state == .up)
    }

    @Test("a dead gateway's places return after the lease, a living one's do not")
    func leases() throws {
        server.start()
        let shared = RedisShared(policy: policy(server.path, lease: .milliseconds(600)))
        let acme = tenant([.concurrentRequests: 1])
        let other = try StoreLoop(shared, worker: 1)
        do {
            let loop = try StoreLoop(shared)
            #expect(try loop.reserve(acme, 1)?.isReserved == true)
            // Two leases long the holder's loop renews.
            try loop.run(for: .milliseconds(1_200))
            #expect(try other.reserve(acme, 1)?.isReserved == false)
        }
        var tries = 0
        while try other.reserve(acme, 1)?.isReserved == false, tries < 200 {
            tries += 1
            try other.run(for: .milliseconds(20))
        }
        #expect(tries < 200, "the place returns")
    }
}

extension StoreAnswer {
    var isReservedByTheStore: Bool {
        if case .reserve(_, _, .reserved(_, .store)) = self { true } else { false }
    }

    /// By the server, or of what it had granted.
    var isAdmitted: Bool {
        guard case .reserve(_, _, .reserved(_, let holder)) = self else { return false }
        return holder == .store || holder == .book
    }
}
