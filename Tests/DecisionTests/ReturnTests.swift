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

    /// Clients come ten times a second until the engine is full. The first that is refused comes
    /// back, and nobody else.
    private func alone(seed: UInt64, isKnown: Bool, maxWait: Duration) -> Fleet.Client? {
        var fleet = Fleet(
            plan(endpoints: 1, maxWait: maxWait), profile: profile(kv: 16_000), seed: seed)
        var traffic = Traffic(random: SplitMix64(seed: seed), isKnown: isKnown)
        traffic.send(60, to: &fleet, from: 1, over: 60)
        fleet.run(until: at(80))
        var refused: Int?
        for _ in 0..<80 where refused == nil {
            fleet.add(traffic.client(), at: fleet.now + .milliseconds(100))
            fleet.run(until: fleet.now + .milliseconds(100) + maxWait + .milliseconds(10))
            refused = fleet.clients.firstIndex { !$0.refusals.isEmpty }
        }
        guard let refused else { return nil }
        fleet.run(until: at(200))
        return fleet.clients[refused]
    }

    @Test(
        "a client that waits exactly as told is let in, where lengths are known",
        arguments: [Duration.milliseconds(1), .milliseconds(40)])
    func known(maxWait: Duration) {
        let refused = (0..<40 as Range<UInt64>).compactMap {
            alone(seed: $0, isKnown: true, maxWait: maxWait)
        }
        #expect(refused.count >= 35)
        let letIn = refused.filter(\.wasAdmittedAtFirstReturn)
        #expect(letIn.count == refused.count)
        // Nor was it told to wait for longer than the engine needs to run all that is there.
        #expect(refused.allSatisfy { $0.refusals[0].told < .seconds(7) })
    }

    @Test("where lengths can only be expected, nine of ten are")
    func expected() {
        let refused = (0..<40 as Range<UInt64>).compactMap {
            alone(seed: $0, isKnown: false, maxWait: .milliseconds(40))
        }
        #expect(refused.count >= 35)
        let letIn = refused.filter(\.wasAdmittedAtFirstReturn)
        #expect(Double(letIn.count) >= 0.9 * Double(refused.count))
        #expect(refused.allSatisfy { $0.refusals[0].told < .seconds(20) })
    }

    /// Of all who were refused over some seeds, the share that was let in at its first return.
    private func firstReturns(
        engines: Int, isKnown: Bool, maxWait: Duration,
        traffic send: (inout Traffic, inout Fleet) -> Void
    ) -> Double {
        var refused = 0
        var letIn = 0
        for seed in 1...4 as ClosedRange<UInt64> {
            var fleet = Fleet(
                plan(endpoints: engines, maxWait: maxWait), profile: profile(kv: 30_000),
                seed: seed)
            var traffic = Traffic(random: SplitMix64(seed: seed), isKnown: isKnown)
            send(&traffic, &fleet)
            fleet.run(until: at(300))
            let clients = fleet.clients.filter { !$0.refusals.isEmpty }
            refused += clients.count
            letIn += clients.filter(\.wasAdmittedAtFirstReturn).count
            // All are served in the end, none is lost, and no engine was overrun.
            #expect(fleet.clients.allSatisfy { $0.endedAt != nil && !$0.isTurnedAway })
            #expect(fleet.decider.open == 0)
            #expect(fleet.preemptions == 0)
        }
        #expect(refused > 100)
        return Double(letIn) / Double(refused)
    }

    @Test(
        "of a wave that is refused, four of five who do as they are told are let in at once",
        arguments: [1, 4], [true, false])
    func wave(engines: Int, isKnown: Bool) {
        let share = firstReturns(
            engines: engines, isKnown: isKnown, maxWait: .milliseconds(500)
        ) { traffic, fleet in
            traffic.send(40 * engines, to: &fleet, from: 1, over: 30)
            traffic.send(100 * engines, to: &fleet, from: 32, over: 1)
            traffic.send(25 * engines, to: &fleet, from: 33, over: 30)
        }
        #expect(share >= 0.8)
    }

    @Test("of a wave that meets a gateway which has just begun, four of five are")
    func coldWave() {
        let share = firstReturns(
            engines: 2, isKnown: false, maxWait: .milliseconds(500)
        ) { traffic, fleet in
            traffic.send(200, to: &fleet, from: 1, over: 1)
        }
        #expect(share >= 0.8)
    }

    @Test(
        "where more come than can be served for a while, four of five are",
        arguments: [(1, 2_000), (2, 2_000), (2, 500), (4, 2_000)])
    func overload(engines: Int, patience: Int) {
        let share = firstReturns(
            engines: engines, isKnown: false, maxWait: .milliseconds(patience)
        ) { traffic, fleet in
            traffic.send(40 * engines, to: &fleet, from: 1, over: 15)
            traffic.send(260 * engines, to: &fleet, from: 16, over: 40)
        }
        #expect(share >= 0.8)
    }

    @Test("and where that goes on for two minutes, longer than clients wait")
    func longOverload() {
        let share = firstReturns(
            engines: 2, isKnown: false, maxWait: .seconds(2)
        ) { traffic, fleet in
            traffic.send(80, to: &fleet, from: 1, over: 15)
            traffic.send(1_500, to: &fleet, from: 16, over: 120)
        }
        #expect(share >= 0.8)
    }
}
