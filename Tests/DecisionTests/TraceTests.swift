// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Testing
import Units

/// What is noted of a decision are the numbers that made it.
@Suite("Decision traces")
struct TraceTests {
    private func machine(_ plan: Plan = Plan(), history: Int = 100) -> Machine {
        var plan = plan
        plan.requestHistory = history
        return Machine(plan)
    }

    private func arrival(
        _ trace: UInt64, input: Int = 100, output: Int = 100, tenant: Int = 0,
        prefix: PromptPrefix = PromptPrefix()
    ) -> Arrival {
        var arrival = Arrival(
            tenant: TenantID(tenant), model: ModelID(1), trafficClass: ClassID(0),
            input: Tokens(input), bound: Tokens(output), isForced: true, prefix: prefix)
        arrival.trace = trace
        return arrival
    }

    @Test("an admission shows each endpoint's projection with the request, and which was chosen")
    func admission() throws {
        var machine = machine(Plan(endpoints: 3, kv: 10_000))
        machine.scrape(0, used: 5_000)
        machine.scrape(1, used: 1_000)
        machine.handle(.drained(EndpointID(2), true))
        let sent = try machine.send(arrival(1, input: 900, output: 100))
        #expect(sent.endpoint == EndpointID(1))
        let trace = try #require(machine.trace(1))
        #expect(trace.stage == .forwarded)
        #expect(trace.way == .leastShare)
        #expect((trace.input.count, trace.expected.count, trace.bound.count) == (900, 100, 100))
        #expect(trace.isClamped == false && trace.wasQueued == false)
        let offers = trace.offers
        #expect(offers.map(\.endpoint.index) == [0, 1, 2])
        #expect(offers.map(\.isChosen) == [false, true, false])
        #expect(offers.map(\.isAvailable) == [true, true, false])
        #expect(offers.map(\.share) == [0.6, 0.2, 0.1])
        #expect(offers.map(\.score) == [0.6, 0.2, nil])
        #expect(offers.map(\.held.count) == [6_000, 2_000, 1_000])
        #expect(trace.leftOut == 0)
    }

    @Test("the numbers are those before the request was there")
    func moment() throws {
        var machine = machine(Plan(endpoints: 1, kv: 10_000))
        try machine.send(arrival(1, input: 2_000))
        try machine.send(arrival(2, input: 3_000))
        let first = try #require(machine.trace(1))
        let second = try #require(machine.trace(2))
        #expect(first.offers[0].share == 0.21)
        #expect(second.offers[0].share == 0.52)
        #expect(second.offers[0].score == 0.52)
    }

    @Test("one that waits tells what it lacks, how much is before it, and when it is let in")
    func queue() throws {
        var machine = machine(Plan(endpoints: 1, kv: 10_000, maxWait: .seconds(60)))
        let first = try machine.send(arrival(1, input: 7_000, output: 20))
        let second = try machine.send(arrival(2, input: 4_000, output: 20))
        let third = try machine.send(arrival(3, input: 3_000, output: 20))
        #expect(second.isQueued && third.isQueued)
        var trace = try #require(machine.trace(3))
        #expect(trace.stage == .queued && trace.wasQueued)
        #expect(trace.lack == .decode)
        #expect((trace.waitersAhead, trace.tokensAhead.count) == (1, 4_010))
        #expect(trace.waitsFrom == machine.now)
        #expect(trace.waitsUntil == machine.now + .seconds(60))
        let predicted = try #require(trace.predictedWait)
        #expect(predicted > .zero)
        #expect(trace.offers.map(\.fits) == [false])
        #expect(trace.offers.map(\.score) == [nil])
        #expect(trace.offers.allSatisfy { !$0.isChosen })
        machine.pass(.milliseconds(300))
        machine.end(first, output: 20)
        trace = try #require(machine.trace(2))
        #expect(trace.stage == .forwarded && trace.wasQueued)
        #expect(trace.decidedAt - (try #require(trace.waitsFrom)) == .milliseconds(300))
        #expect(trace.offers.map(\.isChosen) == [true])
        #expect((trace.waitersAhead, trace.tokensAhead.count) == (0, 0))
    }

    @Test("one that waits for its prompt's turn says so")
    func prefill() throws {
        var plan = Plan(endpoints: 1, kv: 1_000_000, maxWait: .seconds(60))
        plan.classes[0].targets = TargetPolicy(
            firstToken: .seconds(30), betweenTokens: .milliseconds(50))
        plan.pools[0].prefillTokensPerSecond = 1_000
        var machine = machine(plan)
        try machine.send(arrival(1, input: 4_000))
        let second = try machine.send(arrival(2, input: 4_000))
        #expect(second.isQueued)
        let trace = try #require(machine.trace(2))
        #expect(trace.lack == .prefill)
        #expect(trace.offers.map(\.fits) == [true])
        #expect(trace.offers.map(\.takesPrompt) == [false])
        #expect(trace.offers[0].promptWait > .seconds(1))
        #expect(trace.offers[0].score == nil)
    }

    @Test("a refusal for want of room shows the endpoints and how its wait was computed")
    func pressure() throws {
        var machine = machine(Plan(endpoints: 2, kv: 10_000))
        machine.scrape(0, used: 9_500)
        machine.scrape(1, used: 9_200)
        let sent = try machine.send(arrival(1))
        let refusal = try #require(sent.refusal)
        #expect(refusal.reason == .kvCachePressure)
        let trace = try #require(machine.trace(1))
        #expect(trace.stage == .refused)
        #expect(trace.comesBack?.told == refusal.retryAfter)
        #expect(trace.comesBack?.room == nil)
        #expect(trace.offers.map(\.share) == [0.97, 0.94])
        #expect(trace.offers.map(\.fits) == [false, false])
    }

    @Test("a budget's refusal shows no endpoints, since none was looked at")
    func budget() throws {
        var machine = machine()
        let (_, ticket, _) = try machine.arrive(arrival(1))
        machine.handle(
            .budgeted(
                ticket,
                .refused(
                    .tokensPerMinute, limit: 100, used: 90, requested: 200, wait: .seconds(3))))
        let trace = try #require(machine.trace(1))
        #expect(trace.stage == .refused)
        #expect(trace.offers.isEmpty && trace.waitsFrom == nil)
    }

    @Test("a bounce shows in the trace of the next decision")
    func bounce() throws {
        var machine = machine(Plan(endpoints: 2))
        let sent = try machine.send(arrival(1))
        machine.handle(.bounced(sent.ticket))
        let trace = try #require(machine.trace(1))
        #expect(trace.bounces == 1)
        #expect(trace.offers.map(\.isChosen) == [false, true])
    }

    @Test("prompts that are warm somewhere show how much, and are compared in seconds")
    func prefixes() throws {
        var machine = machine(Plan(endpoints: 2, kv: 100_000))
        let prefix = PromptPrefix(blocks: [11, 12, 13, 14], textBytes: 4 * 512)
        let first = try machine.send(arrival(1, input: 500, prefix: prefix))
        let home = try #require(first.endpoint)
        #expect(machine.trace(1)?.way == .prefixHash)
        machine.handle(.streamed(first.ticket, output: Tokens(1)))
        let second = try machine.send(arrival(2, input: 500, prefix: prefix))
        #expect(second.endpoint == home)
        let trace = try #require(machine.trace(2))
        #expect(trace.way == .warmPrefix)
        let chosen = trace.offers[home.index]
        let other = trace.offers[1 - home.index]
        #expect(chosen.cached.count == 500 && other.cached == .zero)
        #expect(try #require(chosen.score) < #require(other.score))
    }

    @Test("one with a lower bound shows what it got, and that nobody had room for it as it was")
    func lowerBound() throws {
        var plan = Plan(endpoints: 2, kv: 10_000)
        plan.classes[0].clamp = ClampPolicy()
        var machine = machine(plan)
        machine.scrape(0, used: 8_500)
        machine.scrape(1, used: 8_100)
        let sent = try machine.send(arrival(1, input: 500, output: 2_000))
        #expect(sent.bound == Tokens(399))
        let trace = try #require(machine.trace(1))
        #expect(trace.way == .lowerBound && trace.isClamped)
        #expect((trace.bound, trace.expected) == (Tokens(399), Tokens(399)))
        #expect(trace.offers.map(\.fits) == [false, true])
        #expect(trace.offers.map(\.score) == [nil, 0.8999])
    }

    @Test("of many endpoints the emptiest are shown, the chosen one and how many more there are")
    func many() throws {
        var machine = machine(Plan(endpoints: 20, kv: 10_000))
        for place in 0..<20 { machine.scrape(place, used: 6_000 - 100 * place) }
        let sent = try machine.send(arrival(1))
        #expect(sent.endpoint == EndpointID(19))
        let trace = try #require(machine.trace(1))
        #expect(trace.offers.map(\.endpoint.index) == Array(12...19))
        #expect(trace.offers.last?.isChosen == true)
        #expect(trace.leftOut == 12)
        machine.scrape(3, used: 9_900)
        for place in 0..<20 where place != 3 { machine.handle(.drained(EndpointID(place), true)) }
        let last = try machine.send(arrival(2))
        #expect(last.refusal?.reason == .kvCachePressure)
        #expect(try #require(machine.trace(2)).offers.map(\.endpoint.index) == [3])
    }

    @Test("the oldest give way, and a reload may keep more, fewer or none")
    func bounds() throws {
        var plan = Plan(endpoints: 1, kv: 1_000_000)
        plan.requestHistory = 3
        var machine = Machine(plan)
        for number in 1...5 { try machine.send(arrival(UInt64(number))) }
        #expect((1...5).map { machine.trace($0) != nil } == [false, false, true, true, true])
        plan.requestHistory = 0
        plan.generation += 1
        machine.handle(.reconfigured(plan.policy))
        try machine.send(arrival(6))
        #expect(machine.trace(5) == nil && machine.trace(6) == nil)
        plan.requestHistory = 5
        plan.generation += 1
        machine.handle(.reconfigured(plan.policy))
        try machine.send(arrival(7))
        #expect(machine.trace(7)?.stage == .forwarded)
    }

    @Test("what nobody wants to know is not noted")
    func untraced() throws {
        var machine = machine()
        try machine.send(arrival(0))
        #expect(machine.trace(0) == nil)
    }
}
