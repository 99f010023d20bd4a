// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Testing
import Units

/// What operators see of those who wait.
@Suite("Views of queues")
struct QueueViewTests {
    private let only = ClassID(0)

    private func view(_ machine: Machine) -> QueueView {
        machine.decider.queueView(of: only, now: machine.now)
    }

    private func send(
        _ machine: inout Machine, tenant: Int = 0, input: Int, output: Int = 10
    ) throws -> Machine.Sent {
        try machine.send(
            Arrival(
                tenant: TenantID(tenant), model: ModelID(1), trafficClass: only,
                input: Tokens(input), bound: Tokens(output), isForced: true))
    }

    @Test("where nobody waits there is nothing to see")
    func empty() {
        let machine = Machine(Plan())
        #expect(machine.decider.waitingPhase(of: only, now: machine.now) == nil)
        let view = view(machine)
        #expect(view.phase == nil && view.nextWait == nil && view.lastWait == nil)
        #expect(view.shares.isEmpty)
    }

    @Test("without room in a KV cache they wait for decode, and how long is known")
    func decode() throws {
        var machine = Machine(Plan(kv: 10_000, maxWait: .seconds(60)))
        let first = try send(&machine, input: 7_000)
        machine.handle(.streamed(first.ticket, output: Tokens(1)))
        #expect(try send(&machine, input: 3_000).isQueued)
        #expect(try send(&machine, input: 2_000).isQueued)
        #expect(machine.decider.waitingPhase(of: only, now: machine.now) == .decode)
        let view = view(machine)
        let next = try #require(view.nextWait)
        let last = try #require(view.lastWait)
        #expect(next > .zero && last >= next)
    }

    @Test("where only prompts have no turn they wait for prefill")
    func prefill() throws {
        var plan = Plan(kv: 1_000_000, maxWait: .seconds(60))
        plan.classes[0].targets = TargetPolicy(
            firstToken: .seconds(30), betweenTokens: .milliseconds(50))
        plan.pools[0].prefillTokensPerSecond = 1_000
        var machine = Machine(plan)
        _ = try send(&machine, input: 4_000)
        #expect(try send(&machine, input: 4_000).isQueued)
        #expect(view(machine).phase == .prefill)
        machine.scrape(0, used: 990_000)
        #expect(view(machine).phase == .decode)
    }

    @Test("without an endpoint they wait for decode, and nobody knows how long")
    func noEndpoint() throws {
        var machine = Machine(Plan(kv: 10_000, maxWait: .seconds(60)))
        _ = try send(&machine, input: 7_900)
        #expect(try send(&machine, input: 2_000).isQueued)
        machine.handle(.drained(EndpointID(0), true))
        let view = view(machine)
        #expect(view.phase == .decode && view.nextWait == nil && view.lastWait == nil)
    }

    @Test("each tenant's part is told, whose turn is next first")
    func shares() throws {
        var machine = Machine(Plan(kv: 10_000, maxWait: .seconds(60)))
        let first = try send(&machine, tenant: 0, input: 7_900)
        #expect(first.isForwarded)
        _ = try send(&machine, tenant: 0, input: 4_000)
        _ = try send(&machine, tenant: 0, input: 3_600)
        _ = try send(&machine, tenant: 1, input: 900)
        var view = view(machine)
        #expect(view.shares.map(\.tenant.index).sorted() == [0, 1])
        #expect(view.shares.first?.servedAhead == 0)
        let own = try #require(view.shares.first { $0.tenant == TenantID(0) })
        #expect((own.requests, own.tokens.count) == (2, 7_620))
        // Once one of tenant 0 had its turn, the other tenant is next.
        machine.end(first, output: 10)
        view = self.view(machine)
        #expect(view.shares.map(\.tenant.index) == [0])
        #expect(view.shares[0].requests == 1)
    }
}
