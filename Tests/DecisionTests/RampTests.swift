// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Testing
import Units

@Suite("Endpoints that are new among others")
struct RampTests {
    /// Two endpoints that serve, and a third one that a reload will bring.
    private func joined(
        kv: Int = 10_000, maxWait: Duration = .seconds(2), streams: Int = 4
    ) throws -> (Machine, Plan) {
        var plan = Plan(endpoints: 2, kv: kv, maxWait: maxWait)
        plan.pools[0].ramp = RampPolicy()
        var machine = Machine(plan)
        for place in 0..<2 { machine.scrape(place, used: 0) }
        for _ in 0..<streams { try machine.send(input: kv / 5, output: 10) }
        plan.addEndpoint()
        machine.handle(.reconfigured(plan.policy))
        machine.scrape(2, used: 0)
        return (machine, plan)
    }

    @Test("a gateway's own start knows no ramp")
    func start() throws {
        var plan = Plan(endpoints: 3)
        plan.pools[0].ramp = RampPolicy()
        var machine = Machine(plan)
        let sent = try machine.send(input: 100)
        #expect(sent.isForwarded)
        for place in 0..<3 {
            machine.scrape(place, used: 0)
            #expect(machine.state(place).ramp.share(machine.now) == 1)
        }
    }

    @Test("one that a reload brings takes little at first, and as much as others in the end")
    func reload() throws {
        var (machine, _) = try joined(kv: 100_000, streams: 4)
        #expect(machine.state(2).ramp.share(machine.now) == 0.1)
        for _ in 0..<40 { try machine.send(input: 500, output: 10) }
        let first = machine.state(2).ledger.resident
        #expect(first > .zero && first <= Tokens(5_000))
        machine.pass(.seconds(31))
        machine.scrape(2, used: 0)
        #expect(machine.state(2).ramp.share(machine.now) == 1)
        for _ in 0..<60 { try machine.send(input: 500, output: 10) }
        #expect(machine.state(2).ledger.resident > Tokens(25_000))
    }

    @Test("with `over: 0s` it has all of its turn at once")
    func off() throws {
        var plan = Plan(endpoints: 2, kv: 100_000)
        plan.pools[0].ramp = RampPolicy(over: .zero)
        var machine = Machine(plan)
        for _ in 0..<4 { try machine.send(input: 20_000, output: 10) }
        plan.addEndpoint()
        machine.handle(.reconfigured(plan.policy))
        machine.scrape(2, used: 0)
        for _ in 0..<40 {
            #expect(try machine.send(input: 500, output: 10).endpoint == EndpointID(2))
        }
    }

    @Test("an endpoint that is alone, or among new ones only, has all of its turn")
    func alone() throws {
        var (machine, plan) = try joined()
        plan.remove(endpoint: 0)
        plan.remove(endpoint: 1)
        machine.handle(.reconfigured(plan.policy))
        for _ in 0..<3 {
            #expect(try machine.send(input: 2_000, output: 10).endpoint == EndpointID(2))
        }
    }

    @Test("one request at a time goes there, however large it is")
    func atLeastOne() throws {
        var (machine, _) = try joined()
        // The others hold 4,000 tokens each, of which this would make 6,000, under 8,000.
        var there: [Machine.Sent] = []
        for _ in 0..<3 {
            let sent = try machine.send(input: 2_500, output: 10)
            if sent.endpoint == EndpointID(2) { there.append(sent) }
        }
        #expect(there.count == 1)
    }

    @Test("who would wait for a ramp goes there at the end of its wait, and is not refused")
    func lastQuarter() throws {
        var (machine, _) = try joined(streams: 6)
        #expect(try machine.send(input: 2_500, output: 10).endpoint == EndpointID(2))
        let late = try machine.send(input: 2_500, output: 10)
        #expect(late.isQueued)
        #expect(machine.pass(.milliseconds(1_400)).isEmpty)
        let actions = machine.pass(.milliseconds(101))
        #expect(actions == [.forward(late.request, to: EndpointID(2), bound: nil)])
    }

    @Test("who waits for a ramp only keeps nobody behind it from other room")
    func keepsNothing() throws {
        var (machine, _) = try joined(streams: 6)
        try machine.send(input: 2_500, output: 10)
        let first = try machine.send(input: 2_500, output: 10)
        #expect(first.isQueued)
        // 6,000 of 8,000 are held on each of the others.
        let second = try machine.send(input: 1_500, output: 10)
        #expect(second.isForwarded && second.endpoint != EndpointID(2))
    }

    @Test("back after a long time it is new, after a short one it is not")
    func back() throws {
        for (away, share) in [(Duration.seconds(3), 1.0), (.seconds(12), 0.1)] {
            var plan = Plan(endpoints: 2)
            plan.pools[0].ramp = RampPolicy()
            var machine = Machine(plan)
            for place in 0..<2 { machine.scrape(place, used: 0) }
            for _ in 0..<4 { try machine.send(input: 100, output: 10) }
            for _ in 0..<2 { machine.handle(.probeFailed(EndpointID(1), .refused)) }
            #expect(!machine.isAvailable(1))
            machine.pass(away)
            for _ in 0..<plan.upstream.healthyAfter { machine.scrape(1, used: 0) }
            #expect(machine.isAvailable(1))
            #expect(machine.state(1).ramp.share(machine.now) == share)
        }
    }

    @Test("healthy for the first time while others serve it is new, however short that took")
    func first() throws {
        var plan = Plan(endpoints: 2)
        plan.pools[0].ramp = RampPolicy()
        var machine = Machine(plan)
        machine.scrape(0, used: 0)
        for _ in 0..<2 { machine.handle(.probeFailed(EndpointID(1), .refused)) }
        try machine.send(input: 100, output: 10)
        machine.pass(.seconds(1))
        for _ in 0..<plan.upstream.healthyAfter { machine.scrape(1, used: 0) }
        #expect(machine.state(1).ramp.share(machine.now) == 0.1)
    }

    @Test("an engine that wakes has no cache any more, and is new")
    func wakes() throws {
        var plan = Plan(endpoints: 2)
        plan.pools[0].ramp = RampPolicy()
        var machine = Machine(plan)
        for place in 0..<2 { machine.scrape(place, used: 0) }
        try machine.send(input: 100, output: 10)
        machine.scrape(1, used: 0, isSleeping: true)
        #expect(!machine.isAvailable(1))
        machine.scrape(1, used: 0)
        #expect(machine.isAvailable(1))
        #expect(machine.state(1).ramp.share(machine.now) == 0.1)
    }

    @Test("a trace tells the share by which an endpoint was taken for smaller")
    func trace() throws {
        var plan = Plan(endpoints: 1)
        plan.requestHistory = 10
        plan.pools[0].ramp = RampPolicy()
        var machine = Machine(plan)
        try machine.send(input: 100, output: 10)
        plan.addEndpoint()
        machine.handle(.reconfigured(plan.policy))
        machine.scrape(1, used: 0)
        var arrival = Arrival(
            tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(0), input: Tokens(50),
            bound: Tokens(10))
        arrival.trace = 1
        try machine.send(arrival)
        let trace = machine.trace(1)
        #expect(trace?.offers.first?.ramp == 1)
        #expect(trace?.offers.last?.ramp == 0.1)
        let offer = trace?.offers.last
        #expect(abs((offer?.score ?? 0) - 10 * (offer?.share ?? 1)) < 1e-9)
    }
}
