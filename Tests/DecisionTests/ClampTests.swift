// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

/// One endpoint of 10,000 tokens; requests wait from 8,000 on, bounds are lowered up to 9,000.
@Suite("Lower output bounds")
struct ClampTests {
    private func plan(
        _ clamp: ClampPolicy? = ClampPolicy(), endpoints: Int = 1,
        maxWait: Duration = .seconds(2)
    ) -> Plan {
        var plan = Plan(endpoints: endpoints, maxWait: maxWait)
        plan.classes[0].clamp = clamp
        return plan
    }

    private func asking(
        _ input: Int, bound: Int?, choices: Int = 1, tenant: Int = 0, trafficClass: Int = 0,
        isForced: Bool = false, isOutputless: Bool = false
    ) -> Arrival {
        Arrival(
            tenant: TenantID(tenant), model: ModelID(1), trafficClass: ClassID(trafficClass),
            input: Tokens(input), bound: bound.map { Tokens($0) }, choices: choices,
            isForced: isForced, isOutputless: isOutputless)
    }

    // MARK: under pressure

    @Test("a request gets the bound that fits below the reject threshold")
    func whatFits() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 8_100)
        let sent = try machine.send(asking(500, bound: 2_000, isForced: true))
        #expect(sent.bound == Tokens(399))
        let share = try #require(machine.share(of: EndpointID(0), now: machine.now))
        #expect(share == 0.8999)
    }

    @Test("what would be expected fits, but the whole bound has to")
    func wholeBound() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 8_100)
        // Nothing is known of lengths: far less than the bound is expected.
        let sent = try machine.send(asking(500, bound: nil))
        #expect(sent.bound == Tokens(399))
    }

    @Test("choices share what fits")
    func choices() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 8_100)
        let sent = try machine.send(asking(500, bound: 2_000, choices: 4, isForced: true))
        #expect(sent.bound == Tokens(99))
    }

    @Test("a bound that fits whole is left alone")
    func alreadyLow() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 8_100)
        let sent = try machine.send(asking(500, bound: 399, isForced: true))
        #expect(sent.isForwarded && sent.bound == nil)
    }

    @Test("one that fits below the throttle threshold is let in as it is")
    func asItIs() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 5_000)
        let sent = try machine.send(asking(500, bound: 2_000, isForced: true))
        #expect(sent.isForwarded && sent.bound == nil)
    }

    @Test("below the floor it waits", arguments: [(64, 440, true), (64, 430, false)])
    func floor(least: Int, input: Int, waits: Bool) throws {
        var machine = Machine(plan(ClampPolicy(minTokens: Tokens(least))))
        machine.scrape(0, used: 8_500)
        let sent = try machine.send(asking(input, bound: 1_000, isForced: true))
        #expect(sent.isQueued == waits)
        #expect(sent.bound == (waits ? nil : Tokens(69)))
    }

    @Test("nor does it go below the tenant's floor, or what little the client wants")
    func tenantsFloor() throws {
        var plan = plan()
        plan.tenants[1].limits = TenantLimits(minCompletionTokens: Tokens(300))
        var machine = Machine(plan)
        machine.scrape(0, used: 8_500)
        #expect(try machine.send(asking(240, bound: 1_000, tenant: 1, isForced: true)).isQueued)
        #expect(
            try machine.send(asking(240, bound: 250, tenant: 1, isForced: true)).isForwarded)
        #expect(try machine.send(asking(100, bound: 1_000, isForced: true)).bound != nil)
    }

    @Test("without it, and in another class, they wait")
    func others() throws {
        for clamp in [nil, ClampPolicy(underPressure: false)] {
            var machine = Machine(plan(clamp))
            machine.scrape(0, used: 8_100)
            #expect(try machine.send(asking(500, bound: 2_000, isForced: true)).isQueued)
        }
        var two = plan()
        two.addClass()
        var machine = Machine(two)
        machine.scrape(0, used: 8_100)
        let batch = asking(500, bound: 2_000, trafficClass: 1, isForced: true)
        #expect(try machine.send(batch).isQueued)
    }

    @Test("nothing is generated, so nothing is lowered")
    func embeddings() throws {
        var machine = Machine(plan())
        machine.scrape(0, used: 8_100)
        #expect(try machine.send(asking(500, bound: nil, isOutputless: true)).isQueued)
    }

    @Test("one whose room comes soon waits for it, one whose room does not is let in")
    func soon() throws {
        for (patience, isQueued) in [(Duration.seconds(8), true), (.seconds(2), false)] {
            var machine = Machine(plan(maxWait: patience))
            // Its end is 20 tokens away: a second, as far as is known.
            let first = try machine.send(input: 7_000, output: 20)
            machine.handle(.streamed(first.ticket, output: Tokens(1)))
            let second = try machine.send(asking(1_500, bound: 1_000, isForced: true))
            #expect(second.isQueued == isQueued)
        }
    }

    @Test("of several endpoints it takes the emptiest, and none while one takes it whole")
    func endpoints() throws {
        var machine = Machine(plan(endpoints: 3))
        machine.scrape(0, used: 8_600)
        machine.scrape(1, used: 8_300)
        machine.scrape(2, used: 8_400)
        let sent = try machine.send(asking(400, bound: 2_000, isForced: true))
        #expect(sent.endpoint == EndpointID(1) && sent.bound == Tokens(299))
        machine.scrape(2, used: 1_000)
        let whole = try machine.send(asking(400, bound: 2_000, isForced: true))
        #expect(whole.endpoint == EndpointID(2) && whole.bound == nil)
    }

    @Test("who fills an endpoint on purpose keeps nobody from waiting")
    func refusals() throws {
        var machine = Machine(plan(maxWait: .seconds(60)))
        machine.scrape(0, used: 8_100)
        #expect(try machine.send(asking(500, bound: nil)).bound == Tokens(399))
        #expect(try machine.send(asking(500, bound: nil)).isQueued)
        // What others hold does.
        machine.scrape(0, used: 9_600)
        #expect(try machine.send(asking(500, bound: nil)).refusal?.reason == .kvCachePressure)
    }

    @Test("where only the lowest bound fits an engine at all, it is not refused for ever")
    func large() throws {
        var machine = Machine(plan(maxWait: .seconds(60)))
        let sent = try machine.send(asking(8_500, bound: 5_000, isForced: true))
        #expect(sent.bound == Tokens(499))
        #expect(try machine.send(asking(8_500, bound: 5_000, isForced: true)).isQueued)
        machine.end(sent)
        let next = try #require(machine.actions.first)
        guard case .forward(_, _, let bound) = next else { throw Machine.Unexpected(actions: []) }
        #expect(bound == Tokens(499))
        #expect(
            try machine.send(asking(9_900, bound: 5_000, isForced: true)).refusal?.reason
                == .requestExceedsLimit)
    }

    @Test("one that bounces asks for all of it again")
    func bounce() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(0, used: 8_100)
        machine.scrape(1, used: 8_900)
        let sent = try machine.send(asking(500, bound: 2_000, isForced: true))
        #expect(sent.endpoint == EndpointID(0) && sent.bound == Tokens(399))
        machine.scrape(1, used: 1_000)
        let again = machine.handle(.bounced(sent.ticket)).first
        #expect(again == .forward(sent.request, to: EndpointID(1), bound: nil))
        machine.end(sent)
        #expect(machine.isAtRest)
    }

    @Test("a cap of the tenant's is told as before when it is lowered no further")
    func cap() throws {
        var machine = Machine(plan())
        let capped = try machine.send(asking(500, bound: 2_000, tenant: 1))
        #expect(capped.bound == Tokens(200))
        machine.end(capped)
        // What has just ended may be in the first.
        for _ in 0..<2 { machine.scrape(0, used: 8_400) }
        let lower = try machine.send(asking(500, bound: 2_000, tenant: 1, isForced: true))
        #expect(lower.bound == Tokens(99))
    }

    @Test("what was cut short tells nothing of how long answers are")
    func learning() throws {
        var machine = Machine(plan())
        let before = try machine.arrive(asking(500, bound: 2_000)).2.output
        machine.scrape(0, used: 8_100)
        for _ in 0..<60 {
            let sent = try machine.send(asking(500, bound: 2_000))
            #expect(sent.bound == Tokens(399))
            machine.end(sent, output: 399)
        }
        #expect(try machine.arrive(asking(500, bound: 2_000)).2.output == before)
    }

    // MARK: prompts that wait

    @Test("while prompts wait, newcomers get the bound that is configured")
    func prefillQueue() throws {
        let clamp = ClampPolicy(
            underPressure: false, prefillQueue: Tokens(2_000), prefillMaxTokens: Tokens(100))
        var plan = plan(clamp)
        plan.tenants[1].limits = TenantLimits(minCompletionTokens: Tokens(150))
        var machine = Machine(plan)
        let first = try machine.send(asking(2_000, bound: 500, isForced: true))
        #expect(first.bound == nil)
        #expect(try machine.send(asking(1, bound: 500, isForced: true)).bound == nil)
        #expect(try machine.send(asking(1, bound: 500, isForced: true)).bound == Tokens(100))
        #expect(try machine.send(asking(1, bound: nil)).bound == Tokens(100))
        #expect(
            try machine.send(asking(1, bound: 500, tenant: 1, isForced: true)).bound
                == Tokens(150))
        let low = try machine.send(asking(1, bound: 90, isForced: true))
        #expect(low.isForwarded && low.bound == nil)
        machine.handle(.streamed(first.ticket, output: Tokens(1)))
        #expect(try machine.send(asking(1, bound: 500, isForced: true)).bound == nil)
    }

    @Test("prompts that wait at the gateway count as well, shared among the engines")
    func waitingPrompts() throws {
        let clamp = ClampPolicy(
            underPressure: false, prefillQueue: Tokens(1_000), prefillMaxTokens: Tokens(100))
        var machine = Machine(plan(clamp, endpoints: 2))
        machine.scrape(0, used: 7_000)
        machine.scrape(1, used: 7_000)
        #expect(try machine.send(asking(2_100, bound: 5, isForced: true)).isQueued)
        machine.scrape(1, used: 0)
        // It is not in the queue any more when it goes, and nobody else is.
        #expect(machine.decider.waiting == 0)
        #expect(try machine.send(asking(1, bound: 500, isForced: true)).bound == Tokens(100))
    }
}
