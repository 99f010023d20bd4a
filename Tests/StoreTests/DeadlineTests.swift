// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Testing
import Units

/// Whatever a request has to be asked for again, it is answered when its own time is over.
@Suite("Redis store, deadlines")
struct DeadlineTests {
    private let acme = tenant([.tokensPerDay: 10_000])

    private func loop(_ server: FakeRedis, leaseWindow: Duration? = nil) throws -> StoreLoop {
        let loop = try StoreLoop(
            RedisShared(
                policy: policy(
                    server.path, onFailure: .open, timeout: .seconds(2),
                    leaseWindow: leaseWindow)))
        try loop.runUntilUp()
        return loop
    }

    /// Asked and sent, and a second later the reply is read, after which the server says nothing.
    private func expectAnswer(
        of requests: [ReserveRequest], _ loop: StoreLoop, _ server: FakeRedis,
        location: SourceLocation = #_sourceLocation
    ) throws {
        let began = loop.now
        for request in requests { loop.ask(request) }
        let asked = loop.now
        loop.store.flush(now: loop.now, wall: WallTime(nanoseconds: 0))
        loop.ahead = loop.ahead + .seconds(1)
        let latest = loop.now + .milliseconds(900)
        while !server.hasHeard(), loop.now < latest {
            try loop.turn(until: loop.now + .milliseconds(1))
        }
        #expect(server.hasHeard(), sourceLocation: location)
        let last = requests[requests.count - 1]
        #expect(loop.takeAnswer(last) == nil, sourceLocation: location)
        // The worker is told in time when to look.
        let due = try #require(loop.store.nextDeadline, sourceLocation: location)
        #expect(due <= asked + .seconds(2), sourceLocation: location)
        loop.store.tick(now: began + .milliseconds(1_999), wall: WallTime(nanoseconds: 0))
        var answers: [StoreAnswer] = []
        loop.store.drain(into: &answers)
        #expect(answers.isEmpty, sourceLocation: location)
        loop.store.tick(now: asked + .seconds(2), wall: WallTime(nanoseconds: 0))
        loop.store.drain(into: &answers)
        guard case .reserve(last.request, last.reservation, .reserved(_, .nobody)) = answers.first
        else {
            Issue.record("no answer when its time is over", sourceLocation: location)
            return
        }
        #expect(answers.count == 1, sourceLocation: location)
        // What it may have been granted all the same is given back.
        #expect(loop.store.settlementsWaiting <= 1, sourceLocation: location)
        // The server has its own time for what it was asked for the second time.
        #expect(loop.store.state == .up, sourceLocation: location)
    }

    @Test("where the server had lost the script")
    func lostScript() throws {
        let server = try FakeRedis(
            .bytes("-NOSCRIPT No matching script.\r\n"), listensFor: "LOAD")
        let loop = try loop(server)
        try expectAnswer(of: [loop.request(acme, demand(1))], loop, server)
    }

    @Test("where what was leased is given back, and the server is asked once more")
    func givenBack() throws {
        let reserved = bulk("reserved 0 0 1709300000000000 9000 1000000")
        let granted = bulk("granted 0 1000000 1709300000000000 9900 1000000")
        let refused = bulk("refused 1 1000000 1709300000000000 10000 1000000")
        let replies = [reserved, reserved, reserved, granted, refused]
        let server = try FakeRedis(.bytes(replies.joined()), listensFor: "report")
        let loop = try loop(server, leaseWindow: .seconds(5))
        let account = BudgetAccount(acme)
        // With the fourth a lease is asked for.
        let requests = (0..<4).map { _ in loop.request(account, demand(1)) }
        try expectAnswer(of: requests, loop, server)
    }

    private func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }
}
