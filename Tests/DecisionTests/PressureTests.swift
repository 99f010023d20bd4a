// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Testing
import Units

@Suite("Refusal on arrival")
struct PressureTests {
    /// One endpoint with 10,000 tokens, on which `count` sequences run that end in 10 s.
    private func busy(_ plan: Plan, count: Int, input: Int) throws -> Machine {
        var machine = Machine(plan)
        for _ in 0..<count {
            let sent = try machine.send(input: input, output: 100)
            machine.handle(.streamed(sent.ticket, output: Tokens(1)))
            machine.pass(.milliseconds(1))
        }
        return machine
    }

    @Test("above the reject threshold of every endpoint nobody queues")
    func rejectAt() throws {
        var machine = Machine(Plan(endpoints: 2))
        machine.scrape(0, used: 9_000)
        machine.scrape(1, used: 8_900)
        #expect(try machine.send(input: 10).isQueued)
        machine.scrape(1, used: 9_000)
        let refusal = try #require(try machine.send(input: 100, output: 2).refusal)
        #expect(refusal.reason == .kvCachePressure)
        #expect(refusal.limit == 0.8 && refusal.used == 0.9 && refusal.requested == 0.0102)
        #expect(refusal.retryAfter != nil)
    }

    @Test("who could not be let in within its patience is refused at once")
    func patience() throws {
        // No pace was seen yet: 100 tokens are taken for 5 s.
        var machine = try busy(Plan(maxWait: .seconds(2)), count: 4, input: 1_900)
        let refusal = try #require(try machine.send(input: 1_000).refusal)
        #expect(refusal.reason == .kvCachePressure)
        let told = try #require(refusal.retryAfter)
        #expect((4.0...8.0).contains(told.seconds))
        var patient = try busy(Plan(maxWait: .seconds(20)), count: 4, input: 1_900)
        #expect(try patient.send(input: 1_000).isQueued)
        #expect(try patient.send(input: 1_000, deadline: .seconds(3)).refusal != nil)
    }

    @Test("it is the queue that is too long when its own room would come in time")
    func queueTooLong() throws {
        var machine = Machine(Plan(maxWait: .seconds(7)))
        for output in [100, 100, 200, 200] {
            let sent = try machine.send(input: 1_850, output: output)
            machine.handle(.streamed(sent.ticket, output: Tokens(1)))
        }
        #expect(try machine.send(input: 1_800).isQueued)
        #expect(try machine.send(input: 1_800).isQueued)
        let refusal = try #require(try machine.send(input: 1_800).refusal)
        #expect(refusal.reason == .queueWaitTooLong)
        #expect(refusal.limit == 7)
        #expect(refusal.requested.map { $0 > 7 } ?? false)
        #expect(refusal.retryAfter.map { $0 > .seconds(9) } ?? false)
    }

    @Test("where nothing tells when there will be room, a request waits for as long as it may")
    func unknown() throws {
        var machine = Machine(Plan(maxWait: .seconds(2)))
        machine.scrape(0, used: 8_500)
        let sent = try machine.send(input: 1_000)
        #expect(sent.isQueued)
        machine.pass(.seconds(2))
        let told = try #require(machine.actions.first?.refusal?.retryAfter)
        #expect((1.0...1.1).contains(told.seconds))
    }

    @Test("each of those refused together is told another time")
    func ownSlots() throws {
        var machine = try busy(Plan(maxWait: .seconds(2)), count: 4, input: 1_900)
        let waits = try (0..<20).map { _ in
            try #require(try machine.send(input: 1_000).refusal?.retryAfter)
        }
        #expect(Set(waits).count == 20)
        // 1,000 tokens of need take about half a second of what 8,000 give back in five.
        let spans = zip(waits, waits.dropFirst()).map { ($1 - $0).seconds }
        #expect(spans.allSatisfy { (-0.5...2).contains($0) })
        #expect(waits[19] - waits[0] > .seconds(5))
    }

    @Test("a wait that no client would sit out is told as it is, and that a retry is no use")
    func tooLongForClients() throws {
        var machine = Machine(Plan(maxWait: .seconds(2)))
        let sent = try machine.send(input: 7_000, output: 2_000)
        machine.handle(.streamed(sent.ticket, output: Tokens(1)))
        let refusal = try #require(try machine.send(input: 5_000).refusal)
        #expect(refusal.reason == .kvCachePressure)
        #expect(refusal.isFinal)
        #expect(refusal.retryAfter.map { $0 > .seconds(90) } ?? false)
    }

    /// What a client would be told now; the machine does not learn that it was asked.
    private func told(_ machine: Machine, input: Int) throws -> Duration {
        var asked = machine.twin
        return try #require(try asked.send(input: input).refusal?.retryAfter)
    }

    @Test("the wait shrinks as the streams go on")
    func progress() throws {
        var machine = Machine(Plan(maxWait: .milliseconds(10)))
        let sent = try machine.send(input: 7_000, output: 200)
        machine.handle(.streamed(sent.ticket, output: Tokens(1)))
        var waits: [Duration] = []
        for step in 1...5 {
            machine.pass(.seconds(1))
            machine.handle(.streamed(sent.ticket, output: Tokens(1 + 25 * step)))
            waits.append(try told(machine, input: 3_000))
        }
        #expect(zip(waits, waits.dropFirst()).allSatisfy { $0 > $1 })
        // 25 tokens a second: the last 74 take three, and a little more is told.
        #expect((3.2...3.6).contains(waits[4].seconds))
    }

    @Test("an answer in one piece is expected to end too, as time passes")
    func onePiece() throws {
        var machine = Machine(Plan(maxWait: .milliseconds(10)))
        try machine.send(input: 7_000, output: 200)
        let early = try told(machine, input: 3_000)
        machine.pass(.seconds(6))
        let late = try told(machine, input: 3_000)
        #expect(late < early - .seconds(5))
    }
}
