// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Requests that bounce")
struct BounceTests {
    private func plan(endpoints: Int, unhealthyAfter: Int = 100) -> Plan {
        var plan = Plan(endpoints: endpoints)
        plan.upstream.unhealthyAfter = unhealthyAfter
        return plan
    }

    @Test("it goes to the others, each once, and is then given up")
    func others() throws {
        var machine = Machine(plan(endpoints: 4))
        let sent = try machine.send(input: 1_000)
        #expect(sent.endpoint == EndpointID(0))
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(1), bound: nil)])
        #expect(machine.state(0).ledger.projection == .zero)
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(2), bound: nil)])
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.refuse(sent.request, Refusal(.upstreamFailed))])
        #expect(RefusalReason.upstreamFailed.status == 502)
        machine.end(sent)
        #expect(machine.isAtRest)
    }

    @Test("the emptiest endpoint is not tried again while another one has room")
    func notTheSame() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(1, used: 5_000)
        let sent = try machine.send(input: 1_000)
        #expect(sent.endpoint == EndpointID(0))
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(1), bound: nil)])
    }

    @Test("with no other endpoint the same one is tried, as long as it counts as healthy")
    func onlyOne() throws {
        var machine = Machine(plan(endpoints: 1, unhealthyAfter: 2))
        let sent = try machine.send(input: 1_000)
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(0), bound: nil)])
        machine.handle(.bounced(sent.ticket))
        let refusal = try #require(machine.actions.first?.refusal)
        #expect(refusal.reason == .noHealthyEndpoint)
        #expect(refusal.retryAfter.map { $0 <= .seconds(1) } ?? false)
        // From now on nobody is sent there.
        #expect(try machine.send(input: 10).refusal?.reason == .noHealthyEndpoint)
    }

    @Test("while the others are full it waits before all who came later")
    func waitsInFront() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(1, used: 7_500)
        let sent = try machine.send(input: 7_000)
        let behind = try machine.send(input: 2_000)
        #expect(sent.endpoint == EndpointID(0))
        #expect(behind.isQueued)
        machine.handle(.bounced(sent.ticket))
        // It waits for the other endpoint, and nobody passes it.
        #expect(machine.actions == [.queued(sent.request)])
        #expect(machine.decider.waiting == 2)
        machine.scrape(1, used: 0)
        #expect(
            machine.actions == [
                .forward(sent.request, to: EndpointID(1), bound: nil),
                .forward(behind.request, to: EndpointID(0), bound: nil),
            ])
    }

    @Test("it waits no longer than it could have in the first place")
    func sameWait() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(1, used: 8_500)
        let sent = try machine.send(input: 1_000)
        machine.pass(.milliseconds(1_500))
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.queued(sent.request)])
        machine.pass(.milliseconds(500))
        #expect(machine.actions.first?.refusal?.reason == .queueWaitTooLong)
        machine.end(sent)
        let late = try machine.send(input: 1_000)
        machine.pass(.seconds(2))
        machine.handle(.bounced(late.ticket))
        #expect(machine.actions.first?.refusal?.reason == .queueWaitTooLong)
        #expect(machine.actions.first?.refusal?.retryAfter != nil)
    }

    @Test("its own deadline counts on")
    func deadline() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(1, used: 8_500)
        let sent = try machine.send(input: 1_000, deadline: .seconds(1))
        machine.pass(.seconds(1))
        machine.handle(.bounced(sent.ticket))
        let expected = Refusal(.deadlineExceeded, isFinal: true)
        #expect(machine.actions == [.refuse(sent.request, expected)])
    }

    @Test("when the others go away it takes the one where it bounced after all")
    func lastResort() throws {
        var machine = Machine(plan(endpoints: 2))
        machine.scrape(1, used: 8_500)
        let sent = try machine.send(input: 1_000)
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions == [.queued(sent.request)])
        machine.handle(.drained(EndpointID(1), true))
        #expect(machine.actions == [.forward(sent.request, to: EndpointID(0), bound: nil)])
    }

    @Test("a full queue has no place for it either")
    func fullQueue() throws {
        var plan = plan(endpoints: 2)
        plan.classes[0].queue.maxRequests = 1
        var machine = Machine(plan)
        machine.scrape(1, used: 8_500)
        let sent = try machine.send(input: 7_000)
        let waiting = try machine.send(input: 3_000)
        #expect(waiting.isQueued)
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions.map(\.request) == [sent.request, waiting.request])
        #expect(machine.actions.first?.refusal?.reason == .queueFull)
        // The room that it leaves is the next one's.
        #expect(machine.actions.last?.refusal == nil)
    }

    @Test("connections that fail in a row take an endpoint out")
    func ejects() throws {
        var machine = Machine(plan(endpoints: 2, unhealthyAfter: 2))
        for _ in 0..<2 {
            let sent = try machine.send(input: 10)
            #expect(sent.endpoint == EndpointID(0))
            machine.handle(.bounced(sent.ticket))
            machine.end(sent)
        }
        #expect(!machine.isAvailable(0))
        #expect(try machine.send(input: 10).endpoint == EndpointID(1))
    }

    @Test("what was counted of a stream before is not counted on")
    func streamedBefore() throws {
        var machine = Machine(plan(endpoints: 2))
        let sent = try machine.send(input: 1_000, output: 100)
        machine.handle(.streamed(sent.ticket, output: Tokens(40)))
        machine.handle(.bounced(sent.ticket))
        #expect(machine.state(0).ledger.projection == .zero)
        #expect(machine.state(1).ledger.projection == Tokens(1_050))
        #expect(machine.state(1).ledger.prefilling == Tokens(1_000))
        machine.end(sent)
        #expect(machine.isAtRest)
    }

    @Test("a request that is not at an endpoint cannot bounce")
    func late() throws {
        var machine = Machine(plan(endpoints: 1))
        let sent = try machine.send(input: 7_500)
        let waiting = try machine.send(input: 7_500)
        machine.handle(.bounced(waiting.ticket))
        #expect(machine.actions.isEmpty && machine.decider.waiting == 1)
        machine.end(waiting)
        machine.end(sent)
        machine.handle(.bounced(sent.ticket))
        #expect(machine.actions.isEmpty && machine.isAtRest)
    }
}
