// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Choice of an endpoint")
struct ChoiceTests {
    @Test("the least loaded endpoint gets the request")
    func leastLoaded() throws {
        var machine = Machine(Plan(endpoints: 3))
        machine.scrape(0, used: 3_000)
        machine.scrape(1, used: 1_000)
        machine.scrape(2, used: 2_000)
        #expect(try machine.send(input: 500).endpoint == EndpointID(1))
        #expect(try machine.send(input: 900).endpoint == EndpointID(1))
        #expect(try machine.send(input: 100).endpoint == EndpointID(2))
    }

    @Test("load is a share of what an endpoint can hold")
    func shares() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(0, used: 3_000, of: 10_000)
        machine.scrape(1, used: 5_000, of: 50_000)
        #expect(try machine.send(input: 100).endpoint == EndpointID(1))
    }

    @Test("the request itself counts, up to the class's threshold and not a token further")
    func threshold() throws {
        var machine = Machine(Plan(endpoints: 1))
        #expect(try machine.send(input: 7_000, output: 2_000).isForwarded)
        #expect(machine.state(0).ledger.projection == Tokens(8_000))
        #expect(try machine.send(input: 1, output: 1).isForwarded == false)
    }

    @Test("an endpoint that is full by the others' tokens takes nothing")
    func othersCount() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(0, used: 7_900)
        machine.scrape(1, used: 7_500)
        #expect(try machine.send(input: 300).endpoint == EndpointID(1))
        #expect(try machine.send(input: 300).isQueued)
    }

    @Test("nothing goes to an endpoint that is unhealthy, drained or asleep")
    func unavailable() throws {
        var machine = Machine(Plan(endpoints: 4))
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.handle(.drained(EndpointID(1), true))
        machine.scrape(2, used: 0, isSleeping: true)
        for _ in 0..<5 { #expect(try machine.send(input: 1_000).endpoint == EndpointID(3)) }
        machine.handle(.drained(EndpointID(1), false))
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(1))
        machine.scrape(2, used: 0)
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(2))
        machine.scrape(0, used: 0)
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(0))
    }

    @Test("without an endpoint a request is refused at once, and may come back within a second")
    func none() throws {
        var machine = Machine(Plan(endpoints: 2))
        var waits: Set<Duration> = []
        for endpoint in 0..<2 { machine.handle(.drained(EndpointID(endpoint), true)) }
        for _ in 0..<20 {
            let refusal = try #require(try machine.send(input: 10).refusal)
            #expect(refusal.reason == .noHealthyEndpoint)
            let told = try #require(refusal.retryAfter)
            #expect((Duration.milliseconds(100)...(.seconds(1))).contains(told))
            waits.insert(told)
        }
        #expect(waits.count > 10, "those refused together do not come back together")
    }

    @Test("where no capacity is known, the fewest tokens in flight decide and nothing is refused")
    func unknownCapacity() throws {
        var machine = Machine(Plan(endpoints: 2, kv: nil))
        #expect(try machine.send(input: 1_000_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 2_000_000).endpoint == EndpointID(1))
        #expect(try machine.send(input: 500_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 400_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 400_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 1).endpoint == EndpointID(1))
    }

    @Test("an endpoint that is known to have room goes before one of which nothing is known")
    func knownFirst() throws {
        var machine = Machine(Plan(endpoints: 2, kv: nil))
        machine.scrape(1, used: 5_000, of: 10_000)
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(1))
        #expect(try machine.send(input: 3_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 1_000).endpoint == EndpointID(1))
    }

    @Test("a request that no endpoint could ever hold is refused for good")
    func neverFits() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(1, used: 0, of: 20_000)
        let refusal = try #require(try machine.send(input: 19_500, output: 101).refusal)
        #expect(refusal.reason == .requestExceedsLimit)
        #expect(refusal.retryAfter == nil)
        #expect(refusal.limit == 19_600 && refusal.requested == 19_601)
        #expect(try machine.send(input: 19_500, output: 100).endpoint == EndpointID(1))
        // One that only an endpoint which is away could hold may wait for it.
        machine.handle(.drained(EndpointID(1), true))
        #expect(try machine.send(input: 12_000).refusal?.reason != .requestExceedsLimit)
    }

    @Test("scrapes that stay away make the endpoint smaller, not full")
    func stale() throws {
        var machine = Machine(Plan(endpoints: 1))
        machine.scrape(0, used: 0)
        machine.pass(.seconds(3_600))
        #expect(try machine.send(input: 6_600).isQueued)
        machine.pass(.seconds(3))
        #expect(try machine.send(input: 6_400).isForwarded)
    }

    @Test("a class uses the endpoints of its own pool")
    func pools() throws {
        var plan = Plan(endpoints: 1)
        plan.addPool(endpoints: 1, kv: 10_000)
        plan.addClass(pool: 1)
        var machine = Machine(plan)
        #expect(try machine.send(input: 7_000).endpoint == EndpointID(0))
        #expect(try machine.send(input: 7_000, trafficClass: 1).endpoint == EndpointID(1))
        #expect(try machine.send(input: 7_000).isForwarded == false)
    }

    @Test("each class has its own threshold")
    func classThreshold() throws {
        var plan = Plan(endpoints: 1)
        plan.addClass(throttleAt: 0.5, rejectAt: 0.7)
        var machine = Machine(plan)
        machine.scrape(0, used: 4_000)
        #expect(try machine.send(input: 1_500, trafficClass: 1).isQueued)
        #expect(try machine.send(input: 1_500, trafficClass: 0).isForwarded)
    }
}
