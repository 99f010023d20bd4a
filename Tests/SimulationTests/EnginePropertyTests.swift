// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

/// One thing that happens to an engine.
private enum Happening {
    case submit(prompt: Int, output: Int, hashes: [UInt64])
    /// The one submitted as the n-th.
    case cancel(Int)
}

/// A random history: bursts, ties, long gaps, shared prefixes, cancellations.
private func history(seed: UInt64) -> [(at: Instant, Happening)] {
    var random = SplitMix64(seed: seed)
    var now = Instant(nanoseconds: 0)
    var submitted = 0
    return (0..<120).map { _ in
        if random.next() % 3 > 0 {
            now = now + Duration(nanoseconds: Int64(random.next() % 60_000_000))
        }
        if submitted > 0, random.next() % 4 == 0 {
            return (now, .cancel(Int(random.next() % UInt64(submitted))))
        }
        submitted += 1
        let prompt = 1 + Int(random.next() % 200)
        let group = random.next() % 4
        return (
            now,
            .submit(
                prompt: prompt, output: 1 + Int(random.next() % 90),
                hashes: (0..<UInt64(prompt / 32)).map { group << 32 | $0 })
        )
    }
}

/// How the engine's caller follows the time between happenings.
private enum Pace: CaseIterable {
    /// At each step's end, as the server does.
    case everyStep
    /// At each change, as the simulator does.
    case everyChange
    /// Only when something happens.
    case late
}

private struct Follower {
    var engine: EngineModel
    var events: [EngineEvent] = []
    var ids: [SequenceID] = []
    let pace: Pace
    private(set) var conserved = true

    init(_ pace: Pace) {
        self.pace = pace
        let profile = EngineProfile(
            name: "narrow",
            cost: .linear(
                StepCost.Linear(
                    fixed: 3e-3, perPrefillToken: 37e-6, perDecodingSequence: 0.13e-3,
                    perResidentToken: 0.7e-6)),
            requestOverhead: .zero, blocks: 40, stepBudget: Tokens(96), maxSequences: 12)
        engine = EngineModel(profile, prefixUnit: Tokens(32), maxHeld: 200)
    }

    private var nextLook: Instant? {
        switch pace {
        case .everyStep: engine.nextStepEnd
        case .everyChange: engine.nextChange
        case .late: nil
        }
    }

    mutating func follow(until now: Instant?) {
        while let next = nextLook, now.map({ next < $0 }) ?? true {
            engine.advance(to: next, into: &events)
            check()
        }
    }

    mutating func run(_ history: [(at: Instant, Happening)]) throws {
        for (place, (now, happening)) in history.enumerated() {
            follow(until: now)
            switch happening {
            case .submit(let prompt, let output, let hashes):
                ids.append(
                    try engine.submit(
                        prompt: Tokens(prompt), output: Tokens(output), prefixHashes: hashes,
                        now: now, into: &events))
            case .cancel(let place): _ = engine.cancel(ids[place], now: now, into: &events)
            }
            check()
            let isLastOfItsInstant = place + 1 == history.count || history[place + 1].at > now
            if isLastOfItsInstant { engine.advance(to: now, into: &events) }
        }
        follow(until: nil)
        engine.advance(to: Instant(nanoseconds: 3_600_000_000_000), into: &events)
    }

    private mutating func check() { conserved = conserved && engine.blocksAreConserved }

    /// Of each sequence: when it began, its first token, its end, and its tokens.
    func story(_ id: SequenceID) -> String {
        var tokens = 0
        var text = ""
        for event in events {
            switch event {
            case .admitted(id, let cached, let at): text += "admitted \(cached) \(at.nanoseconds) "
            case .firstToken(id, let at):
                tokens += 1
                text += "first \(at.nanoseconds) "
            case .tokens(id, let count, _): tokens += count
            case .preempted(id, let at): text += "preempted \(at.nanoseconds) "
            case .finished(id, let at): text += "finished \(at.nanoseconds) "
            default: break
            }
        }
        return text + "\(tokens) tokens"
    }
}

@Suite struct EnginePropertyTests {
    @Test(arguments: 0..<60 as Range<UInt64>)
    func blocksAreConservedAtEveryMomentAndAllFreeAtTheEnd(seed: UInt64) throws {
        var follower = Follower(.everyStep)
        try follower.run(history(seed: seed))
        #expect(follower.conserved)
        #expect(follower.engine.gauges.running + follower.engine.gauges.waiting == 0)
        #expect(follower.engine.availableBlocks == 40)
        #expect(follower.engine.outstanding == .zero)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func howOftenTheEngineIsLookedAtChangesNothing(seed: UInt64) throws {
        let happenings = history(seed: seed)
        var eachStep = Follower(.everyStep)
        try eachStep.run(happenings)
        for pace in Pace.allCases {
            var other = Follower(pace)
            try other.run(happenings)
            #expect(other.conserved)
            for id in eachStep.ids { #expect(other.story(id) == eachStep.story(id)) }
            #expect(other.engine.counters == eachStep.engine.counters)
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func everyOneThatIsNotCancelledMakesExactlyItsTokens(seed: UInt64) throws {
        let happenings = history(seed: seed).filter {
            if case .cancel = $0.1 { false } else { true }
        }
        var follower = Follower(.everyStep)
        try follower.run(happenings)
        for (place, (_, happening)) in happenings.enumerated() {
            guard case .submit(_, let output, _) = happening else { continue }
            #expect(follower.story(follower.ids[place]).hasSuffix(" \(output) tokens"))
        }
    }

    @Test func theHistoriesPreemptAndHitTheCache() throws {
        var (preemptions, hits, cancelled) = (0, 0, 0)
        for seed in 0..<60 as Range<UInt64> {
            var follower = Follower(.everyStep)
            try follower.run(history(seed: seed))
            preemptions += follower.engine.counters.preemptions
            hits += follower.engine.counters.prefixHits.count
            cancelled += follower.ids.filter { !follower.story($0).contains("finished") }.count
        }
        #expect(preemptions > 100)
        #expect(hits > 1_000)
        #expect(cancelled > 100)
    }
}
