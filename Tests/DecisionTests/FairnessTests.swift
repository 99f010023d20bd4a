// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Scheduling
import Testing
import Units

/// Tenants of one class.
@Suite("Fairness")
struct FairnessTests {
    private func arrival(_ tenant: Int, input: Int, output: Int) -> Arrival {
        Arrival(
            tenant: TenantID(tenant), model: ModelID(1), trafficClass: ClassID(0),
            input: Tokens(input), bound: Tokens(output), isForced: true)
    }

    private func plan(weights: [Double]) -> Plan {
        var plan = Plan(kv: 10_000, maxWait: .seconds(600))
        plan.tenants = weights.enumerated().map { place, weight in
            TenantPolicy(
                id: TenantID(place), name: "tenant\(place)", keys: [], classes: [], models: [],
                weight: weight)
        }
        return plan
    }

    private func counter(_ machine: Machine, _ tenant: Int) -> Int {
        machine.decider.queue(of: ClassID(0)).fair.counter(of: TenantID(tenant))
    }

    @Test("one who comes with little does not wait behind one who came with much")
    func few() throws {
        var machine = Machine(plan(weights: [1, 1]))
        let running = try (0..<2).map { _ in
            try machine.send(arrival(0, input: 3_000, output: 500))
        }
        let many = try (0..<10).map { _ in
            try machine.send(arrival(0, input: 3_000, output: 500))
        }
        let one = try machine.send(arrival(1, input: 3_000, output: 500))
        #expect(many.allSatisfy { $0.isQueued } && one.isQueued)
        let first = machine.end(running[0], output: 500)
        let second = machine.end(running[1], output: 500)
        #expect((first + second).map(\.request).contains(one.request))
    }

    @Test("input and half of the output at once, then what appears, at the end the truth")
    func charges() throws {
        var machine = Machine(plan(weights: [1, 2]))
        let sent = try machine.send(arrival(0, input: 1_000, output: 400))
        #expect(counter(machine, 0) == 1_400 * FairShare.unit)
        machine.handle(.streamed(sent.ticket, output: Tokens(200)))
        #expect(counter(machine, 0) == 1_400 * FairShare.unit)
        machine.handle(.streamed(sent.ticket, output: Tokens(201)))
        #expect(counter(machine, 0) == 1_402 * FairShare.unit)
        machine.end(sent, output: 300)
        #expect(counter(machine, 0) == 1_600 * FairShare.unit)
        machine.end(sent, output: 300)
        #expect(counter(machine, 0) == 1_600 * FairShare.unit)
        #expect(machine.isAtRest)
    }

    @Test("what bounced is not paid for until it is served")
    func bounced() throws {
        var machine = Machine(plan(weights: [1]))
        let sent = try machine.send(arrival(0, input: 1_000, output: 400))
        for _ in 0..<3 { machine.handle(.bounced(sent.ticket)) }
        #expect(counter(machine, 0) == 0)
        machine.end(sent)
        #expect(counter(machine, 0) == 0)
        #expect(machine.isAtRest)
    }

    @Test("each settles once, and to the truth", arguments: 0..<10 as Range<UInt64>)
    func settles(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var machine = Machine(plan(weights: [1]))
        var open: [Machine.Sent] = []
        var forwarded: Set<RequestID> = []
        var truth = 0
        func note(_ actions: [Action]) {
            for case .forward(let id, _, _) in actions { forwarded.insert(id) }
        }
        for _ in 0..<400 {
            if random.next() % 2 == 0 {
                open.append(try machine.send(arrival(0, input: 500, output: 200)))
                note(machine.actions)
            } else if !open.isEmpty {
                let gone = open.remove(at: Int(random.next() % UInt64(open.count)))
                let output = forwarded.contains(gone.request) ? 1 + Int(random.next() % 300) : 0
                if output > 0 { truth += 500 + 2 * output }
                note(machine.end(gone, output: output))
            }
            let queue = machine.decider.queue(of: ClassID(0))
            #expect(queue.count <= machine.decider.policy.classes[0].queue.maxRequests)
        }
        for sent in open {
            let output = forwarded.contains(sent.request) ? 100 : 0
            if output > 0 { truth += 700 }
            note(machine.end(sent, output: output))
        }
        #expect(counter(machine, 0) == truth * FairShare.unit)
        #expect(machine.isAtRest)
    }
}
