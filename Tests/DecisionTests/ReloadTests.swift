// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Reload")
struct ReloadTests {
    @Test("a removed endpoint gets nothing new, and what is there ends as it would have")
    func removedEndpoint() throws {
        var plan = Plan(endpoints: 2)
        var machine = Machine(plan)
        let there = try machine.send(input: 1_000, output: 100)
        #expect(there.endpoint == EndpointID(0))
        plan.remove(endpoint: 0)
        machine.handle(.reconfigured(plan.policy))
        #expect(!machine.isAvailable(0))
        for _ in 0..<3 { #expect(try machine.send(input: 1_000).endpoint == EndpointID(1)) }
        machine.handle(.streamed(there.ticket, output: Tokens(50)))
        #expect(machine.state(0).ledger.resident == Tokens(1_050))
        // A late answer of its probe does not bring it back.
        machine.scrape(0, used: 0)
        #expect(!machine.isAvailable(0))
        machine.end(there, output: 50)
        #expect(machine.state(0).ledger.sequences == 0)
    }

    @Test("a pool list that still names a removed endpoint does not help it")
    func removedButListed() throws {
        var plan = Plan(endpoints: 2)
        plan.endpoints[0].removed = true
        var machine = Machine(plan)
        #expect(try machine.send(input: 10).endpoint == EndpointID(1))
        plan.endpoints[1].removed = true
        machine.handle(.reconfigured(plan.policy))
        #expect(try machine.send(input: 10).refusal?.reason == .noHealthyEndpoint)
    }

    @Test("an endpoint that returns begins anew, but for what is still open there")
    func returns() throws {
        var plan = Plan(endpoints: 2)
        var machine = Machine(plan)
        let there = try machine.send(input: 1_000)
        machine.scrape(0, used: 6_000, isSleeping: true)
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.handle(.probeFailed(EndpointID(0), .refused))
        plan.remove(endpoint: 0)
        machine.handle(.reconfigured(plan.policy))
        plan.restore(endpoint: 0)
        machine.handle(.reconfigured(plan.policy))
        #expect(machine.isAvailable(0))
        #expect(machine.state(0).ledger.others == .zero)
        #expect(machine.state(0).ledger.resident == Tokens(1_000))
        machine.end(there)
        #expect(try machine.send(input: 10).isForwarded)
    }

    @Test("an added endpoint is used by who waits and by who comes")
    func added() throws {
        var plan = Plan(endpoints: 1)
        var machine = Machine(plan)
        machine.scrape(0, used: 8_500)
        let waiting = try machine.send(input: 1_000)
        #expect(waiting.isQueued)
        plan.addEndpoint()
        machine.handle(.reconfigured(plan.policy))
        machine.pass(.milliseconds(5))
        #expect(machine.decider.waiting == 0)
        #expect(machine.state(1).ledger.sequences == 1)
        machine.end(waiting)
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(1))
    }

    @Test("requests of a removed class wait, run and end under it")
    func removedClass() throws {
        var plan = Plan(endpoints: 1)
        plan.addClass(maxWait: .seconds(5))
        var machine = Machine(plan)
        let running = try machine.send(input: 7_900, trafficClass: 1)
        let waiting = try machine.send(input: 1_000, trafficClass: 1)
        #expect(waiting.isQueued)
        let leaving = try machine.send(input: 1_000, trafficClass: 1)
        plan.classes[1].removed = true
        machine.handle(.reconfigured(plan.policy))
        machine.end(leaving)
        machine.end(running, output: 1)
        #expect(machine.actions == [.forward(waiting.request, to: EndpointID(0), bound: nil)])
        machine.end(waiting, output: 1)
        #expect(machine.isAtRest)
    }

    /// Two pools, each with a class and a full endpoint; three requests wait for the second.
    private func twoPools() throws -> (Plan, Machine, [Machine.Sent]) {
        var plan = Plan(endpoints: 1)
        plan.addPool(endpoints: 1, kv: 10_000)
        plan.addClass(pool: 1)
        var machine = Machine(plan)
        for endpoint in 0..<2 { machine.scrape(endpoint, used: 8_500) }
        let waiting = try (0..<3).map { _ in try machine.send(input: 100, trafficClass: 1) }
        #expect(waiting.allSatisfy { $0.isQueued })
        return (plan, machine, waiting)
    }

    @Test("who waits for a pool that is gone waits for its class's new one")
    func movedPool() throws {
        let (before, started, waiting) = try twoPools()
        var (plan, machine) = (before, started)
        plan.remove(pool: 1)
        plan.classes[1].pool = PoolID(0)
        plan.pools[0].models = [ModelID(1)]
        machine.handle(.reconfigured(plan.policy))
        #expect(machine.actions.isEmpty)
        #expect(machine.decider.waiting == 3)
        machine.scrape(0, used: 0)
        #expect(
            machine.actions
                == waiting.map { .forward($0.request, to: EndpointID(0), bound: nil) })
        for sent in waiting { machine.end(sent) }
        #expect(machine.isAtRest)
    }

    @Test("where that does not serve its model it is refused at once, and may come back soon")
    func removedPool() throws {
        let (before, started, gone) = try twoPools()
        var (plan, machine) = (before, started)
        let stays = try machine.send(input: 100)
        plan.remove(pool: 1)
        plan.classes[1].pool = PoolID(0)
        machine.handle(.reconfigured(plan.policy))
        #expect(machine.actions.map(\.request) == gone.map(\.request))
        #expect(machine.actions.allSatisfy { $0.refusal?.reason == .noHealthyEndpoint })
        #expect(machine.actions.allSatisfy { $0.refusal?.retryAfter ?? .infinite <= .seconds(1) })
        #expect(machine.decider.waiting == 1)
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [stays.request])
        #expect(try machine.send(input: 100, trafficClass: 1).endpoint == EndpointID(0))
    }

    @Test("a request keeps the pool that its class had")
    func movedClass() throws {
        var plan = Plan(endpoints: 1)
        plan.addPool(endpoints: 1, kv: 10_000)
        var machine = Machine(plan)
        machine.scrape(0, used: 8_500)
        let waiting = try machine.send(input: 100)
        plan.classes[0].pool = PoolID(1)
        machine.handle(.reconfigured(plan.policy))
        machine.pass(.milliseconds(5))
        #expect(machine.actions.isEmpty)
        machine.scrape(0, used: 0)
        #expect(machine.actions == [.forward(waiting.request, to: EndpointID(0), bound: nil)])
        #expect(try machine.send(input: 100).endpoint == EndpointID(1))
    }

    @Test("an endpoint that moves to another pool serves that one, and takes its account along")
    func movedEndpoint() throws {
        var plan = Plan(endpoints: 2)
        plan.addPool(endpoints: 0, kv: 5_000)
        plan.addClass(pool: 1)
        var machine = Machine(plan)
        let there = try machine.send(input: 3_000)
        #expect(there.endpoint == EndpointID(0))
        plan.pools[0].endpoints = [EndpointID(1)]
        plan.pools[1].endpoints = [EndpointID(0)]
        plan.endpoints[0].pool = PoolID(1)
        machine.handle(.reconfigured(plan.policy))
        #expect(machine.state(0).ledger.capacity == Tokens(5_000))
        #expect(try machine.send(input: 10).endpoint == EndpointID(1))
        let waiting = try machine.send(input: 1_500, trafficClass: 1)
        #expect(waiting.isQueued || waiting.refusal != nil)
        machine.end(waiting)
        let small = try machine.send(input: 900, trafficClass: 1)
        #expect(small.endpoint == EndpointID(0))
        machine.end(there)
        #expect(machine.state(0).ledger.resident == Tokens(900))
    }

    @Test("changed thresholds, capacities and patience count from the next request on")
    func settings() throws {
        var plan = Plan(endpoints: 1)
        var machine = Machine(plan)
        #expect(try machine.send(input: 5_000).isForwarded)
        plan.classes[0].throttleAt = 0.5
        machine.handle(.reconfigured(plan.policy))
        #expect(try machine.send(input: 1_000).isForwarded == false)
        plan.pools[0].kvTokens = Tokens(50_000)
        plan.upstream.unhealthyAfter = 1
        machine.handle(.reconfigured(plan.policy))
        machine.pass(.milliseconds(5))
        #expect(try machine.send(input: 1_000).isForwarded)
        machine.handle(.probeFailed(EndpointID(0), .refused))
        #expect(!machine.isAvailable(0))
    }

    @Test("a removed tenant's and model's requests end like all others")
    func removedTenant() throws {
        var plan = Plan()
        var machine = Machine(plan)
        let sent = try machine.send(input: 100, output: 10)
        plan.tenants[0].removed = true
        plan.models[1].removed = true
        machine.handle(.reconfigured(plan.policy))
        machine.end(sent, output: 10)
        #expect(machine.isAtRest)
    }
}
