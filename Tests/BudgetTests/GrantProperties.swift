// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

/// Several gateways before one store, in virtual time: what holds whatever comes when.
@Suite("Grant properties")
struct GrantProperties {
    @Test(
        "over any time requests use no more than the limits and what gateways were granted",
        arguments: 0..<8 as Range<UInt64>)
    func bound(seed: UInt64) {
        let world = GrantWorld(seed, gateways: 2 + Int(seed % 4), breaks: seed % 2 == 0)
        world.run(.seconds(10))
        #expect(world.ahead > 100, "seed \(seed)")
        let rate = world.perMinute / 60e6
        // A grant is drained while it lives: what it admits then may count as drained already.
        let drained = rate * 500_000
        // The bound that is stated: two grants at a time, each a sixteenth of what is left.
        let lease = Double(world.gatewayCount) * world.perMinute / 8
        #expect(drained <= lease)
        if let fault = world.fault(limit: world.perMinute, rate: rate, beyond: drained) {
            Issue.record("seed \(seed): \(fault)")
        }
        #expect(world.mostUnused <= lease, "seed \(seed)")
        #expect(Double(world.usedTokens) <= world.perDay, "seed \(seed)")
    }

    @Test(
        "what is charged in the end is what was used, to the token, whatever broke",
        arguments: 100..<108 as Range<UInt64>)
    func exactSum(seed: UInt64) {
        let world = GrantWorld(seed, gateways: 3, breaks: true, overshoot: true)
        world.run(.seconds(8))
        world.finish()
        #expect(world.ahead > 100, "seed \(seed)")
        #expect(world.store.used(.tokensPerDay, at: world.now) == Double(world.usedTokens))
        #expect(
            world.store.used(LimitKind(.requests, per: .day), at: world.now)
                == Double(world.usedRequests))
        #expect(world.store.budgets.openCount == 0)
    }

    @Test(
        "a killed gateway's grants return, and what it had reported stays",
        arguments: 200..<208 as Range<UInt64>)
    func killed(seed: UInt64) {
        let world = GrantWorld(seed, gateways: 2, breaks: false)
        world.run(.seconds(6))
        let unreported = world.kill(0)
        world.finish()
        // 30 s after its last report nothing of it is held any more.
        world.pass(.seconds(31))
        // Sixteen lapse with each look.
        for _ in 0..<1_000 { _ = world.store.used(.tokensPerDay, at: world.now) }
        let used = world.store.used(.tokensPerDay, at: world.now)
        #expect(used <= Double(world.usedTokens), "seed \(seed)")
        #expect(used >= Double(world.usedTokens) - unreported, "seed \(seed)")
        #expect(unreported <= world.perDay / 8)
    }
}

/// A clock, a store, and gateways whose messages take a while, arrive in order, and may be lost
/// with the connection: then some of what was sent was still done, and nobody hears of it.
final class GrantWorld {
    let perMinute: Double
    let perDay: Double
    let gatewayCount: Int
    var store: Fixture
    private(set) var now: Int64 = 1_000_000
    /// Admitted without asking.
    private(set) var ahead = 0
    private(set) var usedTokens = 0
    private(set) var usedRequests = 0
    /// Of all gateways together at any time.
    private(set) var mostUnused = 0.0
    private var random: SplitMix64
    private var gateways: [Gateway] = []
    /// By the millisecond of their ends.
    private var open: [Int64: [Open]] = [:]
    private var endedUntil: Int64 = 0
    private var admitted: [(at: Int64, size: Int)] = []
    private let breaks: Bool
    private let overshoot: Bool
    private let largest: UInt64

    private final class Owner: Sendable {}

    private struct Open {
        let gateway: Int
        let id: ReservationID
        let isAhead: Bool
        let place: Int
        let actual: Int
    }

    private enum Message {
        case order(GrantOrder)
        case report(GrantReport)
    }

    private final class Gateway {
        let book: GrantBook
        let owner = Owner()
        var naming: ReservationNaming
        /// Sent, and when it arrives.
        var sent: [(at: Int64, Message)] = []
        /// Done, and when the answer arrives.
        var answers: [(at: Int64, answer: () -> Void, lost: () -> Void)] = []
        var isDead = false
        /// Tokens of requests that ended, and of those that a report has told.
        var spent = 0.0
        var told: [ReservationID: Double] = [:]

        init(_ number: Int) {
            book = GrantBook(
                GrantBook.Terms(window: .milliseconds(500), workers: 1, lease: .seconds(30)),
                naming: ReservationNaming(nonce: UInt64(number), worker: 1))
            naming = ReservationNaming(nonce: UInt64(number), worker: 2)
        }
    }

    init(_ seed: UInt64, gateways count: Int, breaks: Bool, overshoot: Bool = false) {
        random = SplitMix64(seed: seed)
        gatewayCount = count
        self.breaks = breaks
        self.overshoot = overshoot
        perMinute = Double(20_000 + random.next() % 400_000)
        perDay = perMinute * Double(3 + random.next() % 30)
        largest = 20 + random.next() % 200
        store = Fixture(
            [
                .tokensPerMinute: perMinute, .tokensPerDay: perDay,
                LimitKind(.requests, per: .day): 1e7,
            ],
            lease: .seconds(30), maxReservations: 100_000)
        gateways = (0..<count).map { Gateway($0) }
    }

    private var instant: Instant { Instant(nanoseconds: UInt64(now) * 1_000) }
    private var wall: WallTime { Fixture.wall(now) }

    func run(_ span: Duration) {
        let end = now + span.nanoseconds / 1_000
        // Some seeds hurry, some dawdle.
        let pace = 1_500 + random.next() % 4_000
        while now < end {
            now += Int64(random.next() % pace)
            step()
            for _ in 0...random.next() % 3 { ask(Int(random.next() % UInt64(gatewayCount))) }
            if breaks, random.next() % 500 == 0 { drop(Int(random.next() % UInt64(gatewayCount))) }
        }
    }

    /// Lets all requests end, and all that is to be told be told.
    func finish() { pass(.seconds(15)) }

    func pass(_ span: Duration) {
        let end = now + span.nanoseconds / 1_000
        while now < end {
            now += 5_000
            step()
        }
    }

    /// What ended requests of it used, that no report has told; and what open ones held.
    func kill(_ place: Int) -> Double {
        let gateway = gateways[place]
        gateway.isDead = true
        open = open.mapValues { $0.filter { $0.gateway != place } }
        return gateway.spent - gateway.told.values.reduce(0, +)
    }

    private func step() {
        endRequests()
        for gateway in gateways where !gateway.isDead {
            gateway.book.tick(now: instant)
            send(of: gateway)
            while let first = gateway.sent.first, first.at <= now {
                gateway.sent.removeFirst()
                arrive(first.1, from: gateway)
            }
            while let first = gateway.answers.first, first.at <= now {
                gateway.answers.removeFirst()
                first.answer()
            }
            send(of: gateway)
        }
        let unused = gateways.filter { !$0.isDead }
            .reduce(0) { $0 + $1.book.unused.input + $1.book.unused.output }
        mostUnused = max(mostUnused, unused)
    }

    private func send(of gateway: Gateway) {
        while let (report, _) = gateway.book.nextReport(now: instant) {
            queue(.report(report), of: gateway)
        }
        while let (order, _) = gateway.book.nextOrder(now: instant) {
            queue(.order(order), of: gateway)
        }
    }

    private func queue(_ message: Message, of gateway: Gateway) {
        let at = max(gateway.sent.last?.at ?? 0, now + Int64(random.next() % 8_000))
        gateway.sent.append((at, message))
    }

    private func arrive(_ message: Message, from gateway: Gateway) {
        let at = max(gateway.answers.last?.at ?? 0, now + Int64(random.next() % 8_000))
        let book = gateway.book
        switch message {
        case .order(let order):
            let outcome = store.budgets.grant(order, wall: wall)
            gateway.answers.append(
                (
                    at, { book.answered(order, outcome, now: self.instant) },
                    { book.lost(order, now: self.instant) }
                ))
        case .report(let report):
            let outcome = store.budgets.report(report, wall: wall)
            gateway.told[report.id] = report.spent.input + report.spent.output
            gateway.answers.append(
                (at, { book.answered(report, outcome) }, { book.lost(report) }))
        }
    }

    /// The connection breaks: what is on its way is done in part, and nothing of it is answered.
    private func drop(_ place: Int) {
        let gateway = gateways[place]
        let done = Int(random.next() % UInt64(gateway.sent.count + 1))
        let sent = gateway.sent
        gateway.sent.removeAll()
        for (_, message) in sent.prefix(done) { arrive(message, from: gateway) }
        let unanswered = gateway.answers
        gateway.answers.removeAll()
        for answer in unanswered { answer.lost() }
        for (_, message) in sent.dropFirst(done) {
            switch message {
            case .order(let order): gateway.book.lost(order, now: instant)
            case .report(let report): gateway.book.lost(report)
            }
        }
        gateway.book.closeAll(now: instant)
    }

    private func ask(_ place: Int) {
        let gateway = gateways[place]
        if gateway.isDead { return }
        let size = 1 + Int(random.next() % largest)
        let demand = tokens(size)
        let id = gateway.naming.next()
        let isAhead =
            gateway.book.reserve(
                id, demand, store.limits, owner: gateway.owner, now: instant) != nil
        if isAhead {
            ahead += 1
        } else if !store.reserve(id, demand, at: now).isReserved {
            return
        }
        let actual =
            overshoot && random.next() % 8 == 0
            ? size * 2 : Int(random.next() % UInt64(size + 1))
        admitted.append((now, size))
        let end = now / 1_000 + 1 + Int64(random.next() % 8_000)
        open[end, default: []].append(
            Open(
                gateway: place, id: id, isAhead: isAhead, place: admitted.count - 1,
                actual: actual))
    }

    private func endRequests() {
        while endedUntil < now / 1_000 {
            endedUntil += 1
            for request in open.removeValue(forKey: endedUntil) ?? [] { end(request) }
        }
    }

    private func end(_ request: Open) {
        let use = SettledUse.used(tokens(request.actual))
        let gateway = gateways[request.gateway]
        if request.isAhead {
            #expect(gateway.book.settle(request.id, use, now: instant))
            gateway.spent += Double(request.actual)
        } else {
            store.settle(request.id, use, at: now)
        }
        admitted[request.place].size = request.actual
        usedTokens += request.actual
        usedRequests += 1
    }

    /// A span that begins and ends with an admission and has too much in it: how much too much.
    func fault(limit: Double, rate: Double, beyond: Double) -> String? {
        var sum = 0.0
        var least = Double.infinity
        for (at, size) in admitted {
            let drained = rate * Double(at)
            least = min(least, sum - drained)
            sum += Double(size)
            let excess = sum - drained - least - limit - beyond
            if excess > limit * 1e-9 { return "\(excess) over \(limit) + \(beyond) at \(at)" }
        }
        return nil
    }
}
