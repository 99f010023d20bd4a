// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Simulation
import Testing
import Units

/// Requests above the threshold of their class, which only an empty endpoint can take.
@Suite("Large requests")
struct LargeTests {
    @Test("an idle endpoint takes one that is over the threshold, but not over its cache")
    func idle() throws {
        var machine = Machine(Plan())
        let large = try machine.send(input: 9_700, output: 100)
        #expect(large.endpoint == EndpointID(0))
        // It has the endpoint to itself.
        #expect(try machine.send(input: 10).isForwarded == false)
        machine.end(large, output: 100)
        #expect(machine.isAtRest == false, "the other one is let in")
        let refusal = try #require(try machine.send(input: 9_701, output: 100).refusal)
        #expect(refusal.reason == .requestExceedsLimit)
        #expect(refusal.reason.status == 400)
        #expect(refusal.limit == 9_800 && refusal.requested == 9_801)
    }

    @Test("one that fits somewhere beside others goes there, not to an endpoint of its own")
    func roomElsewhere() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(1, used: 4_000, of: 20_000)
        #expect(try machine.send(input: 9_000).endpoint == EndpointID(1))
    }

    @Test("a few blocks that an engine keeps for itself do not make it busy; more do")
    func nearlyEmpty() throws {
        var machine = Machine(Plan())
        machine.scrape(0, used: 201)
        let first = try machine.send(input: 9_000)
        #expect(first.isQueued)
        machine.scrape(0, used: 200)
        #expect(machine.actions == [.forward(first.request, to: EndpointID(0), bound: nil)])
    }

    @Test("it waits until an endpoint is empty, and the others go on elsewhere")
    func drains() throws {
        var machine = Machine(Plan(endpoints: 2, maxWait: .seconds(60)))
        let long = try machine.send(input: 1_000, output: 400)
        let short = try machine.send(input: 1_000, output: 200)
        #expect(long.endpoint == EndpointID(0) && short.endpoint == EndpointID(1))
        let large = try machine.send(input: 9_000)
        #expect(large.isQueued)
        // The endpoint that will be empty first is kept free; the other one takes what comes.
        for _ in 0..<20 { #expect(try machine.send(input: 10).endpoint == EndpointID(0)) }
        machine.end(short, output: 200)
        #expect(machine.actions == [.forward(large.request, to: EndpointID(1), bound: nil)])
    }

    @Test("small ones keep it from an endpoint that drains late eight times, and no more")
    func notStarved() throws {
        var machine = Machine(Plan(maxWait: .seconds(60)))
        let running = try machine.send(input: 1_000, output: 400)
        let large = try machine.send(input: 9_000)
        let small = try (0..<8).map { _ in try machine.send(input: 10) }
        #expect(large.isQueued && small.allSatisfy { $0.isForwarded })
        let late = try machine.send(input: 10)
        #expect(late.isQueued)
        machine.end(running)
        for sent in small { machine.end(sent) }
        #expect(machine.actions == [.forward(large.request, to: EndpointID(0), bound: nil)])
        machine.end(large)
        #expect(machine.actions == [.forward(late.request, to: EndpointID(0), bound: nil)])
    }

    @Test("while it waits, the class behind it uses the endpoints that are not kept for it")
    func otherClass() throws {
        var plan = Plan(endpoints: 2, maxWait: .seconds(60))
        plan.addClass()
        var machine = Machine(plan)
        for _ in 0..<2 { try machine.send(input: 1_000, output: 200) }
        #expect(try machine.send(input: 9_000).isQueued)
        let later = try machine.send(input: 10, trafficClass: 1)
        #expect(later.isForwarded)
    }

    @Test("where no endpoint will be empty in its patience, it is told when one will")
    func tooLate() throws {
        var machine = Machine(Plan(maxWait: .seconds(2)))
        try machine.send(input: 1_000, output: 200)
        let refusal = try #require(try machine.send(input: 9_000).refusal)
        #expect(refusal.reason == .kvCachePressure)
        #expect(refusal.retryAfter.map { (10...12).contains($0.seconds) } ?? false)
        // And keeps nobody from the endpoint.
        #expect(try machine.send(input: 10).isForwarded)
    }

    @Test("among traffic without end the large ones are served too, in time and without loss")
    func amongMany() throws {
        var plan = Plan(endpoints: 2, kv: nil, maxWait: .seconds(40))
        plan.classes[0].throttleAt = 0.85
        var fleet = Fleet(plan, profile: .fixtureA, seed: 1)
        var random = SplitMix64(seed: 5)
        for place in 0..<900 {
            let isLarge = place % 100 == 50
            let output = 50 + Int(random.next() % 200)
            fleet.add(
                Fleet.Client(
                    input: isLarge ? 55_000 : 300 + Int(random.next() % 2_000), output: output,
                    bound: 250),
                at: Instant(nanoseconds: 0) + .seconds(1 + 0.15 * Double(place)))
        }
        fleet.run(until: Instant(nanoseconds: 0) + .seconds(400))
        #expect(fleet.clients.allSatisfy { $0.endedAt != nil && $0.refusals.isEmpty })
        #expect(fleet.preemptions == 0)
        #expect(fleet.decider.open == 0)
    }
}
