// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Simulation
import Testing
import Units

/// Whether what refused clients are told is true, on model engines in virtual time.
@Suite("Retry-After")
struct ReturnTests {
    /// Engines whose steps cost what the KV fixture's do.
    private func profile(kv: Int) -> EngineProfile {
        let cost = StepCost.Linear(
            fixed: 0.015, perPrefillToken: 47e-6, perDecodingSequence: 0.1e-3,
            perResidentToken: 60e-9)
        return EngineProfile(
            name: "model", cost: .linear(cost), requestOverhead: .zero, blocks: kv / 16)
    }

    private func plan(endpoints: Int, maxWait: Duration) -> Plan {
        var plan = Plan(endpoints: endpoints, kv: nil, maxWait: maxWait)
        plan.classes[0].throttleAt = 0.85
        return plan
    }

    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    /// Prompts of every size, skewed to the small ones; outputs of a known length or of any.
    private struct Traffic {
        var random: SplitMix64
        let isKnown: Bool

        mutating func client() -> Fleet.Client {
            let unit = random.unit()
            let input = 64 + Int(2_500 * unit * unit * unit)
            let output = isKnown ? 300 : 20 + Int(900 * random.unit() * random.unit())
            return Fleet.Client(input: input, output: output, bound: isKnown ? 300 : 2_048)
        }

        mutating func send(_ count: Int, to fleet: inout Fleet, from: Double, over: Double) {
            for place in 0..<count {
                let seconds = from + over * Double(place) / Double(count)
                fleet.add(client(), at: Instant(nanoseconds: 0) + .seconds(seconds))
            }
        }
    }

    /// A full engine on which one client is refused; nobody comes after it.
    private func alone(seed: UInt64, isKnown: Bool, maxWait: Duration) -> Fleet.Client? {
        var fleet = Fleet(
            plan(endpoints: 1, maxWait: maxWait), profile: profile(kv: 16_000), seed: seed)
        var traffic = Traffic(random: SplitMix64(seed: seed), isKnown: isKnown)
        traffic.send(60, to: &fleet, from: 1, over: 54)
        traffic.send(60, to: &fleet, from: 70, over: 8)
        fleet.run(until: at(78))
        fleet.forgetReturns()
        var client = traffic.client()
        client.input = 1_600
        let place = fleet.add(client, at: at(78.01))
        fleet.run(until: at(200))
        let found = fleet.clients[place]
        return found.refusals.isEmpty ? nil : found
    }

    @Test(
        "a client that waits exactly as told is let in, where lengths are known",
        arguments: [Duration.milliseconds(1), .milliseconds(500)])
    func known(maxWait: Duration) {
        let refused = (0..<60 as Range<UInt64>).compactMap {
            alone(seed: $0, isKnown: true, maxWait: maxWait)
        }
        #expect(refused.count >= 15)
        let letIn = refused.filter(\.wasAdmittedAtFirstReturn)
        #expect(letIn.count == refused.count)
        // Nor was it told to wait for longer than the engine needs to run all that is there.
        #expect(refused.allSatisfy { $0.refusals[0].told < .seconds(30) })
    }

    @Test("where lengths can only be expected, nine of ten are")
    func expected() {
        let refused = (0..<60 as Range<UInt64>).compactMap {
            alone(seed: $0, isKnown: false, maxWait: .milliseconds(50))
        }
        #expect(refused.count >= 15)
        let letIn = refused.filter(\.wasAdmittedAtFirstReturn)
        #expect(Double(letIn.count) >= 0.9 * Double(refused.count))
        #expect(refused.allSatisfy { $0.refusals[0].told < .seconds(30) })
    }

    @Test(
        "of a wave that is refused, two of three who do as they are told are let in at once",
        arguments: [1, 4], [true, false])
    func wave(engines: Int, isKnown: Bool) {
        for seed in 1...3 as ClosedRange<UInt64> {
            var fleet = Fleet(
                plan(endpoints: engines, maxWait: .milliseconds(500)),
                profile: profile(kv: 30_000), seed: seed)
            var traffic = Traffic(random: SplitMix64(seed: seed), isKnown: isKnown)
            traffic.send(40 * engines, to: &fleet, from: 1, over: 30)
            traffic.send(100 * engines, to: &fleet, from: 32, over: 1)
            traffic.send(25 * engines, to: &fleet, from: 33, over: 30)
            fleet.run(until: at(300))
            let refused = fleet.clients.filter { !$0.refusals.isEmpty }
            #expect(refused.count > 40 * engines)
            let letIn = refused.filter(\.wasAdmittedAtFirstReturn).count
            #expect(Double(letIn) >= 0.65 * Double(refused.count), "seed \(seed)")
            // All are served in the end, none is lost, and no engine was overrun.
            #expect(fleet.clients.allSatisfy { $0.endedAt != nil && !$0.isTurnedAway })
            #expect(fleet.decider.open == 0)
            #expect(fleet.preemptions == 0)
            #expect(fleet.clients.allSatisfy { ($0.endedAt ?? .distantFuture) < at(150) })
        }
    }
}
