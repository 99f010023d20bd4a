// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import TestSupport
import Testing
import Units

/// `Budget` and the script are the same arithmetic written twice: on every history they give the
/// same bits.
@Suite("Script equality")
struct ScriptEqualityTests {
    @Test("a real Redis and Budget answer alike", arguments: 0..<8 as Range<UInt64>)
    func sameBits(part: UInt64) throws {
        let server = RedisServer()
        server.start()
        let shared = RedisShared(policy: policy(server.path, lease: .seconds(30)))
        var reserved = 0
        var refused = 0
        for seed in part * 12..<(part + 1) * 12 {
            let history = try History(seed: seed, shared: shared)
            for _ in 0..<150 {
                try history.step()
                if history.hasDiverged {
                    Issue.record("seed \(seed), step \(history.steps): \(history.difference)")
                    return
                }
            }
            reserved += history.reserved
            refused += history.refused
        }
        #expect(reserved > 200)
        #expect(refused > 100)
    }
}

/// One random history told to both.
private final class History {
    private var random: SplitMix64
    private let loop: StoreLoop
    private var budgets = Budgets(lease: .seconds(30), maxReservations: 10_000)
    private var acme: TenantPolicy
    private var open: [ReserveRequest] = []
    private var wall: Int64
    private(set) var steps = 0
    private(set) var reserved = 0
    private(set) var refused = 0
    private var last = ""
    private(set) var difference = ""
    var hasDiverged: Bool { !difference.isEmpty }

    init(seed: UInt64, shared: RedisShared) throws {
        random = SplitMix64(seed: seed)
        loop = try StoreLoop(shared, worker: Int(seed % 256))
        // Somewhere in 2020 to 2029, often just before a month's end.
        wall = Int64(1_577_836_800 + random.next() % 315_000_000) * 1_000_000
        if seed % 3 == 0 { wall = 1_740_787_190_000_000 }
        acme = tenant([:], name: "t\(seed)")
        acme.limits = TenantLimits(rates: History.rates(&random))
        try loop.runUntilUp()
    }

    private var time: WallTime { WallTime(nanoseconds: wall * 1_000) }
    private var limits: LimitSet { LimitSet(acme.limits) }

    func step() throws {
        steps += 1
        moveClock()
        loop.store.replaceClock(by: time)
        switch random.next() % 16 {
        case 0...8:
            last = "reserve"
            try reserve()
        case 9...12:
            last = "settle"
            try settle()
        case 13:
            last = "renewal"
            try renewAll()
        case 14 where random.next() % 4 == 0:
            last = "change of limits"
            changeLimits()
        default:
            last = "repetition"
            try again()
        }
        try compareUsage()
    }

    private func moveClock() {
        switch random.next() % 40 {
        case 0: wall += Int64(random.next() % 90_000_000_000)
        case 1: wall -= Int64(random.next() % 50_000_000)
        case 2 where random.next() % 4 == 0: wall -= Int64(random.next() % 400_000_000)
        case 3: wall += 40_000_000
        default: wall += Int64(random.next() % 2_000_000)
        }
    }

    private func reserve() throws {
        var request = loop.request(acme, demand())
        if random.next() % 3 == 0 {
            request = ReserveRequest(
                request: request.request, reservation: request.reservation, tenant: acme,
                demand: request.order.demand,
                serviceTime: .microseconds(Int(random.next() % 30_000_000)))
        }
        try reserve(request)
    }

    private func reserve(_ request: ReserveRequest) throws {
        let outcome = budgets.reserve(request.order, wall: time)
        let answer = try loop.reserve(request)
        switch (outcome, answer) {
        case (.reserved(let expected), .reserved(let found, .store)) where expected == found:
            reserved += 1
            open.append(request)
        case (.refused(let expected), .refused(let found)) where expected == found:
            refused += 1
        case (.neverFits(let kind, let limit, let requested), _)
        where answer == .neverFits(kind: kind, limit: limit, requested: requested):
            break
        default: difference = "\(outcome)\n\(String(describing: answer))"
        }
    }

    /// The same reservation a second time.
    private func again() throws {
        guard let request = open.last else { return }
        let before = open
        try reserve(
            ReserveRequest(
                request: request.request, reservation: request.reservation, tenant: acme,
                demand: request.order.demand))
        open = before
    }

    private func settle() throws {
        guard !open.isEmpty else { return }
        let request = open.remove(at: Int(random.next() % UInt64(open.count)))
        let use: SettledUse = random.next() % 5 == 0 ? .nothing : .used(demand())
        let times = random.next() % 6 == 0 ? 2 : 1
        for _ in 0..<times {
            _ = budgets.settle(
                request.reservation, tenant: acme.id, use: use, limits: limits, wall: time)
            loop.settle(request, acme, use)
        }
    }

    /// Lets a third of a lease pass for the store, so that it renews all that it holds.
    private func renewAll() throws {
        loop.ahead = loop.ahead + .seconds(10)
        for request in open where request.order.limits[.concurrentRequests] > 0 {
            _ = budgets.renew(request.reservation, tenant: acme.id, wall: time)
        }
        try loop.turn(until: loop.now)
    }

    private func changeLimits() {
        var rates = acme.limits.rates
        for place in rates.indices { rates[place].amount *= 0.5 + random.unit() }
        if random.next() % 3 == 0, rates.count > 1 {
            rates.remove(at: Int(random.next() % UInt64(rates.count)))
        }
        acme.limits.rates = rates
    }

    private func compareUsage() throws {
        let expected = budgets.standing(of: acme.id, limits: limits, wall: time)
        let found = try loop.usage([acme])?.first
        if found != expected {
            difference = "after \(last): \(text(expected))\n\(found.map(text) ?? "none")"
        }
    }

    private func text(_ snapshot: LimitsSnapshot) -> String {
        let parts = LimitKind.allCases.compactMap { snapshot[$0] }.map { "\($0)" }
        return (["at \(snapshot.time)"] + parts).joined(separator: "\n  ")
    }

    private func demand() -> Demand {
        let large = random.next() % 20 == 0
        return Demand(
            input: Tokens(Int(random.next() % (large ? 20_000 : 500))),
            output: Tokens(Int(random.next() % 300)), cost: random.unit() / 3)
    }

    private static func rates(_ random: inout SplitMix64) -> [Limit] {
        var rates: [Limit] = []
        for kind in LimitKind.allCases where random.next() % 2 == 0 {
            let amount =
                switch kind {
                case .concurrentRequests: Double(1 + random.next() % 12)
                case .requestsPerMinute: Double(1 + random.next() % 60)
                case .costPerMonth: random.unit() * 20 + 0.01
                case .tokensPerDay: 20_000 + random.unit() * 20_000
                default: 300 + random.unit() * 6_000
                }
            rates.append(Limit(kind: kind, amount: amount))
        }
        if rates.isEmpty { rates = [Limit(kind: .tokensPerMinute, amount: 2_000)] }
        return rates
    }
}
