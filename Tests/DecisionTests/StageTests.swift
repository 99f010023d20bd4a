// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Estimate, policy and budget")
struct StageTests {
    private func arrival(
        tenant: Int = 0, model: Int = 0, input: Int = 100, bound: Int? = nil, choices: Int = 1,
        isForced: Bool = false, isOutputless: Bool = false
    ) -> Arrival {
        Arrival(
            tenant: TenantID(tenant), model: ModelID(model), trafficClass: ClassID(0),
            input: Tokens(input), bound: bound.map { Tokens($0) }, choices: choices,
            isForced: isForced, isOutputless: isOutputless)
    }

    /// What is reserved of the budget and told to the engine.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var tenant = 0
        var input = 100
        var bound: Int?
        var choices = 1
        var isForced = false
        var isOutputless = false
        let expected: Int
        let told: Int?
    }

    @Test(
        "what a request may take is estimated, and bounded where the tenant's cap is lower",
        arguments: [
            Case(testDescription: "no bound: the prior", expected: 256, told: nil),
            Case(testDescription: "a low bound", bound: 20, expected: 20, told: nil),
            Case(testDescription: "a high bound", bound: 4_000, expected: 256, told: nil),
            Case(
                testDescription: "forced to its bound", bound: 4_000, isForced: true,
                expected: 4_000, told: nil),
            Case(
                testDescription: "several choices", bound: 20, choices: 3, expected: 60,
                told: nil),
            Case(
                testDescription: "forced beyond the context", input: 8_000, bound: 4_000,
                isForced: true, expected: 192, told: nil),
            Case(
                testDescription: "the whole context as prompt", input: 8_192, expected: 1,
                told: nil),
            Case(testDescription: "capped without a bound", tenant: 1, expected: 200, told: 200),
            Case(
                testDescription: "capped over a bound", tenant: 1, bound: 5_000, expected: 200,
                told: 200),
            Case(
                testDescription: "under the cap", tenant: 1, bound: 150, expected: 150,
                told: nil),
            Case(
                testDescription: "embeddings", tenant: 1, isOutputless: true, expected: 0,
                told: nil),
            Case(testDescription: "a bound of nothing", bound: 0, expected: 1, told: nil),
            Case(testDescription: "no choices", bound: 20, choices: 0, expected: 20, told: nil),
        ])
    func estimates(example: Case) throws {
        var machine = Machine(Plan())
        let arrival = arrival(
            tenant: example.tenant, input: example.input, bound: example.bound,
            choices: example.choices, isForced: example.isForced,
            isOutputless: example.isOutputless)
        let (_, _, ask) = try machine.arrive(arrival)
        #expect(ask.tenant == TenantID(example.tenant))
        #expect(ask.input == Tokens(example.input))
        #expect(ask.output == Tokens(example.expected))
        let price = Double(example.input) + 2 * Double(example.expected)
        #expect(abs(ask.cost - price / 1e6) < 1e-12)
        if example.input < 8_000 {
            let sent = try machine.send(arrival)
            #expect(sent.isForwarded)
            #expect(sent.bound == example.told.map { Tokens($0) })
        }
    }

    @Test("a model without a price costs nothing")
    func free() throws {
        var machine = Machine(Plan())
        let (_, _, ask) = try machine.arrive(arrival(model: 1))
        #expect(ask.cost == 0)
    }

    @Test(
        "a prompt that no room would help is refused before anything is reserved",
        arguments: [(0, 8_193, 8_192), (1, 1_001, 1_000)])
    func promptTooLong(tenant: Int, input: Int, limit: Int) {
        var machine = Machine(Plan())
        let request = machine.nextRequest()
        machine.handle(.arrived(request, arrival(tenant: tenant, input: input)))
        let expected = Refusal(
            .contextLengthExceeded, limit: Double(limit), requested: Double(input))
        #expect(machine.actions == [.refuse(request, expected)])
        #expect(machine.isAtRest)
    }

    @Test("beyond the table of open requests, requests are refused with a wait")
    func tableFull() throws {
        var machine = Machine(Plan(), limit: 2)
        let first = try machine.send(input: 10)
        try machine.send(input: 10)
        let request = machine.nextRequest()
        machine.handle(.arrived(request, arrival()))
        let refusal = try #require(machine.actions.first?.refusal)
        #expect(refusal.reason == .gatewayOverloaded)
        #expect(refusal.retryAfter.map { $0 >= .seconds(1) } ?? false)
        machine.end(first)
        _ = try machine.arrive(arrival())
    }

    // MARK: budget

    @Test("each limit has a refusal of its own, with its numbers", arguments: LimitKind.allCases)
    func budgetRefusal(kind: LimitKind) throws {
        var machine = Machine(Plan())
        let (request, ticket, _) = try machine.arrive(arrival())
        machine.handle(
            .budgeted(
                ticket,
                .refused(kind, limit: 100, used: 90, requested: 20, wait: .seconds(10))))
        #expect(machine.actions.count == 1)
        #expect(machine.actions.first?.request == request)
        let refusal = try #require(machine.actions.first?.refusal)
        #expect(refusal.reason.code == "\(kind.rawValue)_exceeded")
        #expect(refusal.reason.status == 429)
        #expect(refusal.limit == 100 && refusal.used == 90 && refusal.requested == 20)
        #expect(!refusal.isFinal)
        let told = try #require(refusal.retryAfter)
        #expect((Duration.seconds(10)...(.seconds(10.5))).contains(told))
        machine.handle(.ended(ticket, Ending()))
        #expect(machine.isAtRest)
    }

    @Test(
        "a wait is never shortened, never pushed over a minute, and over one a retry is no use",
        arguments: [
            (Duration.zero, Duration.milliseconds(1), Duration.milliseconds(21), false),
            (.seconds(59.9), .seconds(59.9), .seconds(60), false),
            (.seconds(60), .seconds(60), .seconds(60), false),
            (.seconds(61), .seconds(61), .seconds(61.5), true),
            (.seconds(86_400), .seconds(86_400), .seconds(86_400.5), true),
        ])
    func budgetWait(wait: Duration, least: Duration, most: Duration, isFinal: Bool) throws {
        for seed in 0..<20 as Range<UInt64> {
            var machine = Machine(Plan(), seed: seed)
            let (_, ticket, _) = try machine.arrive(arrival())
            machine.handle(
                .budgeted(
                    ticket,
                    .refused(.tokensPerDay, limit: 1, used: 1, requested: 1, wait: wait)))
            let refusal = try #require(machine.actions.first?.refusal)
            let told = try #require(refusal.retryAfter)
            #expect((least...most).contains(told))
            #expect(refusal.isFinal == isFinal)
        }
    }

    @Test("what a limit can never hold is refused for good")
    func neverFits() throws {
        var machine = Machine(Plan())
        let (request, ticket, _) = try machine.arrive(arrival())
        machine.handle(
            .budgeted(ticket, .neverFits(.tokensPerMinute, limit: 100, requested: 356)))
        let expected = Refusal(
            .requestExceedsLimit, kind: .tokensPerMinute, scope: .tenant, limit: 100,
            requested: 356)
        #expect(machine.actions == [.refuse(request, expected)])
        #expect(expected.reason.status == 400)
    }

    @Test("a store that is away refuses with its own wait")
    func unavailable() throws {
        var machine = Machine(Plan())
        let (_, ticket, _) = try machine.arrive(arrival())
        machine.handle(.budgeted(ticket, .unavailable(retryAfter: .seconds(2))))
        let refusal = try #require(machine.actions.first?.refusal)
        #expect(refusal.reason == .budgetStoreUnavailable)
        #expect(refusal.retryAfter.map { $0 >= .seconds(2) } ?? false)
    }

    @Test("a verdict that comes late, or twice, changes nothing")
    func lateVerdict() throws {
        var machine = Machine(Plan())
        let (_, ticket, _) = try machine.arrive(arrival())
        machine.handle(.ended(ticket, Ending()))
        #expect(machine.actions.isEmpty)
        machine.handle(.budgeted(ticket, .reserved))
        #expect(machine.actions.isEmpty && machine.isAtRest)
        let sent = try machine.send(input: 10)
        machine.handle(.budgeted(sent.ticket, .reserved))
        #expect(machine.actions.isEmpty)
        #expect(machine.state(0).ledger.sequences == 1)
        machine.end(sent)
        machine.end(sent)
        #expect(machine.isAtRest)
    }

    @Test("lengths are learnt from answers that came to their end, and from no others")
    func learning() throws {
        var machine = Machine(Plan(kv: nil))
        func expected(_ machine: inout Machine) throws -> Int {
            let (_, ticket, ask) = try machine.arrive(arrival(bound: 4_000))
            machine.handle(.ended(ticket, Ending()))
            return ask.output.count
        }
        for _ in 0..<40 {
            let cut = try machine.send(arrival(bound: 4_000))
            machine.handle(.ended(cut.ticket, Ending(output: Tokens(3_000))))
            let forced = try machine.send(arrival(bound: 4_000, isForced: true))
            machine.end(forced, output: 4_000)
        }
        #expect(try expected(&machine) == 256)
        for _ in 0..<40 {
            let sent = try machine.send(arrival(bound: 4_000, choices: 2))
            machine.end(sent, output: 1_400)
        }
        #expect(try expected(&machine) == 700)
    }
}
