// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import TestSupport
import Testing
import Units

/// Four gateways, one Redis, and requests as fast as they go.
@Suite("Many gateways")
struct ManyGatewaysTests {
    private static let gateways = 4
    private static let each = 2_500
    private static let tokens = 7

    /// What may be admitted of each kind of limit, in requests: 3,000 at once.
    static let limits: [Limit] =
        LimitKind.allCases.map { kind in
            let requests = 3_000.0
            switch kind.quantity {
            case .requests, .concurrent: return Limit(kind: kind, amount: requests)
            case .cost: return Limit(kind: kind, amount: requests / 100)
            case .tokens: return Limit(kind: kind, amount: requests * Double(2 * tokens))
            case .input, .output: return Limit(kind: kind, amount: requests * Double(tokens))
            }
        }

    @Test(
        "of 10,000 requests on one tenant no more are admitted than the limit has room for",
        arguments: limits)
    func exact(limit: Limit) throws {
        let server = RedisServer()
        server.start()
        let shared = RedisShared(policy: policy(server.path))
        let tally = Tally()
        let began = MonotonicClock.now()
        let threads = try (0..<Self.gateways).map { gateway in
            try LoopThread(name: "gateway") {
                tally.report(Self.admitted(shared, gateway, limit))
            }
        }
        for thread in threads { thread.join() }
        let admitted = tally.numbers.reduce(0, +)
        var most = 3_000.0
        if let window = limit.kind.window, !limit.isCalendar {
            most *= 1 + (MonotonicClock.now() - began).seconds / Double(window.seconds)
        }
        #expect(tally.numbers.count == Self.gateways)
        #expect(Double(admitted) <= most)
        #expect(admitted >= 3_000)
    }

    private static func admitted(_ shared: RedisShared, _ gateway: Int, _ limit: Limit) -> Int {
        var acme = tenant([:])
        acme.limits.rates = [limit]
        guard let loop = try? StoreLoop(shared, worker: gateway) else { return -100_000 }
        let account = BudgetAccount(acme)
        for _ in 0..<each {
            loop.ask(
                loop.request(
                    account,
                    Demand(
                        input: Tokens(tokens), output: Tokens(tokens), cost: 0.01)))
        }
        try? loop.run("all are answered") { loop.answers.count == each }
        return loop.answers.count { $0.isReservedByTheStore }
    }
}
