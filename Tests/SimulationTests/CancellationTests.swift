// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

@Suite struct CancellationTests {
    private var engine = EngineModel(
        EngineProfile(
            name: "plain",
            cost: .linear(
                StepCost.Linear(
                    fixed: 1e-3, perPrefillToken: 1e-3, perDecodingSequence: 1e-3,
                    perResidentToken: 0)),
            requestOverhead: .zero, blocks: 10, stepBudget: Tokens(40), maxSequences: 2),
        prefixUnit: Tokens(16), maxHeld: 10)
    private var events: [EngineEvent] = []

    private func at(_ milliseconds: Int) -> Instant {
        Instant(nanoseconds: UInt64(milliseconds) * 1_000_000)
    }

    private mutating func submit(_ prompt: Int, _ output: Int, _ now: Int = 0) throws -> SequenceID
    {
        try engine.submit(
            prompt: Tokens(prompt), output: Tokens(output), prefixHashes: [UInt64(prompt)],
            now: at(now), into: &events)
    }

    @Test mutating func whileWaitingItLeavesTheQueue() throws {
        for _ in 0..<2 { _ = try submit(8, 4) }
        let third = try submit(8, 4)
        engine.advance(to: at(0), into: &events)
        #expect(engine.gauges.waiting == 1)
        let left = engine.cancel(third, now: at(1), into: &events)
        #expect(left)
        #expect(engine.gauges.waiting == 0)
        #expect(engine.blocksAreConserved)
    }

    @Test mutating func beforeAnyStepItNeverRuns() throws {
        let id = try submit(8, 4)
        let left = engine.cancel(id, now: at(0), into: &events)
        #expect(left)
        engine.advance(to: at(0), into: &events)
        #expect(engine.nextStepEnd == nil)
        #expect(events.isEmpty)
    }

    @Test mutating func whilePrefillingItsBlocksAreFreeAtOnceAndTheStepGoesOn() throws {
        let id = try submit(100, 4)
        engine.advance(to: at(0), into: &events)
        #expect(engine.gauges.usedBlocks == 7)
        let left = engine.cancel(id, now: at(3), into: &events)
        #expect(left)
        #expect(engine.gauges.usedBlocks == 0)
        #expect(engine.blocksAreConserved)
        #expect(engine.nextStepEnd == at(41))
        engine.advance(to: at(41), into: &events)
        #expect(engine.nextStepEnd == nil)
        #expect(tokens(of: id, in: events) == 0)
    }

    @Test(arguments: 0..<20)
    mutating func whileDecodingItsBlocksAreFreeAtOnceWhateverTheBoundary(made: Int) throws {
        let id = try submit(10, 40)
        engine.advance(to: at(0), into: &events)
        // Prefill 11 ms, then a token each 2 ms; half way into a step.
        let now = 12 + 2 * made
        engine.advance(to: at(now), into: &events)
        #expect(engine.gauges.usedBlocks == (10 + made) / 16 + 1)
        let left = engine.cancel(id, now: at(now), into: &events)
        #expect(left)
        #expect(engine.gauges.usedBlocks == 0)
        #expect(engine.availableBlocks == 10)
        #expect(engine.blocksAreConserved)
        #expect(tokens(of: id, in: events) == 1 + made)
    }

    @Test mutating func oneLeavesAndTheOtherGoesOnFaster() throws {
        let first = try submit(8, 10)
        let second = try submit(8, 10)
        engine.advance(to: at(0), into: &events)
        engine.advance(to: at(20), into: &events)
        // Prefill 17 ms, then 3 ms a step with two, 2 ms with one; the step under way ends at 23.
        let left = engine.cancel(first, now: at(21), into: &events)
        #expect(left)
        #expect(engine.nextStepEnd == at(23))
        while let next = engine.nextStepEnd { engine.advance(to: next, into: &events) }
        #expect(events.last == .finished(second, at: at(23 + 7 * 2)))
        #expect(tokens(of: first, in: events) == 2)
    }

    @Test mutating func tokensDueBeforeTheCancellationAreStillReported() throws {
        let id = try submit(10, 40)
        engine.advance(to: at(0), into: &events)
        let left = engine.cancel(id, now: at(16), into: &events)
        #expect(left)
        #expect(tokens(of: id, in: events) == 3)
    }

    @Test mutating func afterAPreemptionItLeavesTheQueue() throws {
        let old = try submit(70, 60)
        let young = try submit(40, 60)
        engine.advance(to: at(0), into: &events)
        while engine.counters.preemptions == 0, let next = engine.nextStepEnd {
            engine.advance(to: next, into: &events)
        }
        let now = try #require(engine.nextStepEnd)
        #expect(engine.gauges.waiting == 1)
        let left = engine.cancel(young, now: now, into: &events)
        #expect(left)
        #expect(engine.gauges.waiting == 0)
        while let next = engine.nextStepEnd { engine.advance(to: next, into: &events) }
        #expect(tokens(of: old, in: events) == 60)
        #expect(engine.availableBlocks == 10)
    }

    @Test mutating func afterTheEndItIsNotKnownAnyMore() throws {
        let id = try submit(8, 1)
        engine.advance(to: at(0), into: &events)
        let known = engine.cancel(id, now: at(1_000), into: &events)
        #expect(!known)
        let next = try submit(8, 1, 1_000)
        #expect(next.slot == id.slot)
        #expect(next != id)
        let stillKnown = engine.cancel(id, now: at(1_000), into: &events)
        #expect(!stillKnown)
    }
}
