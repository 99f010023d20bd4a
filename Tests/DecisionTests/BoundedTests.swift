// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Testing
import Units

/// What a class allows beyond its threshold where nobody can be longer than expected.
@Suite("Bounded requests")
struct BoundedTests {
    private static func plan(slack: Double = 0.1, endpoints: Int = 1) -> Plan {
        var plan = Plan(endpoints: endpoints, maxWait: .seconds(600))
        plan.classes[0].boundedSlack = slack
        return plan
    }

    private func open(_ input: Int, bound: Int) -> Arrival {
        Arrival(
            tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(0),
            input: Tokens(input), bound: Tokens(bound))
    }

    @Test("above the threshold a request goes in where the bounds of all fit", arguments: [0, 0.1])
    func band(slack: Double) throws {
        var machine = Machine(Self.plan(slack: slack))
        try machine.send(input: 5_000, output: 1_000)
        // Half of what both have to add is the most that they hold together: 8,500 of 10,000.
        let second = try machine.send(input: 2_500, output: 500)
        #expect(second.isForwarded == (slack > 0))
        #expect(try machine.send(input: 2_000).isQueued)
    }

    @Test("nobody goes in above it beside one whose bound does not fit")
    func loose() throws {
        var machine = Machine(Self.plan())
        let loose = try machine.send(open(3_000, bound: 7_000))
        try machine.send(input: 1_000, output: 1)
        let waiting = try machine.send(input: 4_300, output: 1)
        #expect(loose.isForwarded && waiting.isQueued)
        machine.end(loose)
        #expect(machine.actions.map(\.request) == [waiting.request])
    }

    @Test("nor where others have something, whose lengths nobody knows")
    func others() throws {
        var machine = Machine(Self.plan())
        machine.scrape(0, used: 1_000)
        #expect(try machine.send(input: 7_500).isQueued)
    }

    @Test(
        "whatever is made within the bounds, the caches never hold more than they allow",
        arguments: 0..<40 as Range<UInt64>)
    func never(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var machine = Machine(Self.plan(endpoints: 2))
        var running: [(sent: Machine.Sent, input: Int, bound: Int, made: Int)] = []
        var waiting: [RequestID: (sent: Machine.Sent, input: Int, bound: Int)] = [:]
        var peak = 0
        func note(_ actions: [Action]) {
            for case .forward(let request, _, _) in actions {
                guard let next = waiting.removeValue(forKey: request) else { continue }
                running.append((next.sent, next.input, next.bound, 0))
            }
        }
        for _ in 0..<1_500 {
            machine.pass(.milliseconds(5))
            note(machine.actions)
            let input = 1 + Int(random.next() % 1_500)
            let bound = 1 + Int(random.next() % 900)
            switch random.next() % 5 {
            case 0...2 where waiting.count < 50:
                let sent = try machine.send(input: input, output: bound)
                waiting[sent.request] = (sent, input, bound)
                note([sent.answer])
            case 3 where random.next() % 20 == 0 && !running.isEmpty:
                let gone = running.remove(at: Int(random.next() % UInt64(running.count)))
                note(machine.end(gone.sent, output: gone.made))
            default:
                // A step of an engine is a token for each of its sequences.
                let steps = 1 + Int(random.next() % 40)
                for place in running.indices {
                    running[place].made = min(running[place].made + steps, running[place].bound)
                    let made = Tokens(running[place].made)
                    machine.handle(.streamed(running[place].sent.ticket, output: made))
                }
                for place in running.indices.reversed()
                where running[place].made == running[place].bound {
                    let gone = running.remove(at: place)
                    note(machine.end(gone.sent, output: gone.made))
                }
            }
            let held = (0..<2).map { machine.state($0).ledger.resident.count }
            peak = max(peak, held[0], held[1])
        }
        #expect((8_000...9_000).contains(peak))
    }
}
