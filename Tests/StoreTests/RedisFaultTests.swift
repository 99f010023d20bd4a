// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import TestSupport
import Testing
import Units

/// Whatever Redis does, each request gets one answer, soon, and each settlement counts once.
@Suite("Redis store, faults")
struct RedisFaultTests {
    let server = RedisServer()
    let acme = tenant([.tokensPerDay: 10_000, .concurrentRequests: 1_000])

    @Test(
        "while Redis is absent from the start, on_failure decides",
        arguments: StoreFailureMode.allCases)
    func absent(mode: StoreFailureMode) throws {
        let shared = RedisShared(policy: policy(server.path, onFailure: mode))
        let loop = try StoreLoop(shared)
        let answers = try (0..<3).map { _ in try loop.reserve(acme, 4_000) }
        switch mode {
        case .local:
            #expect(answers.map { $0?.holder } == [.replica, .replica, nil])
            guard case .refused = answers[2] else {
                Issue.record("the replica's own limit holds")
                return
            }
        case .open: #expect(answers.map { $0?.holder } == [.nobody, .nobody, .nobody])
        case .closed:
            #expect(answers.allSatisfy { $0 == .unavailable(retryAfter: .seconds(1)) })
        }
        guard case .away(.connection(.notFound), _) = loop.store.state else {
            Issue.record("\(loop.store.state)")
            return
        }
        #expect(loop.store.counters.decidedWithoutStore == 3)
    }

    @Test("a server that hangs delays no request beyond its timeout, sent or not")
    func hangs() throws {
        server.start()
        let shared = RedisShared(
            policy: policy(server.path, onFailure: .open, timeout: .seconds(2)))
        let loop = try StoreLoop(shared)
        try loop.runUntilUp()
        server.suspend()
        // More than are sent at once.
        let began = loop.now
        for _ in 0..<700 { loop.ask(loop.request(acme, demand(1))) }
        let asked = loop.now
        loop.ahead = loop.ahead + (began + .milliseconds(1_900) - loop.now)
        try loop.turn(until: loop.now)
        #expect(loop.answers.isEmpty)
        // The last of them has waited for its timeout and a millisecond.
        loop.ahead = loop.ahead + max(.zero, asked + .milliseconds(2_001) - loop.now)
        try loop.turn(until: loop.now)
        #expect(loop.answers.count == 700)
        server.resume()
        try loop.runUntilUp()
        try loop.run("all is given back") { loop.store.settlementsWaiting == 0 }
        #expect(try loop.used(.tokensPerDay, of: acme) == 0)
    }

    @Test("all workers of a process together try at most ten times a second")
    func attempts() throws {
        let shared = RedisShared(policy: policy(server.path, onFailure: .open))
        let loops = try (0..<3).map { try StoreLoop(shared, worker: $0) }
        let start = MonotonicClock.now()
        while MonotonicClock.now() - start < .milliseconds(1_500) {
            for loop in loops { try loop.run(for: .milliseconds(5)) }
        }
        let attempts = loops.reduce(0) { $0 + $1.store.counters.attempts }
        #expect(attempts <= 16)
        #expect(attempts >= 4)
    }

    @Test("Redis that comes late is used within two seconds, by all workers")
    func comesLate() throws {
        let shared = RedisShared(policy: policy(server.path, onFailure: .open))
        let loops = try (0..<3).map { try StoreLoop(shared, worker: $0) }
        for loop in loops { #expect(try loop.reserve(acme, 1)?.holder == .nobody) }
        server.start()
        let start = MonotonicClock.now()
        while loops.contains(where: { $0.store.state != .up }),
            MonotonicClock.now() - start < .seconds(10)
        {
            for loop in loops { try loop.run(for: .milliseconds(5)) }
        }
        #expect(MonotonicClock.now() - start < .seconds(2))
        for loop in loops { #expect(try loop.reserve(acme, 1)?.holder == .store) }
    }

    @Test("killed under load and restarted empty, every request gets one answer")
    func killedUnderLoad() throws {
        server.start()
        let shared = RedisShared(policy: policy(server.path, onFailure: .local))
        let loop = try StoreLoop(shared)
        try loop.runUntilUp()
        var asked: [ReserveRequest] = []
        for round in 0..<40 {
            if round == 15 { server.kill() }
            if round == 25 { server.start() }
            for _ in 0..<20 {
                asked.append(loop.request(acme, demand(1)))
                loop.ask(asked[asked.count - 1])
            }
            try loop.turn(until: loop.now + .milliseconds(2))
        }
        try loop.run("all answers come") { loop.answers.count >= asked.count }
        try loop.run(for: .milliseconds(50))
        #expect(loop.answers.count == asked.count)
        var holders: [ReservationHolder: Int] = [:]
        for request in asked {
            if let holder = loop.takeAnswer(request)?.holder { holders[holder, default: 0] += 1 }
        }
        #expect(holders[.store, default: 0] > 0)
        #expect(holders[.replica, default: 0] > 0)
        #expect(holders[.store, default: 0] + holders[.replica, default: 0] == asked.count)
        try loop.runUntilUp()
        #expect(try loop.reserve(acme, 1)?.holder == .store)
    }

    @Test("a stalled Redis costs a request the deadline, and its reservation is taken back later")
    func stalled() throws {
        server.start()
        let shared = RedisShared(
            policy: policy(server.path, onFailure: .closed, timeout: .milliseconds(50)))
        let loop = try StoreLoop(shared)
        try loop.runUntilUp()
        server.suspend()
        let start = MonotonicClock.now()
        #expect(try loop.reserve(acme, 5_000)?.isUnavailable == true)
        let taken = MonotonicClock.now() - start
        #expect(taken >= .milliseconds(50))
        #expect(taken < .milliseconds(250))
        #expect(loop.store.state.fault == .deadline(milliseconds: 50))
        // Away already: no more waiting.
        let again = MonotonicClock.now()
        #expect(try loop.reserve(acme, 1)?.isUnavailable == true)
        #expect(MonotonicClock.now() - again < .milliseconds(40))
        server.resume()
        try loop.runUntilUp()
        // The stalled server runs the reservation when it reads the old connection to its end.
        try loop.run("the settlement is sent") { loop.store.settlementsWaiting == 0 }
        #expect(try loop.used(.tokensPerDay, of: acme) == 0)
        #expect(try loop.used(.concurrentRequests, of: acme) == 0)
    }

    @Test("a settlement that met a stalled Redis arrives later and counts once")
    func settlementSurvives() throws {
        server.start()
        let shared = RedisShared(
            policy: policy(server.path, onFailure: .closed, timeout: .milliseconds(50)))
        let loop = try StoreLoop(shared)
        let requests = (0..<10).map { _ in loop.request(acme, demand(100)) }
        try loop.runUntilUp()
        for request in requests { #expect(try loop.reserve(request)?.holder == .store) }
        server.suspend()
        for request in requests.prefix(5) { loop.settle(request, acme, .used(demand(10))) }
        try loop.run("the store is away") { loop.store.state != .up }
        for request in requests.suffix(5) { loop.settle(request, acme, .used(demand(20))) }
        #expect(loop.store.settlementsWaiting == 10)
        server.resume()
        try loop.runUntilUp()
        try loop.run("settlements are sent") { loop.store.settlementsWaiting == 0 }
        #expect(try loop.used(.tokensPerDay, of: acme) == 150)
        #expect(try loop.used(.concurrentRequests, of: acme) == 0)
    }

    @Test("a settlement that overtakes its reservation keeps it from being made")
    func overtaken() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        let request = loop.request(acme, demand(100))
        try loop.runUntilUp()
        loop.settle(request, acme, .nothing)
        #expect(try loop.reserve(request)?.isUnavailable == true)
        #expect(try loop.used(.tokensPerDay, of: acme) == 0)
        #expect(try loop.used(.concurrentRequests, of: acme) == 0)
    }

    @Test("of too many settlements that wait, the oldest are given up and counted")
    func settlementOverflow() throws {
        let shared = RedisShared(policy: policy(server.path))
        let loop = try StoreLoop(shared)
        let request = loop.request(acme, demand(1))
        for _ in 0..<65_540 { loop.settle(request, acme, .nothing) }
        #expect(loop.store.settlementsWaiting == 65_536)
        #expect(loop.store.counters.settlementsLost == 4)
    }

    @Test("a wrong password is told as such, and the right one works later")
    func wrongPassword() throws {
        server.start()
        server.command("CONFIG", "SET", "requirepass", "right")
        let wrong = try StoreLoop(RedisShared(policy: policy(server.path, password: "wrong")))
        #expect(try wrong.reserve(acme, 1)?.isUnavailable == true)
        #expect(wrong.store.state.fault == .refused(.wrongPassword))
        let none = try StoreLoop(RedisShared(policy: policy(server.path)))
        #expect(try none.reserve(acme, 1)?.isUnavailable == true)
        #expect(none.store.state.fault == .refused(.noPassword))
        let right = try StoreLoop(RedisShared(policy: policy(server.path, password: "right")))
        #expect(try right.reserve(acme, 1)?.holder == .store)
    }

    @Test("a server that takes no writes is away: a replica, a full one, one that cannot save")
    func takesNoWrites() throws {
        server.start()
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        try loop.runUntilUp()
        server.command("REPLICAOF", "127.0.0.1", "1")
        #expect(try loop.reserve(acme, 1)?.isUnavailable == true)
        #expect(loop.store.state.fault == .refused(.readOnly))
        // A new connection finds out in its greeting, before it decides anything.
        let other = try StoreLoop(RedisShared(policy: policy(server.path)), worker: 1)
        #expect(try other.reserve(acme, 1)?.isUnavailable == true)
        #expect(other.store.state.fault == .refused(.readOnly))
        server.command("REPLICAOF", "NO", "ONE")
        try loop.runUntilUp()
        server.command("CONFIG", "SET", "maxmemory", "1")
        #expect(try loop.reserve(acme, 1)?.isUnavailable == true)
        #expect(loop.store.state.fault == .refused(.outOfMemory))
        server.command("CONFIG", "SET", "maxmemory", "0")
        try loop.runUntilUp()
        #expect(try loop.reserve(acme, 1)?.holder == .store)
    }

    @Test("the next address is tried when one does not serve")
    func nextAddress() throws {
        server.start()
        var policy = policy(server.path)
        policy.addresses = [.unix(path: "/nonexistent/redis.sock")] + policy.addresses
        let loop = try StoreLoop(RedisShared(policy: policy))
        try loop.runUntilUp()
        #expect(try loop.reserve(acme, 1)?.holder == .store)
    }

    @Test("a host name is resolved off the loop, anew with every attempt")
    func hostNames() throws {
        var policy = policy(server.path)
        policy.addresses = [.name(host: "localhost", port: 1)]
        let blind = try StoreLoop(RedisShared(policy: policy))
        #expect(try blind.reserve(acme, 1)?.isUnavailable == true)
        #expect(blind.store.state.fault == .unresolved)
        let resolver = try Resolver(limit: 4)
        let loop = try StoreLoop(RedisShared(policy: policy, resolver: resolver))
        try loop.run("the name is found") {
            loop.store.state.fault == .connection(.connectRefused)
        }
    }

    @Test("two gateways share one budget exactly, however they interleave")
    func sharedBudget() throws {
        server.start()
        let path = server.path
        let tally = Tally()
        let threads = try (0..<2).map { gateway in
            try LoopThread(name: "gateway") {
                let total = try? Self.spend(path, worker: gateway)
                tally.report(total ?? -1)
            }
        }
        for thread in threads { thread.join() }
        let totals = tally.numbers
        #expect(totals.reduce(0, +) == 10_000 / 7 * 7)
        #expect(totals.allSatisfy { $0 > 0 })
    }

    /// Reserves until refused, some at once and with settlements between; what was used at the end.
    private static func spend(_ path: String, worker: Int) throws -> Int {
        let loop = try StoreLoop(RedisShared(policy: policy(path)), worker: worker)
        let acme = tenant([.tokensPerDay: 10_000])
        try loop.runUntilUp()
        var used = 0
        var refusedInARow = 0
        var round = 0
        while refusedInARow < 3 {
            round += 1
            let requests = (0..<8).map { _ in loop.request(acme, demand(7)) }
            for request in requests { loop.ask(request) }
            try loop.run("answers come") { loop.answers.count == requests.count }
            var admitted = 0
            for (place, request) in requests.enumerated() {
                guard loop.takeAnswer(request)?.isReserved == true else { continue }
                admitted += 1
                // Only for a while, or the last place is taken and given back for ever.
                let gone = place % 4 == 0 && round < 50
                loop.settle(request, acme, gone ? .nothing : .used(demand(7)))
                if !gone { used += 7 }
            }
            refusedInARow = admitted == 0 ? refusedInARow + 1 : 0
        }
        return used
    }
}

extension StoreState {
    var fault: StoreFault? {
        if case .away(let fault, _) = self { fault } else { nil }
    }
}
