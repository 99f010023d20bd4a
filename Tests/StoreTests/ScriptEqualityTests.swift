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
        var granted = 0
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
            granted += history.granted
        }
        #expect(granted > 5)
        #expect(reserved > 200)
        #expect(refused > 100)
    }
}

/// One random history told to both.
private final class History {
    private var random: SplitMix64
    private let loop: StoreLoop
    private var budgets = Budgets(lease: .seconds(30), maxReservations: 10_000)
    private var world: LimitWorld
    /// What requests are charged to, by tenant, model and key.
    private var accounts: [BudgetAccount] = []
    private var shown: [BudgetAccount] = []
    private var open: [ReserveRequest] = []
    private var lastRequest: UInt64 = 1_000_000
    private var naming: ReservationNaming
    private var wall: Int64
    private(set) var steps = 0
    private(set) var reserved = 0
    private(set) var refused = 0
    private(set) var granted = 0
    private var grants: [Kept] = []
    private var last = ""
    private(set) var difference = ""
    var hasDiverged: Bool { !difference.isEmpty }

    init(seed: UInt64, shared: RedisShared) throws {
        random = SplitMix64(seed: seed)
        loop = try StoreLoop(shared, worker: Int(seed % 256))
        naming = ReservationNaming(nonce: seed, worker: 7)
        // Somewhere in 2020 to 2029, often just before a month's end.
        wall = Int64(1_577_836_800 + random.next() % 315_000_000) * 1_000_000
        if seed % 3 == 0 { wall = 1_740_787_190_000_000 }
        world = LimitWorld(seed, around: wall / 1_000_000, &random)
        build()
        try loop.runUntilUp()
    }

    private func build() {
        accounts = world.sets(wall: time).map { BudgetAccount($0) }
        shown = world.shown(wall: time).map { BudgetAccount($0) }
    }

    private var time: WallTime { WallTime(nanoseconds: wall * 1_000) }

    func step() throws {
        steps += 1
        moveClock()
        loop.store.replaceClock(by: time)
        switch random.next() % 20 {
        case 16, 17:
            last = "grant"
            try grant()
        case 18, 19:
            last = "report"
            try report()
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
            world.change(&random)
            build()
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
        case 4: wall += Int64(random.next() % 4_000_000_000)
        default: wall += Int64(random.next() % 2_000_000)
        }
    }

    private func reserve() throws {
        lastRequest += 1
        let serviceTime =
            random.next() % 3 == 0 ? Int(random.next() % 30_000_000) : 0
        let account = accounts[Int(random.next() % UInt64(accounts.count))]
        try reserve(
            ReserveRequest(
                request: RequestID(raw: lastRequest), reservation: naming.next(),
                account: account, demand: demand(), serviceTime: .microseconds(serviceTime)))
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
        case (.neverFits(let expected), .neverFits(let found)) where expected == found: break
        default: difference = "\(outcome)\n\(String(describing: answer))"
        }
    }

    /// The same reservation a second time.
    private func again() throws {
        guard let request = open.last else { return }
        let before = open
        try reserve(
            ReserveRequest(
                request: request.request, reservation: request.reservation,
                account: request.account, demand: request.order.demand))
        open = before
    }

    private func settle() throws {
        guard !open.isEmpty else { return }
        let request = open.remove(at: Int(random.next() % UInt64(open.count)))
        let use: SettledUse = random.next() % 5 == 0 ? .nothing : .used(demand())
        let times = random.next() % 6 == 0 ? 2 : 1
        for _ in 0..<times {
            _ = budgets.settle(
                request.reservation, use: use, limits: request.account.limits, wall: time)
            loop.store.settle(
                Settlement(
                    reservation: request.reservation, account: request.account, holder: .store,
                    use: use), now: loop.now, wall: time)
        }
    }

    /// A grant, and what it was last told to hold and to have spent.
    private struct Kept {
        let order: GrantOrder
        let account: BudgetAccount
        var number = 0
        var held: Amounts
        var spent = Amounts.none
    }

    private func grant() throws {
        let account = accounts[Int(random.next() % UInt64(accounts.count))]
        if account.limits.accounts.isEmpty { return }
        let wanted = amounts(upTo: 4_000)
        let order = GrantOrder(
            id: naming.next(), limits: account.limits, wanted: wanted,
            parts: 1 + Int(random.next() % 5),
            lease: .milliseconds(Int(100 + random.next() % 40_000)))
        let expected = budgets.grant(order, wall: time)
        loop.store.send(order, of: account, now: loop.now)
        try loop.run("a grant is answered") { loop.store.lastGrant != nil }
        guard loop.store.lastGrant == expected else {
            difference = "\(expected)\n\(String(describing: loop.store.lastGrant))"
            return
        }
        guard case .granted(let millionths, _) = expected else { return }
        granted += 1
        grants.append(Kept(order: order, account: account, held: order.granted(millionths)))
    }

    private func report() throws {
        guard !grants.isEmpty else { return }
        let place = Int(random.next() % UInt64(grants.count))
        // Now and then one that is late, or comes twice.
        if random.next() % 6 != 0 { grants[place].number += 1 }
        grants[place].held = amounts(upTo: 1_000)
        grants[place].spent = grants[place].spent + amounts(upTo: 300)
        let kept = grants[place]
        let isLast = random.next() % 3 == 0
        let report = GrantReport(
            id: kept.order.id, limits: kept.account.limits, number: kept.number,
            held: isLast ? .none : kept.held, spent: kept.spent, isLast: isLast)
        let expected = budgets.report(report, wall: time)
        loop.store.send(report, of: kept.account, now: loop.now)
        try loop.run("a report is answered") { loop.store.lastReport != nil }
        if loop.store.lastReport != expected {
            difference = "\(expected)\n\(String(describing: loop.store.lastReport))"
        }
        // Some are told of again afterwards.
        if isLast, random.next() % 2 == 0 { grants.remove(at: place) }
    }

    private func amounts(upTo most: UInt64) -> Amounts {
        Amounts(
            input: Double(random.next() % most), output: Double(random.next() % most),
            costMicros: Double(random.next() % (most * 100)),
            requests: Double(1 + random.next() % 20))
    }

    /// Lets a third of a lease pass for the store, so that it renews all that it holds.
    private func renewAll() throws {
        loop.ahead = loop.ahead + .seconds(10)
        for request in open where !request.account.limits.accounts.isEmpty {
            _ = budgets.renew(
                request.reservation, limits: request.account.limits, wall: time)
        }
        try loop.turn(until: loop.now)
    }

    private func compareUsage() throws {
        let found = try loop.usage(shown) ?? []
        for (account, found) in zip(shown, found) {
            let expected = budgets.standing(of: account.limits, wall: time)
            guard found != expected else { continue }
            difference = "after \(last): \(text(expected))\n\(text(found))"
        }
        if found.count != shown.count { difference = "no usage" }
    }

    private func text(_ snapshot: LimitsSnapshot) -> String {
        let parts = (0..<snapshot.count).map { "\(snapshot.standing($0))" }
        return (["at \(snapshot.time)"] + parts).joined(separator: "\n  ")
    }

    private func demand() -> Demand {
        let large = random.next() % 20 == 0
        return Demand(
            input: Tokens(Int(random.next() % (large ? 20_000 : 500))),
            output: Tokens(Int(random.next() % 300)), cost: random.unit() / 3)
    }
}
