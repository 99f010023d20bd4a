// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Probes and streams")
struct ProbeTests {
    private let endpoint = EndpointID(0)

    @Test("probes that are not answered take a silent endpoint out")
    func silent() {
        for failure in [ProbeFailure.unanswered, .refused, .deserted, .unwell] {
            var machine = Machine(Plan())
            machine.handle(.probeFailed(endpoint, failure))
            #expect(machine.isAvailable(0))
            machine.handle(.probeFailed(endpoint, failure))
            #expect(!machine.isAvailable(0))
        }
    }

    @Test("a slow probe is not death while a stream delivers")
    func slowProbe() throws {
        var machine = Machine(Plan())
        let sent = try machine.send(input: 100, output: 1_000)
        for second in 1...20 {
            machine.pass(.seconds(1))
            machine.handle(.streamed(sent.ticket, output: Tokens(10 * second)))
            machine.handle(.probeFailed(endpoint))
            #expect(machine.isAvailable(0))
        }
        // Two intervals without a token are no excuse any more.
        machine.pass(.seconds(2))
        machine.handle(.probeFailed(endpoint))
        machine.handle(.probeFailed(endpoint))
        #expect(machine.isAvailable(0))
        machine.pass(.milliseconds(1))
        machine.handle(.probeFailed(endpoint))
        machine.handle(.probeFailed(endpoint))
        #expect(!machine.isAvailable(0))
    }

    @Test(
        "a port that is closed, or an answer that says no, counts whatever streams deliver",
        arguments: [ProbeFailure.refused, .deserted, .unwell])
    func conclusive(failure: ProbeFailure) throws {
        var machine = Machine(Plan())
        let sent = try machine.send(input: 100, output: 1_000)
        machine.handle(.streamed(sent.ticket, output: Tokens(10)))
        machine.handle(.probeFailed(endpoint, failure))
        machine.handle(.probeFailed(endpoint, failure))
        #expect(!machine.isAvailable(0))
        // What is there goes on to its end.
        machine.handle(.streamed(sent.ticket, output: Tokens(20)))
        machine.end(sent, output: 20)
        #expect(machine.isAtRest)
    }

    @Test("who waits for an engine that is gone is told")
    func deserted() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.handle(.drained(EndpointID(1), true))
        let begun = try machine.send(input: 100, output: 1_000)
        let silent = try machine.send(input: 100, output: 1_000)
        machine.handle(.streamed(begun.ticket, output: Tokens(10)))
        machine.handle(.drained(EndpointID(1), false))
        machine.handle(.drained(endpoint, true))
        let elsewhere = try machine.send(input: 100, output: 1_000)
        #expect(elsewhere.endpoint == EndpointID(1))
        machine.pass(.seconds(3))
        #expect(machine.handle(.probeFailed(endpoint, .deserted)).isEmpty)
        let told = machine.handle(.probeFailed(endpoint, .deserted))
        #expect(told == [begun, silent].map { .abandon($0.request, at: endpoint) })
        for sent in [begun, silent] {
            machine.handle(.ended(sent.ticket, Ending(isEngineFault: true)))
        }
        #expect(machine.handle(.probeFailed(endpoint, .deserted)).isEmpty)
        machine.end(elsewhere, output: 10)
        #expect(machine.isAtRest)
    }

    @Test("an engine whose streams go on is not gone, and the young may wait")
    func notDeserted() throws {
        var machine = Machine(Plan())
        let silent = try machine.send(input: 100, output: 1_000)
        let begun = try machine.send(input: 100, output: 1_000)
        let young = try machine.send(input: 100, output: 1_000)
        machine.pass(.seconds(3))
        machine.handle(.streamed(begun.ticket, output: Tokens(10)))
        for _ in 1...5 {
            #expect(machine.handle(.probeFailed(endpoint, .deserted)).isEmpty)
        }
        for _ in 1...5 { #expect(machine.handle(.probeFailed(endpoint, .refused)).isEmpty) }
        machine.pass(.milliseconds(2_001))
        #expect(machine.handle(.probeFailed(endpoint, .refused)).isEmpty)
        let told = machine.handle(.probeFailed(endpoint, .deserted))
        #expect(told == [silent, begun, young].map { .abandon($0.request, at: endpoint) })
    }

    @Test("another endpoint's streams are no excuse")
    func otherStreams() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.handle(.drained(EndpointID(0), true))
        let sent = try machine.send(input: 100, output: 1_000)
        #expect(sent.endpoint == EndpointID(1))
        machine.handle(.drained(EndpointID(0), false))
        machine.handle(.streamed(sent.ticket, output: Tokens(10)))
        machine.handle(.probeFailed(EndpointID(0)))
        machine.handle(.probeFailed(EndpointID(0)))
        #expect(!machine.isAvailable(0))
        #expect(machine.isAvailable(1))
    }

    @Test("streams that break take an endpoint out, and a good probe brings it back")
    func breaks() throws {
        var machine = Machine(Plan())
        for _ in 0..<2 {
            let sent = try machine.send(input: 100)
            machine.handle(.ended(sent.ticket, Ending(isEngineFault: true)))
        }
        #expect(!machine.isAvailable(0))
        machine.handle(.probed(endpoint, nil))
        #expect(machine.isAvailable(0))
        let sent = try machine.send(input: 100)
        machine.end(sent, output: 5)
        let broken = try machine.send(input: 100)
        machine.handle(.ended(broken.ticket, Ending(isEngineFault: true)))
        #expect(machine.isAvailable(0))
    }

    @Test("a request that its client gives up says nothing about the endpoint")
    func clientLeaves() throws {
        var machine = Machine(Plan())
        for _ in 0..<10 {
            let sent = try machine.send(input: 100)
            machine.end(sent)
        }
        #expect(machine.isAvailable(0))
    }

    @Test("the question's time tells what of a reading is the own share")
    func probing() throws {
        var machine = Machine(Plan())
        let sent = try machine.send(input: 3_000)
        machine.handle(.streamed(sent.ticket, output: Tokens(1)))
        machine.handle(.probing(endpoint))
        machine.scrape(0, used: 3_001)
        #expect(machine.state(0).ledger.others == .zero)
        machine.end(sent, output: 1)
        machine.handle(.probing(endpoint))
        machine.scrape(0, used: 3_001)
        #expect(machine.state(0).ledger.others == Tokens(3_001))
    }

    @Test("what streams bring is followed: first token, growth, expectation")
    func streams() throws {
        var machine = Machine(Plan())
        let sent = try machine.send(
            Arrival(
                tenant: TenantID(0), model: ModelID(0), trafficClass: ClassID(0),
                input: Tokens(1_000), bound: Tokens(400)))
        func ledger() -> EndpointLedger { machine.state(0).ledger }
        #expect(ledger().prefilling == Tokens(1_000))
        #expect(ledger().expectedRest == Tokens(256))
        machine.pass(.milliseconds(300))
        machine.handle(.streamed(sent.ticket, output: Tokens(10)))
        #expect(ledger().prefilling == .zero)
        #expect(ledger().resident == Tokens(1_010))
        #expect(ledger().expectedRest == Tokens(246))
        #expect(machine.state(0).firstTokenAfter == .milliseconds(300))
        // Past its expectation half of it is expected again, never beyond the bound.
        machine.handle(.streamed(sent.ticket, output: Tokens(256)))
        #expect(ledger().expectedRest == Tokens(128))
        machine.handle(.streamed(sent.ticket, output: Tokens(390)))
        #expect(ledger().expectedRest == Tokens(10))
        // Never backwards, and more than it said it would take is counted all the same.
        machine.handle(.streamed(sent.ticket, output: Tokens(380)))
        #expect(ledger().resident == Tokens(1_390))
        machine.handle(.streamed(sent.ticket, output: Tokens(500)))
        #expect(ledger().resident == Tokens(1_500))
        #expect(ledger().expectedRest == .zero)
        machine.end(sent, output: 500)
        #expect(machine.isAtRest)
    }

    @Test("the pace is learnt from streams; an answer in one piece only stands in for one")
    func pace() throws {
        var machine = Machine(Plan())
        let whole = try machine.send(input: 10, output: 101)
        machine.pass(.seconds(4))
        machine.handle(
            .ended(
                whole.ticket,
                Ending(output: Tokens(100), generating: .milliseconds(1), isComplete: true)))
        #expect(machine.state(0).pace == .milliseconds(40))
        let again = try machine.send(input: 10, output: 101)
        machine.pass(.seconds(9))
        machine.end(again, output: 100)
        #expect(machine.state(0).pace == .milliseconds(40))
        for _ in 0..<60 {
            let stream = try machine.send(input: 10, output: 101)
            machine.handle(.streamed(stream.ticket, output: Tokens(1)))
            machine.handle(
                .ended(
                    stream.ticket,
                    Ending(output: Tokens(101), generating: .seconds(2), isComplete: true)))
        }
        let found = machine.state(0).pace
        let pace = try #require(found)
        #expect((0.0199...0.0201).contains(pace.seconds))
    }
}
