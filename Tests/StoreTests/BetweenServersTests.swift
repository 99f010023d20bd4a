// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Testing
import Units

/// A server that cannot run what is asked of it because the slot is on its way to another one.
@Suite("Redis store, between two servers")
struct BetweenServersTests {
    private let acme = tenant([.tokensPerDay: 10_000])
    private let between = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"

    private func loop(_ server: FakeRedis) throws -> StoreLoop {
        let loop = try StoreLoop(RedisShared(policy: policy(server.path, onFailure: .open)))
        try loop.runUntilUp()
        return loop
    }

    @Test("a settlement rests, and is sent again until it is taken")
    func settlement() throws {
        let server = try FakeRedis(.bytes(between), listensFor: "settle")
        let loop = try loop(server)
        let request = loop.request(acme, demand(1))
        loop.settle(request, acme, .used(demand(1)))
        let began = loop.now
        try loop.run("it is sent again") { server.hasHeard() }
        #expect(loop.now - began >= .milliseconds(50))
    }

    @Test("a request that no server has run has nothing to be given back")
    func reservation() throws {
        let server = try FakeRedis(.bytes(between), listensFor: "settle")
        let loop = try loop(server)
        #expect(try loop.reserve(loop.request(acme, demand(1)))?.holder == .nobody)
        #expect(loop.store.settlementsWaiting == 0)
        #expect(loop.store.state == .up)
        try loop.run(for: .milliseconds(100))
        #expect(!server.hasHeard())
    }

    @Test("what rests is told, and counted while it waits")
    func waiting() throws {
        let server = try FakeRedis(.bytes(between))
        let loop = try loop(server)
        loop.settle(loop.request(acme, demand(1)), acme, .used(demand(1)))
        try loop.run("it rests") { loop.store.settlementsWaiting == 1 }
        #expect(loop.store.state == .up)
        try loop.run("it is sent again") { loop.store.settlementsWaiting == 0 }
        #expect(loop.store.counters.settlementsLost == 0)
    }
}
