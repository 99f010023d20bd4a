// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Units

/// Who gets blocks, who loses them, and how they come back.
extension EngineModel {
    func cachedUnits(prompt: Int, _ hashes: [UInt64]) -> Int {
        var units = 0
        for hash in hashes.prefix((prompt - 1) / prefixUnit.count) {
            if prefixes.find(hash) == .absent { break }
            units += 1
        }
        return units
    }

    /// Gives the first waiting sequence its blocks and begins its prefill; false when they are not
    /// there.
    mutating func admit(_ id: SequenceID, into events: inout [EngineEvent]) -> Bool {
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
    mutating func preemptYoungest(into events: inout [EngineEvent]) {
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

// MARK: Sets and blocks

extension EngineModel {
    mutating func joinDecode(_ id: SequenceID, _ sequence: inout EngineSequence) {
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

    mutating func leaveDecode(
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

    mutating func leavePrefill(_ id: SequenceID, _ sequence: EngineSequence) {
        prefilling.removeAll { $0 == id }
        prefillingTokens -= sequence.prompt + sequence.made
    }

    /// Tokens that a decoding sequence has in the cache: all but the newest one.
    func contextOf(_ sequence: EngineSequence, lastTick: Int) -> Int {
        sequence.prompt + sequence.output - (lastTick - tick) - 1
    }

    /// Blocks that decoding sequences take at the start of the step `ahead` steps from now: of
    /// those whose last block is full then.
    func blocksNeeded(inSteps ahead: Int) -> Int { needBlockAt[residue(tick + ahead)] }

    private func residue(_ value: Int) -> Int { value & (EngineProfile.blockTokens - 1) }

    /// Gives back what a sequence holds: the blocks of `context` tokens, or those of its admission.
    mutating func release(_ sequence: EngineSequence, context: Int?) {
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
    func heldBlocks(_ sequence: EngineSequence) -> Int {
        guard case .decoding(let lastTick) = sequence.state else { return sequence.ownBlocks }
        let present = contextOf(sequence, lastTick: lastTick) + (step == nil ? 0 : 1)
        return EngineProfile.blocks(for: present) - unitBlocks * sequence.sharedUnits
    }

    mutating func take(_ blocks: Int) {
        while freeBlocks < blocks {
            prefixes.dropOldest()
            freeBlocks += unitBlocks
        }
        freeBlocks -= blocks
        counted.peakBlocks = max(counted.peakBlocks, profile.blocks - availableBlocks)
    }
}
