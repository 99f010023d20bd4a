// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

/// Two pools of one endpoint each, with a class each, on one GPU with 10,000 tokens; a third pool
/// has one of its own. Caches are as large as can be.
@Suite("Shared GPUs")
struct GPUTests {
    private func plan(maxWait: Duration = .seconds(60), most: Int = 10_000) -> Plan {
        var plan = Plan(endpoints: 1, kv: nil, maxWait: maxWait)
        for pool in 1...2 {
            plan.addPool(endpoints: 1, kv: nil)
            plan.addClass(pool: pool, maxWait: maxWait)
        }
        plan.gpus = [
            GPUPolicy(
                name: "g", endpoints: [EndpointID(0), EndpointID(1)],
                maxTokensInFlight: Tokens(most))
        ]
        return plan
    }

    private func forwarded(_ actions: [Action]) -> [RequestID] {
        actions.compactMap { if case .forward(let id, _, _) = $0 { id } else { nil } }
    }

    @Test("requests of both pools count, with all that they will hold, and no others")
    func sum() throws {
        var machine = Machine(plan())
        let first = try machine.send(input: 5_000, output: 1_000)
        #expect(first.isForwarded)
        #expect(machine.decider.tokensInFlight(onGPU: 0) == Tokens(6_000))
        #expect(try machine.send(input: 9_000, output: 1_000, trafficClass: 2).isForwarded)
        let second = try machine.send(input: 3_000, output: 1_001, trafficClass: 1)
        #expect(second.isQueued)
        #expect(forwarded(machine.end(first)) == [second.request])
    }

    @Test("what streams does not change what they hold in all")
    func streamed() throws {
        var machine = Machine(plan())
        let first = try machine.send(input: 5_000, output: 1_000)
        machine.handle(.streamed(first.ticket, output: Tokens(700)))
        #expect(machine.decider.tokensInFlight(onGPU: 0) == Tokens(6_000))
        #expect(try machine.send(input: 3_000, output: 1_000, trafficClass: 1).isForwarded)
    }

    @Test("what scrapes show of others counts")
    func others() throws {
        var machine = Machine(plan())
        machine.scrape(1, used: 4_000, of: 1_000_000)
        let sent = try machine.send(input: 6_000, output: 1)
        #expect(sent.isQueued)
        machine.scrape(1, used: 3_000, of: 1_000_000)
        #expect(machine.decider.waiting == 0)
    }

    @Test("room goes to the first class, wherever it came from")
    func order() throws {
        var machine = Machine(plan())
        let batch = try machine.send(input: 9_000, output: 1, trafficClass: 1)
        let later = try machine.send(input: 4_000, output: 1, trafficClass: 1)
        let head = try machine.send(input: 8_000, output: 1)
        #expect(later.isQueued && head.isQueued)
        #expect(forwarded(machine.end(batch)) == [head.request])
        #expect(forwarded(machine.end(head)) == [later.request])
    }

    @Test("a later class does not take bit by bit what the first one waits for")
    func barred() throws {
        var machine = Machine(plan())
        var small = try (0..<5).map { _ in
            try machine.send(input: 1_900, output: 1, trafficClass: 1)
        }
        let head = try machine.send(input: 8_000, output: 1)
        #expect(head.isQueued)
        let newcomer = try machine.send(input: 50, output: 1, trafficClass: 1)
        #expect(newcomer.isQueued)
        for sent in small.prefix(3) { #expect(machine.end(sent).isEmpty) }
        small.removeFirst(3)
        #expect(forwarded(machine.end(small[0])) == [head.request, newcomer.request])
    }

    @Test("a later class gets its twentieth while the first one's load has no end")
    func share() throws {
        var machine = Machine(plan(maxWait: .seconds(100_000)))
        var costs = [0, 0]
        var open: [(ticket: Ticket, place: Int)] = []
        var known: [RequestID: (ticket: Ticket, place: Int)] = [:]
        func send(_ place: Int) throws {
            let input = place == 0 ? 900 : 3_000
            let sent = try machine.send(input: input, output: 100, trafficClass: place)
            known[sent.request] = (sent.ticket, place)
            if sent.isForwarded { open.append((sent.ticket, place)) }
        }
        for _ in 0..<40 { try send(0) }
        for _ in 0..<40 { try send(1) }
        for step in 0..<4_000 {
            let (ticket, place) = open.removeFirst()
            let ending = Ending(output: Tokens(100), generating: .seconds(1), isComplete: true)
            for id in forwarded(machine.handle(.ended(ticket, ending))) {
                guard let found = known[id] else { continue }
                open.append(found)
                if step > 500 { costs[found.place] += found.place == 0 ? 1_100 : 3_200 }
            }
            try send(place)
        }
        let share = Double(costs[1]) / Double(costs[0] + costs[1])
        #expect((0.045...0.06).contains(share), "\(share)")
    }

    @Test("what the budget could never hold is refused for good")
    func never() throws {
        var machine = Machine(plan())
        let refusal = try #require(try machine.send(input: 9_500, output: 501).refusal)
        #expect(refusal.reason == .requestExceedsLimit)
        #expect(refusal.limit == 10_000 && refusal.requested == 10_001)
        #expect(try machine.send(input: 9_500, output: 500).isForwarded)
    }

    @Test("the wait is until the others on the GPU have ended")
    func waits() throws {
        var machine = Machine(plan(maxWait: .seconds(2)))
        // 100 tokens are taken for 5 s, 20 for one.
        try machine.send(input: 6_000, output: 100)
        let refusal = try #require(
            try machine.send(input: 6_000, output: 10, trafficClass: 1).refusal)
        #expect(refusal.reason == .queueWaitTooLong)
        let told = try #require(refusal.retryAfter)
        #expect((5.0...7.0).contains(told.seconds))
        var quick = Machine(plan(maxWait: .seconds(2)))
        try quick.send(input: 6_000, output: 20)
        #expect(try quick.send(input: 6_000, output: 10, trafficClass: 1).isQueued)
    }

    @Test("a bound is lowered to what the budget has left")
    func clamp() throws {
        var plan = plan(maxWait: .seconds(2))
        plan.classes[0].clamp = ClampPolicy()
        plan.pools[0].kvTokens = Tokens(100_000)
        var machine = Machine(plan)
        try machine.send(input: 6_000, output: 100, trafficClass: 1)
        let sent = try machine.send(input: 3_000, output: 2_000)
        #expect(sent.bound == Tokens(900))
        #expect(machine.decider.tokensInFlight(onGPU: 0) == Tokens(10_000))
    }

    @Test("a reload may take the GPU away, or make its budget another")
    func reload() throws {
        var plan = plan()
        var machine = Machine(plan)
        let first = try machine.send(input: 9_000, output: 1)
        #expect(try machine.send(input: 5_000, output: 1, trafficClass: 1).isQueued)
        plan.gpus[0].maxTokensInFlight = Tokens(14_500)
        machine.handle(.reconfigured(plan.policy))
        #expect(forwarded(machine.pass(.milliseconds(1))).count == 1)
        #expect(try machine.send(input: 5_000, output: 1, trafficClass: 1).isQueued)
        plan.gpus = []
        machine.handle(.reconfigured(plan.policy))
        #expect(forwarded(machine.pass(.milliseconds(1))).count == 1)
        machine.end(first)
    }

    @Test("a bounce, a drain, an engine that is away: the other pool has the room")
    func away() throws {
        var machine = Machine(plan())
        let first = try machine.send(input: 9_000, output: 1)
        let other = try machine.send(input: 8_000, output: 1, trafficClass: 1)
        let head = try machine.send(input: 8_000, output: 1)
        #expect(other.isQueued && head.isQueued)
        // The first class waits for an endpoint that takes nothing: it keeps nobody from room.
        machine.handle(.drained(EndpointID(0), true))
        #expect(forwarded(machine.end(first)) == [other.request])
        machine.handle(.drained(EndpointID(0), false))
        #expect(forwarded(machine.end(other)) == [head.request])
    }
}
