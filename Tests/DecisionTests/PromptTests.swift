// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Testing
import Units

/// Prompts in flight: what does not fit waits, and is refused when it would come too late.
@Suite struct PromptTests {
    /// One endpoint with room for everything, and a class with targets.
    private func plan(maxWait: Duration = .seconds(60), batch: Bool = false) -> Plan {
        var plan = Plan(endpoints: 1, kv: 10_000_000)
        plan.models[0].contextLength = Tokens(1 << 20)
        plan.classes[0].queue.maxWait = maxWait
        plan.classes[0].queue.maxTokens = Tokens(1 << 40)
        plan.classes[0].targets = TargetPolicy(
            firstToken: .seconds(2), betweenTokens: .milliseconds(50))
        if batch { plan.addClass(maxTokens: 1 << 40, maxWait: .seconds(600)) }
        return plan
    }

    private func arrival(_ input: Int, class place: Int = 0, streamed: Bool = true) -> Arrival {
        Arrival(
            tenant: TenantID(0), model: ModelID(0), trafficClass: ClassID(place),
            input: Tokens(input), bound: Tokens(100), isForced: true, isStreamed: streamed)
    }

    @Test func withoutTargetsNothingWaits() throws {
        var plan = plan()
        plan.classes[0].targets = nil
        var machine = Machine(plan)
        for _ in 0..<50 { #expect(try machine.send(arrival(5_000)).isForwarded) }
    }

    @Test func anIdleEndpointTakesAPromptHoweverLong() throws {
        var machine = Machine(plan())
        #expect(try machine.send(arrival(90_000)).isForwarded)
        #expect(!(try machine.send(arrival(100))).isForwarded)
    }

    @Test func whatDoesNotFitWaitsAndGoesWhenItDoes() throws {
        var machine = Machine(plan())
        #expect(try machine.send(arrival(5_000)).isForwarded)
        let second = try machine.send(arrival(1_000))
        #expect(second.isQueued)
        var waited = Duration.zero
        while waited < .seconds(2) {
            let actions = machine.pass(.milliseconds(50))
            waited = waited + .milliseconds(50)
            if actions.contains(.forward(second.request, to: EndpointID(0), bound: nil)) { break }
        }
        #expect(waited > .milliseconds(200))
        #expect(waited < .seconds(1.5))
    }

    @Test func whoseFirstTokenWouldBeTooLateIsRefusedAndToldWhenToReturn() throws {
        var machine = Machine(plan())
        #expect(try machine.send(arrival(60_000)).isForwarded)
        let refusal = try #require(try machine.send(arrival(1_000)).refusal)
        #expect(refusal.reason == .queueWaitTooLong)
        let told = try #require(refusal.retryAfter)
        #expect(told > .seconds(2))
        #expect(told < .seconds(60))
        _ = machine.pass(told)
        #expect(try machine.send(arrival(1_000)).isForwarded)
    }

    @Test func aClassWithoutTargetsWaitsAsLongAsItsOwnWait() throws {
        var machine = Machine(plan(batch: true))
        #expect(try machine.send(arrival(60_000)).isForwarded)
        #expect(try machine.send(arrival(1_000)).refusal != nil)
        #expect(try machine.send(arrival(1_000, class: 1)).isQueued)
    }

    @Test func aFullQueueOfPromptsRefusesThoseBehindIt() throws {
        var machine = Machine(plan())
        var queued = 0
        var refused = 0
        for _ in 0..<40 {
            let sent = try machine.send(arrival(1_000))
            if sent.isQueued { queued += 1 }
            if sent.refusal != nil { refused += 1 }
        }
        #expect(queued > 3)
        #expect(refused > 10)
    }

    @Test func whereNobodyStreamsNobodyWaits() throws {
        var machine = Machine(plan())
        for _ in 0..<50 {
            #expect(try machine.send(arrival(5_000, streamed: false)).isForwarded)
        }
        #expect(try machine.send(arrival(100)).isForwarded)
        #expect(!(try machine.send(arrival(5_000, streamed: false))).isForwarded)
    }

    @Test func whatEndedCountsNoMore() throws {
        var machine = Machine(plan())
        let first = try machine.send(arrival(60_000))
        #expect(first.isForwarded)
        machine.handle(.ended(first.ticket, Ending()))
        #expect(machine.decider.state(of: EndpointID(0)).committed == .zero)
        #expect(try machine.send(arrival(90_000)).isForwarded)
    }
}
