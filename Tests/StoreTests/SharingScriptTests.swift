// SPDX-License-Identifier: Apache-2.0

import Admission
import EventLoop
import Policy
import Scheduling
import Store
import TestSupport
import Testing
import Units

/// `SharedEndpoint` and `SharedReports` are written twice, in Swift and for Redis: on every history
/// both say the same.
@Suite("Sharing script")
struct SharingScriptTests {
    @Test("a real Redis and the pure store answer alike", arguments: 0..<6 as Range<UInt64>)
    func same(seed: UInt64) throws {
        let server = RedisServer()
        server.start()
        var history = try SharingHistory(server, seed: seed)
        var granted = 0
        for step in 0..<400 {
            let (expected, found) = try history.step()
            guard expected == found else {
                let accounts = expected.reply.peers.map { SharingText.text(of: $0.account) }
                let others = found?.reply.peers.map { SharingText.text(of: $0.account) }
                Issue.record("seed \(seed), step \(step): \(accounts) \(others ?? [])")
                return
            }
            if expected.reply.isGranted { granted += 1 }
        }
        #expect(granted > 40, "\(granted)")
    }

    @Test("what others write into the keys is survived and deleted")
    func garbage() throws {
        let server = RedisServer()
        server.start()
        var history = try SharingHistory(server, seed: 1)
        _ = try history.step(gateway: 0, hasReport: true)
        let names = SharingNames(SharingHistory.policy)
        let endpoint = "{testsharing}:endpoint:" + (names.word(EndpointID(0)) ?? "")
        let far = "9999999999999999"
        let (soon, none) = ("5000001000000", "0 0 0 0 0 0 0 0")
        for value in [
            "", "x", far + " 1 2", far + " a b c d e f g h i j", "1e3 \(none) 0 0",
            "\(soon) \(none) 1 0 64 1 1 1", "\(soon) \(none) 1 0 3 1 1 0",
            "\(soon) \(none) 0 2 64 1 1 1", "\(soon) \(none) 0 2", "\(soon) \(none) 65 0",
            "\(soon) \(none) 0 66", "\(soon) \(none) 0 0 7 1", "\(soon) \(none) 0 0 7 1 65",
            "\(soon) \(none) 0 0 7 1099511627777 1", "\(soon) -1 0 0 0 0 0 0 0 0 0",
            "\(soon) 0.5 0 0 0 0 0 0 0 0 0",
            "\(soon) \(none) 0 0" + String(repeating: " 7 1 1", count: 81),
        ] {
            _ = try history.step(gateway: 0, hasReport: true)
            server.command("HSET", endpoint, "00000000000000aa", value)
            server.command("HSET", endpoint, "no gateway", "\(soon) \(none) 0 0")
            let found = try #require(try history.step(gateway: 1, hasReport: true).found)
            #expect(found.reply.peers.map(\.gateway) == [GatewayID(raw: 0)], "\(value)")
            #expect(server.command("HLEN", endpoint) == ":2", "\(value)")
        }
        let reports = "{testsharing}:reports"
        for value in ["", "x", "5000001000000 5000000000000 T a b;B;L 1 2;;;Z"] {
            server.command("HSET", reports, "00000000000000aa", value)
            let found = try #require(try history.step(gateway: 1, hasReport: true).found)
            for told in found.reports ?? [] where told.gateway.raw == 0xAA {
                #expect(told.report == GatewayReport())
            }
        }
        for key in [endpoint, reports] {
            server.command("DEL", key)
            server.command("SET", key, "no hash")
            let found = try #require(try history.step(gateway: 1, hasReport: true).found)
            #expect(found.reply.peers.isEmpty || key == reports)
        }
    }

    @Test("keys are gone two leases after the last exchange")
    func expiry() throws {
        let server = RedisServer()
        server.start()
        var history = try SharingHistory(server, seed: 1)
        _ = try history.step(gateway: 0, hasReport: true)
        let life = Int(server.command("PTTL", "{testsharing}:reports").dropFirst()) ?? 0
        #expect((3_000...4_000).contains(life))
        #expect(server.command("DBSIZE") == ":2")
    }

    @Test("what a report says comes back, and nobody's tenants are left out")
    func text() {
        let names = SharingNames(SharingHistory.policy)
        var report = GatewayReport()
        var told = GatewayReport.Tenant(
            ClassID(1), TenantID(0), served: 12, servedBefore: -3, counter: 1 << 50,
            waited: .milliseconds(20))
        told.holds = true
        report.tenants = [
            told,
            GatewayReport.Tenant(
                ClassID(0), TenantID(1), served: 0, servedBefore: 0, counter: 0, waited: nil),
            GatewayReport.Tenant(
                ClassID(7), TenantID(1), served: 0, servedBefore: 0, counter: 0, waited: nil),
        ]
        report.backlogs = [GatewayReport.Backlog(ClassID(1), needs: Tokens(700))]
        report.lessons = [
            GatewayReport.Lesson(
                number: 9, model: ModelID(0), tenant: TenantID(1), bound: Tokens(64),
                produced: Tokens(3))
        ]
        report.placements = [
            GatewayReport.Placement(number: 3, endpoint: EndpointID(1), blocks: [7, .max])
        ]
        let text = SharingText.text(of: report, names)
        let found = SharingText.report(text[...], age: .milliseconds(5), names)
        report.tenants.removeLast()
        report.tenants[0].waited = .milliseconds(25)
        #expect(found == report)
        #expect(SharingText.report("-", age: .zero, names) == GatewayReport())
    }
}

private struct SharingAnswer: Equatable {
    var reply: SharedEndpoint.Reply
    var reports: [PeerReport]?
}

/// Three gateways before two endpoints, with a real store and the pure one.
private struct SharingHistory {
    static let policy: Policy = {
        let pool = PoolPolicy(
            id: PoolID(0), name: "pool", engine: .vllm,
            endpoints: [EndpointID(0), EndpointID(1)], models: [ModelID(0)],
            kvTokens: Tokens(10_000))
        return Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(),
            models: [
                ModelPolicy(id: ModelID(0), name: "model", contextLength: Tokens(10_000))
            ], pools: [pool],
            endpoints: (0..<2).map {
                EndpointPolicy(
                    id: EndpointID($0), pool: PoolID(0),
                    address: .ip(host: "10.0.0.1", port: UInt16(8_000 + $0)),
                    authority: "10.0.0.1:\(8_000 + $0)")
            },
            classes: (0..<2).map {
                ClassPolicy(id: ClassID($0), name: "class\($0)", pool: PoolID(0))
            },
            tenants: (0..<2).map {
                TenantPolicy(
                    id: TenantID($0), name: "tenant\($0)", keys: [], classes: [], models: [])
            },
            anonymous: nil, throttleHistory: 1)
    }()

    private let poller: Poller
    private let stores: [RedisSharing]
    private let lease = Duration.seconds(2)
    private var endpoints = [SharedEndpoint](repeating: SharedEndpoint(), count: 2)
    private var reports = SharedReports()
    private var accounts = [[EndpointAccount]](
        repeating: [EndpointAccount](repeating: EndpointAccount(), count: 2), count: 3)
    private var random: SplitMix64
    private var now = Instant(nanoseconds: 5_000_000_000_000_000)
    private var number = 0

    init(_ server: RedisServer, seed: UInt64) throws {
        random = SplitMix64(seed: seed)
        let shared = RedisShared(policy: StoreTests.policy(server.path))
        let poller = try Poller()
        self.poller = poller
        stores = (0..<3).map {
            RedisSharing(
                shared: shared, sharing: SharedStorePolicy(), policy: Self.policy,
                gateway: GatewayID(raw: UInt64($0)), poller: poller, tokenKind: UInt8(1 + $0))
        }
        let deadline = MonotonicClock.now() + .seconds(10)
        while !stores.allSatisfy(\.isUp), MonotonicClock.now() < deadline { try turn() }
    }

    private func turn() throws {
        for store in stores {
            store.tick(now: MonotonicClock.now())
            store.flush(now: MonotonicClock.now())
        }
        let soon = MonotonicClock.now() + .milliseconds(20)
        let count = try poller.wait(until: soon, now: MonotonicClock.now())
        for index in 0..<count {
            let (token, readiness) = poller.event(index)
            stores[Int(token.kind) - 1].ready(token, readiness, now: MonotonicClock.now())
        }
    }

    private mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    /// One exchange with both, of a gateway by chance unless told.
    mutating func step(
        gateway: Int? = nil, hasReport: Bool? = nil
    ) throws -> (expected: SharingAnswer, found: SharingAnswer?) {
        number += 1
        let isLate = gateway == nil && draw(20) == 0
        now = now + .microseconds(isLate ? 2_500_000 : draw(100_000))
        let gateway = gateway ?? draw(3)
        let endpoint = draw(hasReport == nil ? 2 : 1)
        let ask = ask(gateway, endpoint)
        let report = hasReport ?? (draw(2) == 0) ? report() : nil
        let id = GatewayID(raw: UInt64(gateway))
        let reply = endpoints[endpoint].exchange(ask, of: id, lease: lease, now: now)
        let told = report.map { reports.exchange($0, of: id, lease: lease, now: now) }
        if reply.isGranted, let want = ask.want { accounts[gateway][endpoint].add(want) }
        let store = stores[gateway]
        store.replaceClock(by: WallTime(nanoseconds: Int64(now.nanoseconds)))
        store.exchange(
            number: number, EndpointID(endpoint), ask, report, now: MonotonicClock.now())
        return (SharingAnswer(reply: reply, reports: told), try answer(store))
    }

    private func answer(_ store: RedisSharing) throws -> SharingAnswer? {
        let deadline = MonotonicClock.now() + .seconds(10)
        var outcomes: [SharingOutcome] = []
        while outcomes.isEmpty, MonotonicClock.now() < deadline {
            try turn()
            store.drain(into: &outcomes)
        }
        guard case .answered(number, let reply, let reports)? = outcomes.first else { return nil }
        return SharingAnswer(reply: reply, reports: reports)
    }

    private mutating func ask(_ gateway: Int, _ endpoint: Int) -> SharedEndpoint.Ask {
        if draw(6) == 0 {
            accounts[gateway][endpoint] = EndpointAccount()
            if draw(4) > 0 { accounts[gateway][endpoint].bounds = Cohorts() }
            accounts[gateway][endpoint].runs = (0..<draw(4)).map { run($0) }
        }
        accounts[gateway][endpoint].common = Tokens(draw(300))
        accounts[gateway][endpoint].prefilling = Tokens(draw(100))
        accounts[gateway][endpoint].committed = Tokens(draw(100))
        accounts[gateway][endpoint].turnover = draw(10_000)
        accounts[gateway][endpoint].left += draw(1_000)
        accounts[gateway][endpoint].prompts += draw(1_000)
        let limit = draw(4) == 0 ? 9_800 : 8_500
        var want = SharedEndpoint.Want(
            PeakWalk.Sequence(
                held: Tokens(draw(1_500)), rest: Tokens(draw(draw(2) == 0 ? 20 : 900)),
                width: 1 + draw(3)),
            limit: Tokens(limit), beside: Tokens(limit == 8_500 ? limit : 200))
        want.longest.rest = want.sequence.rest + Tokens(draw(300))
        want.most = Tokens(draw(2) * 9_500)
        want.runs = (0..<draw(3)).map { run($0) }
        return SharedEndpoint.Ask(
            accounts[gateway][endpoint], want: draw(3) == 0 ? nil : want,
            slack: Tokens(draw(2_000)), easy: Tokens(7_000))
    }

    /// Gateways share some of them, each with a length of its own.
    private mutating func run(_ place: Int) -> CommonRun {
        CommonRun(
            key: (1 << 52 - 1) - UInt64(4 * place + draw(4)), tokens: draw(900),
            place: draw(2) == 0 ? CommonRun.everybodys : draw(Cohorts.count))
    }

    private mutating func report() -> GatewayReport {
        var report = GatewayReport()
        for _ in 0..<draw(4) {
            report.tenants.append(
                GatewayReport.Tenant(
                    ClassID(draw(2)), TenantID(draw(2)), served: draw(10_000) - 100,
                    servedBefore: draw(100), counter: draw(1 << 40),
                    waited: draw(2) == 0 ? nil : .microseconds(draw(1_000_000))))
        }
        for place in 0..<draw(3) {
            report.backlogs.append(
                GatewayReport.Backlog(ClassID(place), needs: Tokens(draw(5_000))))
        }
        return report
    }
}
