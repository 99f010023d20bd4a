// SPDX-License-Identifier: Apache-2.0

import DequeModule
package import Units

/// A continuous-batching engine in virtual time, after vLLM V1 0.21: chunked prefill, first come first served,
/// preemption by recompute, prefix cache.
///
/// A step computes one token for every decoding sequence, then spends what is left of the step's token budget on
/// prompts: those already begun first, then waiting ones. A waiting sequence is admitted while fewer than
/// `maxSequences` run, budget is left, the step preempted nobody, and free blocks cover its whole uncached
/// prompt (vllm/v1/core/sched/scheduler.py). A sequence that crosses a block boundary takes one more block; if
/// none is free, the youngest loses its KV, goes to the head of the queue and later recomputes prompt and tokens
/// so far. The step that ends a prefill makes the first token. There is no watermark.
///
/// Simplifications: a prompt's blocks are taken whole at admission, and generated text is not cached.
///
/// Nothing happens by itself: time comes with each call and must not run backwards. Driven at `nextStepEnd` it
/// reports every step; driven at `nextChange` it finishes runs of decode-only steps at once. Both give the same
/// times, since a run's step ends have one closed form. Being late is harmless too: what was due is done as of
/// its own time.
package struct EngineModel {
    package let profile: EngineProfile
    /// Prompt tokens that one prefix hash covers; a multiple of a block.
    package let prefixUnit: Tokens
    /// Sequences that it holds at most, waiting ones included.
    package let maxHeld: Int

    private var sequences: Slab<EngineSequence>
    private var waiting: Deque<SequenceID> = []
    /// In the order of admission.
    private var prefilling: [SequenceID] = []
    /// In the order in which they began to decode.
    private var decoding: [DecodingEntry] = []
    /// Decoding sequences by the tick, modulo a block, at whose start they need a new block.
    private var needBlockAt = [Int](repeating: 0, count: EngineProfile.blockTokens)
    /// The smallest `lastTick` of the decoding ones.
    private var firstLastTick = Int.max
    /// Tokens that the decoding sequences have in the cache.
    private var context = 0
    private var waitingPrompt = 0
    private var prefillingTokens = 0

    private var prefixes = PrefixCache()
    private var freeBlocks: Int
    private let unitBlocks: Int

    /// Steps done.
    private var tick = 0
    /// The exact end of the last step, in seconds.
    private var clock = 0.0
    private var step: EngineStep?
    private var chunks: [PrefillChunk] = []
    private var nextSerial = 0
    private var nextAdmission = 0
    private var counted = EngineCounters()

    /// An empty engine. `prefixUnit` is rounded up to whole blocks.
    package init(
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
    package var nextStepEnd: Instant? {
        step.map { $0.endInstant(after: $0.finished + 1) }
    }

    /// When something else than one more token per decoding sequence happens, if nothing is submitted or
    /// cancelled before; nil when idle. Never before `nextStepEnd`.
    package var nextChange: Instant? { step.map { $0.endInstant(after: $0.planned) } }

    package var counters: EngineCounters { counted }

    package var gauges: EngineGauges {
        EngineGauges(
            running: prefilling.count + decoding.count, waiting: waiting.count,
            usedBlocks: profile.blocks - availableBlocks, totalBlocks: profile.blocks + 1)
    }

    /// Tokens of everyone here: decode contexts, prompts begun, prompts waiting.
    package var outstanding: Tokens { Tokens(context + prefillingTokens + waitingPrompt) }

    /// Blocks that nobody uses, cached ones included.
    package var availableBlocks: Int { freeBlocks + unitBlocks * prefixes.unused }

    /// The tokens that a sequence has made as of the steps finished; nil when it is not here.
    package func made(by id: SequenceID) -> Int? {
        guard let sequence = sequences[id.key] else { return nil }
        guard case .decoding(let lastTick) = sequence.state else { return sequence.made }
        return sequence.output - (lastTick - tick)
    }

    /// How much of a prompt with these prefix hashes would be found in the cache now; never the whole.
    package func cached(prompt: Tokens, prefixes hashes: [UInt64]) -> Tokens {
        Tokens(cachedUnits(prompt: prompt.count, hashes) * prefixUnit.count)
    }

    /// Whether every block is accounted for: free, cached, or held by a sequence that is here. For tests, in
    /// time linear in the sequences.
    package var blocksAreConserved: Bool {
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
    /// Queues a sequence that will make `output` tokens. It is first looked at when a step begins: `advance`.
    ///
    /// `prefixHashes`: one per leading `prefixUnit` of the prompt, each standing for all text up to its end;
    /// surplus ones are ignored. Prompt and output count as one token at least.
    package mutating func submit(
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

    /// Takes a sequence out, in whatever state, and frees its blocks at once; the step under way is not
    /// shortened. False when it is not here any more.
    package mutating func cancel(
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
    package mutating func advance(to now: Instant, into events: inout [EngineEvent]) {
        finishSteps(by: now, into: &events)
        guard step == nil else { return }
        clock = max(clock, now.engineSeconds)
        beginStep(into: &events)
    }
}

// MARK: - Steps

extension EngineModel {
    /// A step that ends at `now` exactly still counts as running: what is submitted then may join the next.
    private mutating func finishSteps(endingBefore now: Instant, into events: inout [EngineEvent]) {
        guard now.nanoseconds > 0 else { return }
        finishSteps(by: Instant(nanoseconds: now.nanoseconds - 1), into: &events)
    }

    private mutating func finishSteps(by now: Instant, into events: inout [EngineEvent]) {
        while let current = step {
            let ended = current.ended(by: now)
            guard ended > current.finished else { return }
            finish(current, upTo: ended, into: &events)
            guard step == nil else { return }
            beginStep(into: &events)
        }
    }

    /// Finishes steps `current.finished + 1` to `ended` of a run.
    private mutating func finish(
        _ current: EngineStep, upTo ended: Int, into events: inout [EngineEvent]
    ) {
        let at = current.endInstant(after: ended)
        let steps = ended - current.finished
        for number in 1...steps {
            tick += 1
            // The next step of the run begins at once and takes its blocks.
            if current.finished + number < current.planned { take(blocksNeeded(inSteps: 0)) }
        }
        context += steps * decoding.count
        counted.generationTokens += Tokens(steps * decoding.count)
        counted.stepTokens.add(current.tokens, steps: steps)
        for entry in decoding { events.append(.tokens(entry.id, count: steps, at: at)) }
        guard ended == current.planned else {
            step?.finished = ended
            return
        }
        step = nil
        clock = current.end(after: ended)
        counted.busySeconds += clock - current.start
        counted.usageSeconds += current.usage * (clock - current.start)
        finishChunks(at: at, into: &events)
        finishDecoded(at: at, into: &events)
    }

    private mutating func finishChunks(at: Instant, into events: inout [EngineEvent]) {
        for chunk in chunks {
            guard var sequence = sequences[chunk.id.key],
                case .prefilling(let done, let rest) = sequence.state
            else { continue }
            guard rest == chunk.tokens else {
                sequence.state = .prefilling(done: done + chunk.tokens, rest: rest - chunk.tokens)
                sequences.update(chunk.id.key) { $0 = sequence }
                continue
            }
            leavePrefill(chunk.id, sequence)
            endPrefill(chunk.id, &sequence, at: at, into: &events)
        }
        chunks.removeAll(keepingCapacity: true)
    }

    /// The prompt is computed, and one token comes out.
    private mutating func endPrefill(
        _ id: SequenceID, _ sequence: inout EngineSequence, at: Instant,
        into events: inout [EngineEvent]
    ) {
        if sequence.made == 0 {
            counted.promptTokens += Tokens(sequence.prompt)
            counted.cachedPromptTokens += Tokens(sequence.cached)
            events.append(.firstToken(id, at: at))
        } else {
            events.append(.tokens(id, count: 1, at: at))
        }
        counted.generationTokens += Tokens(1)
        sequence.made += 1
        guard sequence.made < sequence.output else {
            release(sequence, context: nil)
            sequences.remove(id.key)
            events.append(.finished(id, at: at))
            return
        }
        joinDecode(id, &sequence)
        sequences.update(id.key) { $0 = sequence }
    }

    /// Lets those go that have made all their tokens, in the order in which they were submitted.
    private mutating func finishDecoded(at: Instant, into events: inout [EngineEvent]) {
        guard firstLastTick <= tick else { return }
        let over = decoding.filter { $0.lastTick <= tick }.sorted { $0.serial < $1.serial }
        for entry in over {
            guard let sequence = sequences[entry.id.key] else { continue }
            leaveDecode(entry.id, sequence, lastTick: entry.lastTick)
            release(sequence, context: contextOf(sequence, lastTick: entry.lastTick))
            sequences.remove(entry.id.key)
            events.append(.finished(entry.id, at: at))
        }
    }

    /// Plans the next step, or the next run of decode-only steps, at `clock`; none when there is no work.
    private mutating func beginStep(into events: inout [EngineEvent]) {
        guard !(waiting.isEmpty && prefilling.isEmpty && decoding.isEmpty) else { return }
        let preemptionsBefore = counted.preemptions
        while !decoding.isEmpty, blocksNeeded(inSteps: 0) > availableBlocks {
            preemptYoungest(into: &events)
        }
        take(blocksNeeded(inSteps: 0))
        var shape = StepShape()
        shape.decoding = decoding.count
        shape.context = context
        var left = profile.stepBudget.count - decoding.count
        for id in prefilling { addChunk(of: id, &left, &shape) }
        while left > 0, counted.preemptions == preemptionsBefore, let id = waiting.first,
            prefilling.count + decoding.count < profile.maxSequences, admit(id, into: &events)
        {
            addChunk(of: id, &left, &shape)
        }
        invariant(shape.decoding + shape.chunks > 0, "a step computes something")
        step = EngineStep(
            start: clock, first: profile.cost.seconds(shape),
            growth: profile.cost.perContextToken * Double(decoding.count),
            tokens: shape.decoding + shape.prefill,
            usage: gauges.usage, planned: plannedSteps(shape))
    }

    private mutating func addChunk(of id: SequenceID, _ left: inout Int, _ shape: inout StepShape) {
        guard case .prefilling(let done, let rest)? = sequences[id.key]?.state else { return }
        shape.prefilled += done
        let tokens = min(rest, left)
        guard tokens > 0 else { return }
        chunks.append(PrefillChunk(id: id, tokens: tokens))
        left -= tokens
        shape.chunks += 1
        shape.prefill += tokens
        shape.pairs += Double(tokens) * (Double(done) + Double(tokens) / 2)
    }

    /// Nothing but decodes: as many steps as until one ends or blocks run out.
    private func plannedSteps(_ shape: StepShape) -> Int {
        guard shape.chunks == 0, waiting.isEmpty else { return 1 }
        let steps = firstLastTick - tick
        var room = availableBlocks
        var planned = 1
        while planned < steps {
            room -= blocksNeeded(inSteps: planned)
            if room < 0 { break }
            planned += 1
        }
        return planned
    }

    /// What was planned ahead no longer holds; the step under way goes on to its end.
    private mutating func endRunAfterThisStep() {
        guard let current = step else { return }
        step?.planned = current.finished + 1
    }
}

// MARK: - Admission and preemption

extension EngineModel {
    private func cachedUnits(prompt: Int, _ hashes: [UInt64]) -> Int {
        var units = 0
        for hash in hashes.prefix((prompt - 1) / prefixUnit.count) {
            if prefixes.find(hash) == .absent { break }
            units += 1
        }
        return units
    }

    /// Gives the first waiting sequence its blocks and begins its prefill; false when they are not there.
    private mutating func admit(_ id: SequenceID, into events: inout [EngineEvent]) -> Bool {
        guard var sequence = sequences[id.key] else { return false }
        let hits = cachedUnits(prompt: sequence.prompt, sequence.hashes)
        let full = sequence.prompt + sequence.made
        let blocks = EngineProfile.blocks(for: full)
        var hitsUnused = 0
        for hash in sequence.hashes.prefix(hits) where prefixes.find(hash) == .unused {
            hitsUnused += 1
        }
        guard blocks - unitBlocks * hits <= availableBlocks - unitBlocks * hitsUnused else {
            return false
        }
        var fresh = 0
        for hash in sequence.hashes where prefixes.retain(hash) == .absent { fresh += 1 }
        sequence.sharedUnits = sequence.hashes.count
        sequence.ownBlocks = blocks - unitBlocks * sequence.sharedUnits
        take(sequence.ownBlocks + unitBlocks * fresh)
        let cached = hits * prefixUnit.count
        sequence.state = .prefilling(done: cached, rest: full - cached)
        sequence.admission = nextAdmission
        nextAdmission += 1
        if sequence.preemptions == 0 {
            sequence.cached = cached
            counted.prefixHits += Tokens(cached)
            counted.prefixQueries += Tokens(full)
        }
        waiting.removeFirst()
        waitingPrompt -= sequence.prompt
        prefilling.append(id)
        prefillingTokens += full
        sequences.update(id.key) { $0 = sequence }
        events.append(
            .admitted(id, cached: Tokens(cached), at: Instant(engineSeconds: clock)))
        return true
    }

    /// Between two steps only.
    private mutating func preemptYoungest(into events: inout [EngineEvent]) {
        guard let id = youngest, var sequence = sequences[id.key] else {
            invariant(false, "blocks that ran out are held by somebody")
            return
        }
        if case .decoding(let lastTick) = sequence.state {
            leaveDecode(id, sequence, lastTick: lastTick)
            release(sequence, context: contextOf(sequence, lastTick: lastTick))
            sequence.made = sequence.output - (lastTick - tick)
        } else {
            leavePrefill(id, sequence)
            release(sequence, context: nil)
        }
        sequence.state = .waiting
        sequence.sharedUnits = 0
        sequence.ownBlocks = 0
        sequence.preemptions += 1
        counted.preemptions += 1
        waiting.prepend(id)
        waitingPrompt += sequence.prompt
        sequences.update(id.key) { $0 = sequence }
        events.append(.preempted(id, at: Instant(engineSeconds: clock)))
    }

    /// The sequence admitted last.
    private var youngest: SequenceID? {
        var best: (id: SequenceID, admission: Int)?
        for entry in decoding where entry.admission > best?.admission ?? -1 {
            best = (entry.id, entry.admission)
        }
        if let last = prefilling.last, let sequence = sequences[last.key],
            sequence.admission > best?.admission ?? -1
        {
            return last
        }
        return best?.id
    }
}

// MARK: - Sets and blocks

extension EngineModel {
    private mutating func joinDecode(_ id: SequenceID, _ sequence: inout EngineSequence) {
        let present = sequence.prompt + sequence.made - 1
        let lastTick = tick + sequence.output - sequence.made
        sequence.state = .decoding(lastTick: lastTick)
        decoding.append(
            DecodingEntry(
                id: id, lastTick: lastTick, serial: sequence.serial, admission: sequence.admission))
        firstLastTick = min(firstLastTick, lastTick)
        context += present
        needBlockAt[residue(tick - present)] += 1
    }

    private mutating func leaveDecode(
        _ id: SequenceID, _ sequence: EngineSequence, lastTick: Int
    ) {
        let present = contextOf(sequence, lastTick: lastTick)
        context -= present
        needBlockAt[residue(tick - present)] -= 1
        decoding.removeAll { $0.id == id }
        guard lastTick == firstLastTick else { return }
        firstLastTick = Int.max
        for entry in decoding { firstLastTick = min(firstLastTick, entry.lastTick) }
    }

    private mutating func leavePrefill(_ id: SequenceID, _ sequence: EngineSequence) {
        prefilling.removeAll { $0 == id }
        prefillingTokens -= sequence.prompt + sequence.made
    }

    /// Tokens that a decoding sequence has in the cache: all but the newest one.
    private func contextOf(_ sequence: EngineSequence, lastTick: Int) -> Int {
        sequence.prompt + sequence.output - (lastTick - tick) - 1
    }

    /// Blocks that decoding sequences take at the start of the step `ahead` steps from now: of those whose
    /// last block is full then.
    private func blocksNeeded(inSteps ahead: Int) -> Int { needBlockAt[residue(tick + ahead)] }

    private func residue(_ value: Int) -> Int { value & (EngineProfile.blockTokens - 1) }

    /// Gives back what a sequence holds: the blocks of `context` tokens, or those of its admission.
    private mutating func release(_ sequence: EngineSequence, context: Int?) {
        // The tail first, so that it is reused before the head (block_pool.py, `free_blocks`).
        for hash in sequence.hashes.prefix(sequence.sharedUnits).reversed() {
            prefixes.release(hash)
        }
        if let context {
            freeBlocks += EngineProfile.blocks(for: context) - unitBlocks * sequence.sharedUnits
        } else {
            freeBlocks += sequence.ownBlocks
        }
    }

    /// Blocks beside the shared ones that a sequence holds while a step is under way.
    private func heldBlocks(_ sequence: EngineSequence) -> Int {
        guard case .decoding(let lastTick) = sequence.state else { return sequence.ownBlocks }
        let present = contextOf(sequence, lastTick: lastTick) + (step == nil ? 0 : 1)
        return EngineProfile.blocks(for: present) - unitBlocks * sequence.sharedUnits
    }

    private mutating func take(_ blocks: Int) {
        while freeBlocks < blocks {
            prefixes.dropOldest()
            freeBlocks += unitBlocks
        }
        freeBlocks -= blocks
    }
}
