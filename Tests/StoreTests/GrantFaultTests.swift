// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import TestSupport
import Testing
import Units

/// Two gateways with leases come to the end of a limit, and at each step Redis fails once.
@Suite("Redis store, faults of leases")
struct GrantFaultTests {
    @Test(
        "what Redis and its leases admit is the limit, whatever fails; only replicas' parts add",
        arguments: Fault.allCases, 0..<14)
    func atEachStep(fault: Fault, step: Int) throws {
        let world = try FaultWorld()
        try world.warm()
        try world.steps(step)
        try world.fail(fault)
        try world.exhaust()
        #expect(world.ahead > 0)
        #expect(world.counted <= FaultWorld.limit)
        // Each has its part of the limit once more while it is alone.
        #expect(world.alone > 0)
        #expect(world.alone <= FaultWorld.limit)
        #expect(world.counted + world.alone >= FaultWorld.limit)
        try world.finish()
        #expect(try world.used() == Double(world.counted + world.alone))
    }

    @Test("when Redis fails with the limit used up, all that comes beyond is the replicas'")
    func atTheEnd() throws {
        let world = try FaultWorld()
        try world.warm()
        try world.exhaust()
        #expect(world.counted == FaultWorld.limit)
        try world.fail(.late)
        try world.exhaust()
        #expect(world.counted == FaultWorld.limit)
        #expect(world.alone == world.gateways.reduce(0) { $0 + $1.decidedAlone })
        #expect(world.alone > 0)
        try world.finish()
        #expect(try world.used() == Double(FaultWorld.limit + world.alone))
    }

    @Test(
        "an outage that outlives leases costs at most what gateways were granted", arguments: 0..<6)
    func long(step: Int) throws {
        let world = try FaultWorld()
        try world.warm()
        try world.steps(step)
        try world.fail(.late, lasts: .seconds(3))
        try world.exhaust()
        // Two grants at a time, each a sixteenth of what is left.
        let granted = FaultWorld.limit * world.gateways.count / 8
        #expect(world.counted <= FaultWorld.limit + granted)
        try world.finish()
        #expect(try world.used() == Double(world.counted + world.alone))
    }
}

enum Fault: CaseIterable, Sendable {
    /// Nothing is answered in time, and all that was sent is done afterwards.
    case late
    /// Nothing that was sent is done.
    case lost
}

/// One Redis whose time the test makes, and two gateways that ask for one token at a time.
private final class FaultWorld {
    static let limit = 400
    private static let patience = Duration.seconds(2)
    private static let pace = Duration.milliseconds(60)

    let gateways: [Gateway]
    private let server = RedisServer()
    private let acme = tenant([.tokensPerDay: Double(limit)])
    private var time = WallTime(nanoseconds: 1_709_300_000_000_000_000)

    final class Gateway {
        let loop: StoreLoop
        let account: BudgetAccount
        var open: [(ReserveRequest, ReservationHolder)] = []
        /// Used by ended requests, by who admitted them.
        var used: [ReservationHolder: Int] = [:]
        var asked = 0

        init(_ shared: RedisShared, _ number: Int, _ tenant: TenantPolicy) throws {
            shared.noteReplicas(2, now: MonotonicClock.now())
            loop = try StoreLoop(shared, worker: number)
            account = BudgetAccount(tenant)
        }

        var decidedAlone: Int { taken(.replica) }

        func taken(_ holder: ReservationHolder) -> Int {
            used[holder, default: 0] + open.count { $0.1 == holder }
        }
    }

    init() throws {
        server.start()
        let policy = policy(
            server.path, onFailure: .local, timeout: Self.patience,
            leaseWindow: .milliseconds(500))
        let acme = self.acme
        gateways = try (0..<2).map { try Gateway(RedisShared(policy: policy), $0, acme) }
        pass(.zero)
        for gateway in gateways { try gateway.loop.runUntilUp() }
    }

    /// Admitted by Redis or by leases.
    var counted: Int { gateways.reduce(0) { $0 + $1.taken(.store) + $1.taken(.book) } }
    var ahead: Int { gateways.reduce(0) { $0 + $1.loop.store.counters.decidedAhead } }
    var alone: Int { gateways.reduce(0) { $0 + $1.taken(.replica) } }

    func used() throws -> Double? { try gateways[0].loop.used(.tokensPerDay, of: acme) }

    /// For Redis; gateways have their own clocks.
    private func pass(_ span: Duration) {
        time = time + span
        for gateway in gateways { gateway.loop.store.replaceClock(by: time) }
    }

    /// Leases are found to be worth it.
    func warm() throws { try steps(2) }

    func steps(_ count: Int) throws {
        for _ in 0..<count { _ = try step(keeping: 6) }
    }

    /// Both ask a few times and are answered, and end what they asked before; how many were
    /// admitted.
    private func step(keeping kept: Int) throws -> Int {
        var admitted = 0
        for gateway in gateways {
            settle(gateway, but: kept)
            let requests = ask(gateway, 8)
            admitted += try take(requests, gateway)
            gateway.loop.ahead = gateway.loop.ahead + Self.pace
        }
        pass(Self.pace)
        return admitted
    }

    private func ask(_ gateway: Gateway, _ count: Int) -> [ReserveRequest] {
        let requests = (0..<count).map { _ in gateway.loop.request(gateway.account, demand(1)) }
        for request in requests { gateway.loop.ask(request) }
        return requests
    }

    private func take(_ requests: [ReserveRequest], _ gateway: Gateway) throws -> Int {
        try gateway.loop.run("all are answered") {
            gateway.loop.answers.count >= requests.count
        }
        var admitted = 0
        for request in requests {
            guard let holder = gateway.loop.takeAnswer(request)?.holder else { continue }
            gateway.open.append((request, holder))
            admitted += 1
        }
        return admitted
    }

    /// Ends the oldest, and every fifth of them without having used anything.
    private func settle(_ gateway: Gateway, but kept: Int) {
        while gateway.open.count > kept {
            let (request, holder) = gateway.open.removeFirst()
            gateway.asked += 1
            let isUsed = gateway.asked % 5 > 0
            if isUsed { gateway.used[holder, default: 0] += 1 }
            gateway.loop.settle(
                request, acme, isUsed ? .used(demand(1)) : .nothing, holder: holder)
        }
    }

    /// Redis fails while both have asked; each asks again while it is away.
    func fail(_ fault: Fault, lasts: Duration = .milliseconds(100)) throws {
        switch fault {
        case .late: server.suspend()
        case .lost: #expect(server.command("CLIENT", "PAUSE", "100000", "WRITE") == "+OK")
        }
        let asked = try gateways.map { gateway in
            settle(gateway, but: 3)
            let requests = ask(gateway, 8)
            try gateway.loop.turn(until: gateway.loop.now)
            return requests
        }
        if fault == .lost { server.command("CLIENT", "KILL", "TYPE", "normal") }
        for (gateway, requests) in zip(gateways, asked) {
            if fault == .late {
                gateway.loop.ahead = gateway.loop.ahead + Self.patience + .milliseconds(1)
            }
            // Where all were admitted ahead it is not noticed before something is sent.
            try gateway.loop.run("it is away") {
                if gateway.loop.store.state == .up, fault == .late {
                    gateway.loop.ahead = gateway.loop.ahead + .milliseconds(100)
                }
                return gateway.loop.store.state != .up
            }
            _ = try take(requests, gateway)
            _ = try take(ask(gateway, 4), gateway)
        }
        switch fault {
        case .late: server.resume()
        case .lost: #expect(server.command("CLIENT", "UNPAUSE") == "+OK")
        }
        pass(lasts)
        for gateway in gateways { try gateway.loop.runUntilUp() }
    }

    /// Until nobody is admitted any more, with all that leases held given back.
    func exhaust() throws {
        var refusedFor = 0
        for _ in 0..<400 where refusedFor < 12 {
            refusedFor = try step(keeping: 0) == 0 ? refusedFor + 1 : 0
        }
        #expect(refusedFor == 12)
    }

    /// Ends all, and waits until all of it has been told.
    func finish() throws {
        for gateway in gateways {
            settle(gateway, but: 0)
            gateway.loop.ahead = gateway.loop.ahead + .seconds(1)
            try gateway.loop.run("all is told") {
                gateway.loop.store.settlementsWaiting == 0 && gateway.loop.store.grantsKnown == 0
            }
            // Those on their way are before the next in the connection.
            _ = try gateway.loop.used(.tokensPerDay, of: acme)
        }
    }
}
