// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Testing
import Units

@Suite("How long prompts are taken for")
struct PromptLengthTests {
    private func arrival(_ input: Int, tenant: Int = 0, model: Int = 1) -> Arrival {
        Arrival(
            tenant: TenantID(tenant), model: ModelID(model), trafficClass: ClassID(0),
            input: Tokens(input), bound: Tokens(10))
    }

    /// Requests of which the engine reports more or fewer prompt tokens than were estimated.
    private func teach(
        _ machine: inout Machine, estimated: Int, reported: Int?, times: Int = 40,
        isComplete: Bool = true
    ) throws {
        for _ in 0..<times {
            let sent = try machine.send(arrival(estimated))
            machine.handle(
                .ended(
                    sent.ticket,
                    Ending(
                        output: Tokens(5), generating: .seconds(1),
                        input: reported.map { Tokens($0) }, isComplete: isComplete)))
        }
    }

    @Test("what engines report of a tenant's prompts corrects its budget and its room")
    func corrects() throws {
        var machine = Machine(Plan(kv: 100_000))
        try teach(&machine, estimated: 1_000, reported: 800)
        let (_, ticket, ask) = try machine.arrive(arrival(2_000))
        #expect(abs(ask.input.count - 1_600) < 10)
        machine.handle(.budgeted(ticket, .reserved))
        #expect(machine.state(0).ledger.prefilling == ask.input)
        machine.handle(.ended(ticket, Ending()))
        #expect(machine.isAtRest)
        #expect(machine.decider.promptRatio(of: TenantID(0), for: ModelID(1)) < 0.81)
    }

    @Test("a prompt that is longer than its text tells may be over the context")
    func context() throws {
        var machine = Machine(Plan(kv: 100_000))
        for _ in 0..<40 {
            let sent = try machine.send(arrival(4_000, model: 0))
            let ending = Ending(output: Tokens(1), input: Tokens(6_000), isComplete: true)
            machine.handle(.ended(sent.ticket, ending))
        }
        let request = machine.nextRequest()
        machine.handle(.arrived(request, arrival(8_000, model: 0)))
        #expect(machine.actions.first?.refusal?.reason == .contextLengthExceeded)
        #expect((machine.actions.first?.refusal?.requested ?? 0) > 11_000)
    }

    @Test("answers that broke off, and engines that report nothing, teach nothing")
    func teachesNothing() throws {
        var machine = Machine(Plan(kv: 100_000))
        try teach(&machine, estimated: 1_000, reported: 500, isComplete: false)
        try teach(&machine, estimated: 1_000, reported: nil)
        let (_, _, ask) = try machine.arrive(arrival(2_000))
        #expect(ask.input == Tokens(2_000))
    }

    @Test("an estimate that was corrected is not corrected by its own correction")
    func isStable() throws {
        var machine = Machine(Plan(kv: 100_000))
        try teach(&machine, estimated: 1_000, reported: 1_300, times: 300)
        let (_, _, ask) = try machine.arrive(arrival(1_000))
        #expect(abs(ask.input.count - 1_300) < 5)
    }

    @Test("prompts that engines were seen to lack leave room for others")
    func givesBack() throws {
        var machine = Machine(Plan(kv: 10_000))
        var open: [Machine.Sent] = []
        for _ in 0..<7 {
            let sent = try machine.send(input: 1_000, output: 100)
            machine.handle(.streamed(sent.ticket, output: Tokens(1)))
            open.append(sent)
        }
        let before = machine.share(of: EndpointID(0), now: machine.now) ?? 0
        for _ in 0..<240 {
            machine.pass(.seconds(1))
            machine.handle(.probing(EndpointID(0)))
            let reading = EngineReading(
                usedTokens: Tokens(6_000), capacityTokens: Tokens(10_000), running: 7, waiting: 0)
            machine.handle(.probed(EndpointID(0), reading))
        }
        let after = machine.share(of: EndpointID(0), now: machine.now) ?? 0
        #expect(before - after > 0.09 && before - after <= 0.1008)
        for sent in open { machine.end(sent, output: 100) }
        #expect(machine.isAtRest)
        #expect(machine.share(of: EndpointID(0), now: machine.now) == 0)
    }
}
