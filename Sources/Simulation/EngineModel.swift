// SPDX-License-Identifier: Apache-2.0

import DequeModule
public import Units

/// A continuous-batching engine in virtual time, after vLLM V1 0.21: chunked prefill, first come
/// first served, preemption by recompute, prefix cache.
///
/// A step computes one token for every decoding sequence, then spends what is left of the step's
/// token budget on prompts: those already begun first, then waiting ones. A waiting sequence is
/// admitted while fewer than `maxSequences` run, budget is left, the step preempted nobody, and
/// free blocks cover its whole uncached prompt (vllm/v1/core/sched/scheduler.py). A sequence that
/// crosses a block boundary takes one more block; if none is free, the youngest loses its KV, goes
/// to the head of the queue and later recomputes prompt and tokens so far. The step that ends a
/// prefill makes the first token. There is no watermark.
///
/// Simplifications: a prompt's blocks are taken whole at admission, and generated text is not
/// cached.
///
/// Nothing happens by itself: time comes with each call and must not run backwards. Driven at
/// `nextStepEnd` it reports every step; driven at `nextChange` it finishes runs of decode-only
/// steps at once. Both give the same times, since a run's step ends have one closed form. Being
/// late is harmless too: what was due is done as of its own time.
public struct EngineModel {
    public let profile: EngineProfile
    /// Prompt tokens that one prefix hash covers; a multiple of a block.
    public let prefixUnit: Tokens
    /// Sequences that it holds at most, waiting ones included.
    public let maxHeld: Int

    /// What it reports; `milestones` leaves `EngineEvent.tokens` out, for runs of millions.
    public var detail = Detail.everyToken

    /// How much an engine reports.
    public enum Detail: Sendable, Equatable { case everyToken, milestones }

    // The stored state is the model's own: only its extensions in this room touch it.
    var sequences: Slab<EngineSequence>
    var waiting: Deque<SequenceID> = []
    /// In the order of admission.
    var prefilling: [SequenceID] = []
    /// In the order in which they began to decode.
    var decoding: [DecodingEntry] = []
    /// Decoding sequences by the tick, modulo a block, at whose start they need a new block.
    var needBlockAt = [Int](repeating: 0, count: EngineProfile.blockTokens)
    /// The smallest `lastTick` of the decoding ones.
    var firstLastTick = Int.max
    /// Tokens that the decoding sequences have in the cache.
    var context = 0
    var waitingPrompt = 0
    var prefillingTokens = 0

    var prefixes = PrefixCache()
    var freeBlocks: Int
    let unitBlocks: Int

    /// Steps done.
    var tick = 0
    /// The exact end of the last step, in seconds.
    var clock = 0.0
    var step: EngineStep?
    var chunks: [PrefillChunk] = []
    var nextSerial = 0
    var nextAdmission = 0
    var counted = EngineCounters()

    /// An empty engine. `prefixUnit` is rounded up to whole blocks.
    public init(
        _ profile: EngineProfile, prefixUnit: Tokens = Tokens(512), maxHeld: Int = 65_536
    ) {
        self.profile = profile
        unitBlocks = max(1, EngineProfile.blocks(for: prefixUnit.count))
        self.prefixUnit = Tokens(unitBlocks * EngineProfile.blockTokens)
        self.maxHeld = maxHeld
        sequences = Slab(limit: maxHeld)
        freeBlocks = profile.blocks
    }
}

// MARK: - What can be seen

extension EngineModel {
    /// When the step under way ends; nil when idle. The engine wants `advance` then.
    public var nextStepEnd: Instant? {
        step.map { $0.endInstant(after: $0.finished + 1) }
    }

    /// When something else than one more token per decoding sequence happens, if nothing is
    /// submitted or cancelled before; nil when idle. Never before `nextStepEnd`.
    public var nextChange: Instant? { step.map { $0.endInstant(after: $0.planned) } }

    public var counters: EngineCounters { counted }

    public var gauges: EngineGauges {
        EngineGauges(
            running: prefilling.count + decoding.count, waiting: waiting.count,
            usedBlocks: profile.blocks - availableBlocks, totalBlocks: profile.blocks + 1)
    }

    /// Tokens of everyone here: decode contexts, prompts begun, prompts waiting.
    public var outstanding: Tokens { Tokens(context + prefillingTokens + waitingPrompt) }

    /// Prompt tokens, and tokens lost by preemption, that are still to be computed, without a look
    /// at the prefix cache for those who wait. In time linear in them.
    public var uncomputed: Tokens {
        var sum = waitingPrompt
        for id in waiting { sum += sequences[id.key]?.made ?? 0 }
        for id in prefilling {
            if case .prefilling(_, let rest)? = sequences[id.key]?.state { sum += rest }
        }
        return Tokens(sum)
    }

    /// Tokens that the decoding sequences hold.
    public var decodeContext: Tokens { Tokens(context) }

    /// Blocks that nobody uses, cached ones included.
    public var availableBlocks: Int { freeBlocks + unitBlocks * prefixes.unused }

    /// The tokens that a sequence has made as of the steps finished; nil when it is not here.
    public func made(by id: SequenceID) -> Int? {
        guard let sequence = sequences[id.key] else { return nil }
        guard case .decoding(let lastTick) = sequence.state else { return sequence.made }
        return sequence.output - (lastTick - tick)
    }

    /// How much of a prompt with these prefix hashes would be found in the cache now; never the
    /// whole.
    public func cached(prompt: Tokens, prefixes hashes: [UInt64]) -> Tokens {
        Tokens(cachedUnits(prompt: prompt.count, hashes) * prefixUnit.count)
    }

    /// Whether every block is accounted for: free, cached, or held by a sequence that is here. For
    /// tests, in time linear in the sequences.
    public var blocksAreConserved: Bool {
        var own = 0
        for id in decoding.map(\.id) + prefilling {
            own += sequences[id.key].map(heldBlocks) ?? 0
        }
        let shared = unitBlocks * (prefixes.used + prefixes.unused)
        return freeBlocks + shared + own == profile.blocks
    }
}

// MARK: - Events

extension EngineModel {
    /// Queues a sequence that will make `output` tokens. It is first looked at when a step begins:
    /// `advance`.
    ///
    /// `prefixHashes`: one per leading `prefixUnit` of the prompt, each standing for all text up to
    /// its end; surplus ones are ignored. Prompt and output count as one token at least.
    public mutating func submit(
        prompt: Tokens, output: Tokens, prefixHashes: [UInt64] = [], now: Instant,
        into events: inout [EngineEvent]
    ) throws(EngineRefusal) -> SequenceID {
        finishSteps(endingBefore: now, into: &events)
        let (prompt, output) = (max(1, prompt.count), max(1, output.count))
        guard prompt <= profile.kvTokens.count, output <= profile.kvTokens.count,
            EngineProfile.blocks(for: prompt + output) <= profile.blocks
        else { throw .exceedsCapacity(kvTokens: profile.kvTokens) }
        let sequence = EngineSequence(
            serial: nextSerial, prompt: prompt, output: output,
            hashes: Array(prefixHashes.prefix(prompt / prefixUnit.count)))
        guard let key = sequences.insert(sequence) else { throw .full(limit: maxHeld) }
        nextSerial += 1
        let id = SequenceID(key: key)
        waiting.append(id)
        waitingPrompt += prompt
        endRunAfterThisStep()
        return id
    }

    /// Takes a sequence out, in whatever state, and frees its blocks at once; the step under way is
    /// not shortened. False when it is not here any more.
    public mutating func cancel(
        _ id: SequenceID, now: Instant, into events: inout [EngineEvent]
    ) -> Bool {
        finishSteps(endingBefore: now, into: &events)
        guard let sequence = sequences[id.key] else { return false }
        switch sequence.state {
        case .waiting:
            waiting.removeAll { $0 == id }
            waitingPrompt -= sequence.prompt
        case .prefilling:
            chunks.removeAll { $0.id == id }
            leavePrefill(id, sequence)
            release(sequence, context: nil)
        case .decoding(let lastTick):
            // The step under way has taken the block of the token it would have made.
            leaveDecode(id, sequence, lastTick: lastTick)
            release(sequence, context: contextOf(sequence, lastTick: lastTick) + 1)
        }
        sequences.remove(id.key)
        endRunAfterThisStep()
        return true
    }

    /// Finishes every step that is over at `now`, and begins the next one if there is work.
    public mutating func advance(to now: Instant, into events: inout [EngineEvent]) {
        finishSteps(by: now, into: &events)
        guard step == nil else { return }
        clock = max(clock, now.engineSeconds)
        beginStep(into: &events)
    }
}
