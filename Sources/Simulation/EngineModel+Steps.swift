// SPDX-License-Identifier: Apache-2.0

public import Units

/// How the engine's time passes: steps begin, end, and make tokens.
extension EngineModel {
    /// A step that ends at `now` exactly still counts as running: what is submitted then may join
    /// the next.
    mutating func finishSteps(endingBefore now: Instant, into events: inout [EngineEvent]) {
        guard now.nanoseconds > 0 else { return }
        finishSteps(by: Instant(nanoseconds: now.nanoseconds - 1), into: &events)
    }

    mutating func finishSteps(by now: Instant, into events: inout [EngineEvent]) {
        while let current = step {
            let ended = current.ended(by: now)
            guard ended > current.finished else { return }
            finish(current, upTo: ended, into: &events)
            guard step == nil else { return }
            beginStep(into: &events)
        }
    }

    /// Finishes every step that is over at `now`, and begins none at that very instant: what is
    /// submitted in answer to an end then joins the next step, as in an engine's own queue.
    public mutating func finish(by now: Instant, into events: inout [EngineEvent]) {
        finishSteps(endingBefore: now, into: &events)
        guard let current = step else { return }
        let ended = current.ended(by: now)
        if ended > current.finished { finish(current, upTo: ended, into: &events) }
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
        if detail == .everyToken {
            for entry in decoding { events.append(.tokens(entry.id, count: steps, at: at)) }
        }
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
        } else if detail == .everyToken {
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

    /// Plans the next step, or the next run of decode-only steps, at `clock`; none when there is no
    /// work.
    mutating func beginStep(into events: inout [EngineEvent]) {
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
    mutating func endRunAfterThisStep() {
        guard let current = step else { return }
        step?.planned = current.finished + 1
    }
}
