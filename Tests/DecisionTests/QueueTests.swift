// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Queue")
struct QueueTests {
    /// A machine whose one endpoint is full by others, of whom nothing is known but the scrape.
    private func full(_ plan: Plan) -> Machine {
        var machine = Machine(plan)
        for endpoint in plan.endpoints { machine.scrape(endpoint.id.index, used: 8_500) }
        return machine
    }

    @Test("who does not fit waits, and goes first when there is room")
    func order() throws {
        var machine = full(Plan())
        let waiting = try (0..<4).map { _ in try machine.send(input: 2_000) }
        #expect(waiting.allSatisfy { $0.isQueued })
        #expect(machine.decider.waiting == 4)
        #expect(machine.decider.queue(of: ClassID(0)).tokens == Tokens(4 * 2_001))
        machine.scrape(0, used: 3_500)
        #expect(machine.actions.map(\.request) == waiting[..<2].map(\.request))
        // Who comes now has to queue, although it would fit.
        let late = try machine.send(input: 10)
        #expect(late.isQueued)
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [waiting[2].request])
        machine.end(waiting[0])
        #expect(machine.actions.map(\.request) == [waiting[3].request, late.request])
        #expect(machine.decider.waiting == 0)
    }

    @Test("a head that leaves lets those behind it go")
    func headLeaves() throws {
        var machine = Machine(Plan())
        // It ends within half a second, and the first in the queue waits for that.
        let running = try machine.send(input: 5_000, output: 8)
        let big = try machine.send(input: 7_000)
        let small = try machine.send(input: 100)
        #expect(running.isForwarded && big.isQueued && small.isQueued)
        machine.end(big)
        #expect(machine.actions.map(\.request) == [small.request])
        machine.end(small)
        machine.end(running)
        #expect(machine.isAtRest)
    }

    @Test("a head whose room is far off is passed eight times, and then nobody passes")
    func passes() throws {
        // Of the patience of 60 s a quarter is less than the 20 s that the running one takes.
        var machine = Machine(Plan(maxWait: .seconds(60)))
        let running = try machine.send(input: 5_000, output: 400)
        let head = try machine.send(input: 4_000)
        #expect(running.isForwarded && head.isQueued)
        for _ in 0..<8 { #expect(try machine.send(input: 10).isForwarded) }
        let ninth = try machine.send(input: 10)
        #expect(ninth.isQueued)
        machine.end(running)
        #expect(machine.actions.map(\.request) == [head.request, ninth.request])
    }

    @Test("a head that will fit within a quarter of its patience is not passed")
    func soon() throws {
        var machine = Machine(Plan(maxWait: .seconds(60)))
        let running = try machine.send(input: 5_000, output: 200)
        let head = try machine.send(input: 4_000)
        let small = try machine.send(input: 10)
        #expect(running.isForwarded && head.isQueued && small.isQueued)
    }

    @Test("who waits behind a head may pass it when there is room, and the head counts it")
    func passesFromTheQueue() throws {
        var machine = full(Plan(maxWait: .seconds(60)))
        let head = try machine.send(input: 6_500)
        let small = try (0..<10).map { _ in try machine.send(input: 100) }
        #expect(([head] + small).allSatisfy { $0.isQueued })
        machine.scrape(0, used: 5_000)
        #expect(machine.actions.map(\.request) == small[..<8].map(\.request))
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == ([head] + small[8...]).map(\.request))
    }

    @Test("who has waited as long as the class allows is refused, and told when to come back")
    func expiry() throws {
        var machine = full(Plan(maxWait: .seconds(2)))
        let sent = try machine.send(input: 1_000)
        machine.pass(.milliseconds(1_999))
        #expect(machine.actions.isEmpty)
        machine.pass(.milliseconds(1))
        #expect(machine.actions.map(\.request) == [sent.request])
        let refusal = try #require(machine.actions.first?.refusal)
        #expect(refusal.reason == .queueWaitTooLong)
        #expect(refusal.reason.status == 503)
        #expect(refusal.retryAfter != nil && !refusal.isFinal)
        #expect(refusal.limit == 2 && refusal.used == 2)
        #expect(machine.decider.waiting == 0)
        machine.end(sent)
        #expect(machine.isAtRest)
    }

    @Test("whose own deadline is over is told so, and that a retry is no use")
    func deadline() throws {
        var machine = full(Plan(maxWait: .seconds(2)))
        let patient = try machine.send(input: 1_000)
        let hasty = try machine.send(input: 1_000, deadline: .milliseconds(300))
        machine.pass(.milliseconds(300))
        let expected = Refusal(.deadlineExceeded, isFinal: true)
        #expect(machine.actions == [.refuse(hasty.request, expected)])
        #expect(expected.reason.status == 504)
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [patient.request])
    }

    @Test("whose deadline was over before its budget was granted is not forwarded")
    func spentDeadline() throws {
        var machine = Machine(Plan())
        let arrival = Arrival(
            tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(0), input: Tokens(10),
            bound: Tokens(1), deadline: machine.now + .milliseconds(50))
        let (request, ticket, _) = try machine.arrive(arrival)
        machine.pass(.milliseconds(50))
        machine.handle(.budgeted(ticket, .reserved))
        let expected = Refusal(.deadlineExceeded, isFinal: true)
        #expect(machine.actions == [.refuse(request, expected)])
    }

    @Test("a queue is full by requests and by tokens, and says by which")
    func bounds() throws {
        var plan = Plan()
        plan.classes[0].queue.maxRequests = 2
        plan.classes[0].queue.maxTokens = Tokens(5_000)
        var machine = full(plan)
        try machine.send(input: 3_000)
        let tokens = try #require(try machine.send(input: 2_500).refusal)
        #expect(tokens.reason == .queueFull)
        #expect(tokens.limit == 5_000 && tokens.used == 3_001 && tokens.requested == 2_501)
        try machine.send(input: 500)
        let requests = try #require(try machine.send(input: 1).refusal)
        #expect(requests.reason == .queueFull)
        #expect(requests.limit == 2 && requests.used == 2 && requests.requested == 1)
        #expect(requests.retryAfter != nil)
    }

    @Test("the earlier class goes first, and nobody behind it takes the room it waits for")
    func classes() throws {
        var plan = Plan()
        plan.addClass()
        plan.addClass()
        var machine = full(plan)
        let third = try machine.send(input: 1_000, trafficClass: 2)
        let second = try machine.send(input: 1_000, trafficClass: 1)
        let first = try machine.send(input: 4_000, trafficClass: 0)
        #expect([first, second, third].allSatisfy { $0.isQueued })
        machine.scrape(0, used: 6_500)
        #expect(machine.actions.isEmpty)
        // A new one of a later class does not slip in either; of an earlier one it would.
        let slips = try machine.send(input: 10, trafficClass: 2)
        #expect(slips.isQueued)
        machine.scrape(0, used: 2_500)
        #expect(machine.actions.map(\.request) == [first.request, second.request])
        machine.scrape(0, used: 1_000)
        #expect(machine.actions.map(\.request) == [third.request, slips.request])
    }

    @Test("one of a later class does not slip in, although nobody of its own class waits")
    func laterClass() throws {
        var plan = Plan()
        plan.addClass()
        var machine = full(plan)
        let first = try machine.send(input: 4_000, trafficClass: 0)
        machine.scrape(0, used: 6_500)
        let later = try machine.send(input: 10, trafficClass: 1)
        #expect(first.isQueued && later.isQueued)
        machine.end(first)
        #expect(machine.actions.map(\.request) == [later.request])
    }

    @Test("one of an earlier class does not wait behind later ones")
    func earlierClass() throws {
        var plan = Plan()
        plan.addClass()
        var machine = full(plan)
        let batch = try machine.send(input: 5_000, trafficClass: 1)
        machine.scrape(0, used: 4_000)
        #expect(try machine.send(input: 1_000, trafficClass: 0).isForwarded)
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [batch.request])
    }

    @Test("classes with pools of their own do not wait for each other")
    func unrelated() throws {
        var plan = Plan()
        plan.addPool(endpoints: 1, kv: 10_000)
        plan.addClass(pool: 1)
        var machine = full(plan)
        machine.scrape(1, used: 0)
        #expect(try machine.send(input: 1_000, trafficClass: 0).isQueued)
        #expect(try machine.send(input: 1_000, trafficClass: 1).isForwarded)
    }

    @Test("who waits while the last endpoint goes away waits for it, and is told when it is late")
    func endpointGone() throws {
        var machine = full(Plan(maxWait: .seconds(2)))
        let first = try machine.send(input: 1_000)
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.handle(.probeFailed(EndpointID(0), .refused))
        #expect(machine.actions.isEmpty)
        // Who comes now has no reason to wait.
        #expect(try machine.send(input: 1_000).refusal?.reason == .noHealthyEndpoint)
        machine.pass(.seconds(2))
        #expect(machine.actions.first?.refusal?.reason == .noHealthyEndpoint)
        machine.end(first)
        machine.scrape(0, used: 8_500)
        let second = try machine.send(input: 1_000)
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.handle(.probeFailed(EndpointID(0), .refused))
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [second.request])
    }

    @Test("time alone lets those in whom the changed world has room for")
    func tick() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(0, used: 8_500)
        machine.handle(.drained(EndpointID(1), true))
        let sent = try machine.send(input: 1_000)
        #expect(sent.isQueued)
        machine.handle(.drained(EndpointID(1), false))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(1), bound: nil)])
    }
}
