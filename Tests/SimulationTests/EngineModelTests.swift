// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

/// 1 ms and 1 ms more per decoding sequence or prompt token, so that step times can be told by
/// hand.
private func plain(blocks: Int, budget: Int = 1_000, sequences: Int = 64) -> EngineProfile {
    EngineProfile(
        name: "plain",
        cost: .linear(
            StepCost.Linear(
                fixed: 1e-3, perPrefillToken: 1e-3, perDecodingSequence: 1e-3, perResidentToken: 0)
        ),
        requestOverhead: .zero, blocks: blocks, stepBudget: Tokens(budget),
        maxSequences: sequences)
}

private func at(_ milliseconds: Int) -> Instant {
    Instant(nanoseconds: UInt64(milliseconds) * 1_000_000)
}

/// An engine and everything it has reported.
private struct Bench {
    var engine: EngineModel
    var events: [EngineEvent] = []

    init(_ profile: EngineProfile, prefixUnit: Int = 16, maxHeld: Int = 100) {
        engine = EngineModel(profile, prefixUnit: Tokens(prefixUnit), maxHeld: maxHeld)
    }

    mutating func submit(
        _ prompt: Int, _ output: Int, _ hashes: [UInt64] = [], at now: Int = 0
    ) throws -> SequenceID {
        try engine.submit(
            prompt: Tokens(prompt), output: Tokens(output), prefixHashes: hashes, now: at(now),
            into: &events)
    }
    mutating func advance(to now: Int) { engine.advance(to: at(now), into: &events) }
    mutating func cancel(_ id: SequenceID, at now: Int) -> Bool {
        engine.cancel(id, now: at(now), into: &events)
    }
    mutating func runToIdle() {
        while let next = engine.nextStepEnd { engine.advance(to: next, into: &events) }
    }
}

@Suite struct EngineModelTests {
    @Test func aSequenceIsPrefilledThenMakesOneTokenAStep() throws {
        var bench = Bench(plain(blocks: 10))
        let id = try bench.submit(9, 3)
        bench.advance(to: 0)
        #expect(bench.engine.nextStepEnd == at(10))
        bench.runToIdle()
        #expect(
            bench.events == [
                .admitted(id, cached: .zero, at: at(0)), .firstToken(id, at: at(10)),
                .tokens(id, count: 1, at: at(12)), .tokens(id, count: 1, at: at(14)),
                .finished(id, at: at(14)),
            ])
        #expect(bench.engine.counters.promptTokens == Tokens(9))
        #expect(bench.engine.counters.generationTokens == Tokens(3))
    }

    @Test func aSingleTokenEndsWithItsPrefill() throws {
        var bench = Bench(plain(blocks: 10))
        let id = try bench.submit(1, 1)
        bench.advance(to: 0)
        bench.runToIdle()
        #expect(
            bench.events == [
                .admitted(id, cached: .zero, at: at(0)), .firstToken(id, at: at(2)),
                .finished(id, at: at(2)),
            ])
        #expect(bench.engine.availableBlocks == 10)
    }

    @Test func whatIsSubmittedAtOneInstantSharesTheFirstStep() throws {
        var bench = Bench(plain(blocks: 10))
        let first = try bench.submit(4, 1)
        let second = try bench.submit(5, 1)
        bench.advance(to: 0)
        bench.runToIdle()
        #expect(bench.events.contains(.firstToken(first, at: at(10))))
        #expect(bench.events.contains(.firstToken(second, at: at(10))))
    }

    @Test func whatIsSubmittedAsAStepEndsJoinsTheNextOne() throws {
        var bench = Bench(plain(blocks: 10))
        _ = try bench.submit(9, 3)
        bench.advance(to: 0)
        let second = try bench.submit(4, 1, at: 10)
        bench.advance(to: 10)
        bench.runToIdle()
        #expect(bench.events.contains(.admitted(second, cached: .zero, at: at(10))))
        #expect(bench.events.contains(.firstToken(second, at: at(16))))
    }

    @Test func aLongPromptIsCutToTheBudgetAndDecodesGoOnMeanwhile() throws {
        var bench = Bench(plain(blocks: 20, budget: 11))
        let short = try bench.submit(1, 5)
        bench.advance(to: 0)
        let long = try bench.submit(25, 1, at: 1)
        bench.runToIdle()
        // Each step spends one token of the budget on the decode and ten on the prompt.
        #expect(bench.events.contains(.tokens(short, count: 1, at: at(2 + 12))))
        #expect(bench.events.contains(.tokens(short, count: 1, at: at(2 + 24))))
        #expect(bench.events.contains(.firstToken(long, at: at(2 + 24 + 7))))
    }

    @Test func theBatchHasAtMostMaxSequences() throws {
        var bench = Bench(plain(blocks: 100, sequences: 2))
        for _ in 0..<3 { _ = try bench.submit(4, 3) }
        bench.advance(to: 0)
        #expect(bench.engine.gauges.running == 2)
        #expect(bench.engine.gauges.waiting == 1)
    }

    @Test func aWaitingPromptIsAdmittedOnlyWhenItsBlocksAreFree() throws {
        var bench = Bench(plain(blocks: 4))
        _ = try bench.submit(40, 2)
        let second = try bench.submit(33, 1)
        bench.advance(to: 0)
        #expect(bench.engine.gauges.waiting == 1)
        #expect(bench.engine.gauges.usedBlocks == 3)
        bench.runToIdle()
        // 41 ms of prefill, 2 ms for the second token, then the other prompt.
        #expect(bench.events.contains(.admitted(second, cached: .zero, at: at(43))))
    }

    @Test func usageLeavesTheNullBlockOut() throws {
        var bench = Bench(plain(blocks: 10))
        _ = try bench.submit(32, 2)
        bench.advance(to: 0)
        #expect(bench.engine.gauges.totalBlocks == 11)
        #expect(bench.engine.gauges.usage == 0.2)
    }

    @Test func theYoungestIsPreemptedWhenBlocksRunOutAndEndsWithAllItsTokens() throws {
        // Two sequences of two blocks each outgrow three.
        var bench = Bench(plain(blocks: 3))
        let old = try bench.submit(16, 20)
        let young = try bench.submit(16, 20)
        bench.advance(to: 0)
        bench.runToIdle()
        #expect(bench.engine.counters.preemptions > 0)
        #expect(bench.events.contains { if case .preempted(young, _) = $0 { true } else { false } })
        #expect(!bench.events.contains { if case .preempted(old, _) = $0 { true } else { false } })
        #expect(tokens(of: young, in: bench.events) == 20)
        #expect(tokens(of: old, in: bench.events) == 20)
        #expect(bench.engine.counters.promptTokens == Tokens(32), "counted once")
        #expect(bench.engine.counters.generationTokens == Tokens(40))
        #expect(bench.engine.availableBlocks == 3)
    }

    @Test func thePreemptedIsServedBeforeThoseThatCameLater() throws {
        var bench = Bench(plain(blocks: 3))
        _ = try bench.submit(16, 20)
        let young = try bench.submit(16, 20)
        let late = try bench.submit(17, 1)
        bench.advance(to: 0)
        bench.runToIdle()
        let ends = bench.events.compactMap { event -> SequenceID? in
            if case .finished(let id, _) = event { id } else { nil }
        }
        #expect(ends.firstIndex(of: young) ?? .max < ends.firstIndex(of: late) ?? .min)
    }

    @Test func aKnownPrefixIsNotComputedAgain() throws {
        var bench = Bench(plain(blocks: 20))
        _ = try bench.submit(40, 1, [7, 8])
        bench.advance(to: 0)
        bench.runToIdle()
        #expect(bench.engine.availableBlocks == 20, "cached blocks count as free")
        let second = try bench.submit(40, 1, [7, 8], at: 100)
        bench.advance(to: 100)
        #expect(bench.events.contains(.admitted(second, cached: Tokens(32), at: at(100))))
        #expect(bench.engine.nextStepEnd == at(109))
        #expect(bench.engine.gauges.usedBlocks == 3)
        bench.runToIdle()
        #expect(bench.engine.counters.prefixQueries == Tokens(80))
        #expect(bench.engine.counters.prefixHits == Tokens(32))
        #expect(bench.engine.counters.cachedPromptTokens == Tokens(32))
    }

    @Test func aWholePromptIsNeverFoundInTheCache() throws {
        var bench = Bench(plain(blocks: 20))
        _ = try bench.submit(32, 1, [7, 8])
        bench.advance(to: 0)
        bench.runToIdle()
        #expect(bench.engine.cached(prompt: Tokens(32), prefixes: [7, 8]) == Tokens(16))
        #expect(bench.engine.cached(prompt: Tokens(33), prefixes: [7, 8]) == Tokens(32))
        #expect(bench.engine.cached(prompt: Tokens(33), prefixes: [9, 8]) == .zero)
    }

    @Test func thePrefixUnusedForLongestGoesFirstAndItsTailBeforeItsHead() throws {
        var bench = Bench(plain(blocks: 6))
        _ = try bench.submit(33, 1, [1, 2])
        bench.advance(to: 0)
        bench.runToIdle()
        _ = try bench.submit(33, 1, [3, 4], at: 100)
        bench.advance(to: 100)
        bench.runToIdle()
        // Four blocks are cached, two free; this one needs three.
        _ = try bench.submit(48, 1, at: 200)
        bench.advance(to: 200)
        #expect(bench.engine.cached(prompt: Tokens(33), prefixes: [1, 2]) == Tokens(16))
        #expect(bench.engine.cached(prompt: Tokens(33), prefixes: [3, 4]) == Tokens(32))
        bench.runToIdle()
        #expect(bench.engine.blocksAreConserved)
    }

    @Test func sequencesInFlightShareTheBlocksOfAPrefix() throws {
        var bench = Bench(plain(blocks: 20, budget: 33))
        _ = try bench.submit(33, 9, [1, 2])
        bench.advance(to: 0)
        _ = try bench.submit(33, 9, [1, 2], at: 1)
        bench.advance(to: 40)
        #expect(bench.engine.gauges.running == 2)
        #expect(bench.engine.gauges.usedBlocks == 4)
    }

    @Test func whatCanNeverFitIsRefused() throws {
        var bench = Bench(plain(blocks: 4))
        #expect(throws: EngineRefusal.exceedsCapacity(kvTokens: Tokens(64))) {
            try bench.submit(60, 5)
        }
        #expect(throws: EngineRefusal.exceedsCapacity(kvTokens: Tokens(64))) {
            try bench.submit(Int.max, Int.max)
        }
        _ = try bench.submit(60, 4)
    }

    @Test func aFullEngineRefusesAndTakesAgainAfterAnEnd() throws {
        var bench = Bench(plain(blocks: 40), maxHeld: 2)
        let first = try bench.submit(1, 1)
        _ = try bench.submit(1, 1)
        #expect(throws: EngineRefusal.full(limit: 2)) { try bench.submit(1, 1) }
        let left = bench.cancel(first, at: 0)
        #expect(left)
        _ = try bench.submit(1, 1)
    }

    @Test func anIdleEngineBeginsWhenSomethingComesAndNotBefore() throws {
        var bench = Bench(plain(blocks: 4))
        bench.advance(to: 500)
        #expect(bench.engine.nextStepEnd == nil)
        #expect(bench.engine.nextChange == nil)
        let id = try bench.submit(1, 1, at: 700)
        bench.advance(to: 700)
        bench.runToIdle()
        #expect(bench.events.last == .finished(id, at: at(702)))
    }

    @Test func beingLateChangesNoTime() throws {
        var bench = Bench(plain(blocks: 4))
        let id = try bench.submit(9, 5)
        bench.advance(to: 0)
        bench.advance(to: 5_000)
        #expect(bench.events.last == .finished(id, at: at(18)))
        #expect(bench.events.contains(.tokens(id, count: 4, at: at(18))))
    }

    @Test func stepsAreCountedByTheirTokens() throws {
        var bench = Bench(plain(blocks: 100))
        _ = try bench.submit(100, 3)
        bench.advance(to: 0)
        bench.runToIdle()
        let steps = bench.engine.counters.stepTokens
        #expect(steps.sum == 102)
        #expect(steps.counts[0] == 2)
        #expect(steps.counts[StepTokensHistogram.bounds.firstIndex(of: 128) ?? 0] == 1)
        #expect(steps.counts.reduce(0, +) == 3)
    }

    @Test func theTokensMadeCanBeAskedFor() throws {
        var bench = Bench(plain(blocks: 4))
        let id = try bench.submit(9, 5)
        #expect(bench.engine.made(by: id) == 0)
        bench.advance(to: 0)
        bench.advance(to: 12)
        #expect(bench.engine.made(by: id) == 2)
        bench.runToIdle()
        #expect(bench.engine.made(by: id) == nil)
    }
}

/// All tokens that the events report of a sequence.
func tokens(of id: SequenceID, in events: [EngineEvent]) -> Int {
    events.reduce(0) { sum, event in
        switch event {
        case .firstToken(id, _): sum + 1
        case .tokens(id, let count, _): sum + count
        default: sum
        }
    }
}
