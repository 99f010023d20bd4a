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
        let (admitted, took) = try admitted(limit, leaseWindow: nil)
        #expect(Double(admitted) <= Self.most(limit, took))
        #expect(admitted >= 3_000)
    }

    @Test(
        "with leases no more than what drains while they last, and no less than the limit",
        arguments: limits)
    func leased(limit: Limit) throws {
        let (admitted, took) = try admitted(limit, leaseWindow: .milliseconds(500))
        var most = Self.most(limit, took)
        if let window = limit.kind.window, !limit.isCalendar {
            most += 3_000 * min(0.5, Double(window.seconds) / 20) / Double(window.seconds)
        }
        #expect(Double(admitted) <= most)
        // The rest of a lease may be on its way back when the last request is refused.
        #expect(admitted >= 2_700)
    }

    private static func most(_ limit: Limit, _ took: Duration) -> Double {
        guard let window = limit.kind.window, !limit.isCalendar else { return 3_000 }
        return 3_000 * (1 + took.seconds / Double(window.seconds))
    }

    private func admitted(
        _ limit: Limit, leaseWindow: Duration?
    ) throws -> (Int, Duration) {
        let server = RedisServer()
        server.start()
        let shared = RedisShared(policy: policy(server.path, leaseWindow: leaseWindow))
        let tally = Tally()
        let began = MonotonicClock.now()
        let threads = try (0..<Self.gateways).map { gateway in
            try LoopThread(name: "gateway") {
                tally.report(Self.admitted(shared, gateway, limit))
            }
        }
        for thread in threads { thread.join() }
        #expect(tally.numbers.count == Self.gateways)
        return (tally.numbers.reduce(0, +), MonotonicClock.now() - began)
    }

    private static func admitted(_ shared: RedisShared, _ gateway: Int, _ limit: Limit) -> Int {
        var acme = tenant([:])
        acme.limits.rates = [limit]
        guard let loop = try? StoreLoop(shared, worker: gateway) else { return -100_000 }
        let account = BudgetAccount(acme)
        for number in 0..<each {
            loop.ask(
                loop.request(
                    account,
                    Demand(
                        input: Tokens(tokens), output: Tokens(tokens), cost: 0.01)))
            // With leases answers have to come in between, so that there are any.
            if shared.policy.leaseWindow != nil, number % 16 == 15 {
                try? loop.turn(until: loop.now)
            }
        }
        try? loop.run("all are answered") { loop.answers.count == each }
        return loop.answers.count { $0.isAdmitted }
    }
}
