// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Units

/// Lower output bounds, where a class has them.
///
/// Under pressure: a request that fits nowhere under the throttle threshold, and will not soon, is
/// let in between that and the reject threshold, with the bound that fits there. Its bound counts
/// whole, so what it can come to hold is known and not only expected. It never goes below the
/// floor: where even that does not fit, it waits. One that fits somewhere and waits for another
/// reason (a prompt's turn, a place kept for somebody) is left alone.
///
/// While prompts wait: fewer decode steps leave more of each second to prefill, so newcomers get a
/// bound of the configuration.
extension Decider {
    /// What a request needs at the least to be let in beside others, and up to which share.
    struct Claim {
        var sequence: PeakWalk.Sequence
        /// What it will hold at its end.
        var whole: Tokens
        var limit: Double
    }

    func claim(_ entry: Entry) -> Claim {
        guard let clamp = clampUnderPressure(entry) else { return wholeClaim(entry) }
        let least = entry.hard(floor(entry, clamp))
        return Claim(
            sequence: least.sequence, whole: least.input + least.rest,
            limit: below(entry))
    }

    /// Who fills an endpoint up must not be why others are refused.
    private func below(_ entry: Entry) -> Double {
        policy.classes[entry.trafficClass.index].rejectAt.nextDown
    }

    private func wholeClaim(_ entry: Entry) -> Claim {
        Claim(
            sequence: entry.sequence, whole: entry.whole,
            limit: policy.classes[entry.trafficClass.index].throttleAt)
    }

    private func clampUnderPressure(_ entry: Entry) -> ClampPolicy? {
        guard let clamp = policy.classes[entry.trafficClass.index].clamp, clamp.underPressure,
            !entry.isOutputless
        else { return nil }
        return clamp
    }

    /// Pressure may lower its bound.
    func mayBeClamped(_ entry: Entry) -> Bool { clampUnderPressure(entry) != nil }

    private func floor(_ entry: Entry, _ clamp: ClampPolicy) -> Tokens {
        let own = policy.tenants[entry.tenant.index].limits.minCompletionTokens ?? .zero
        return max(clamp.minTokens, own, ClampPolicy.least)
    }

    /// The endpoint where a request fits that fits nowhere as it is: of those where it does with
    /// the lowest bound, the one that is least full then.
    func chooseClamped(
        _ entry: Entry, except held: [EndpointID], now: Instant
    ) -> EndpointID? {
        guard clampUnderPressure(entry) != nil else { return nil }
        let claim = claim(entry)
        var best: EndpointID?
        var lowest = claim.limit.nextUp
        for id in policy.pools[entry.pool.index].endpoints where endpoints[id.index].isAvailable {
            if share(of: id, with: entry, now: now) != nil { return nil }
            guard !held.contains(id), entry.bounces == 0 || !entry.avoids(id),
                endpoints[id.index].takesPrompt(now), rampShare(of: id, now: now) >= 1,
                gpuTakes(entry, holding: claim.whole, at: id, now: now),
                let share = endpoints[id.index].share(adding: claim.sequence, now: now),
                share < lowest
            else { continue }
            best = id
            lowest = share
        }
        guard best != nil, waitsLong(entry, now: now) else { return nil }
        return best
    }

    /// Its room as it is does not come soon: not within a quarter of the time that it may wait, nor
    /// in what is left of it. The same quarter for which it would keep the others waiting.
    private func waitsLong(_ entry: Entry, now: Instant) -> Bool {
        let room = firstRoom(entry, wholeClaim(entry), behind: .zero, .likely, now: now)
        guard let wait = room?.wait else { return true }
        let limit = entry.waitsUntil - (entry.waitsFrom ?? entry.waitsUntil)
        return wait.nanoseconds > limit.nanoseconds / 4 || now + wait > entry.waitsUntil
    }

    /// The request as it is let in at an endpoint that was chosen for it.
    func clamped(_ entry: Entry, at endpoint: EndpointID, now: Instant) -> Entry {
        var entry = entry
        clamp(&entry, at: endpoint, now: now)
        return entry
    }

    /// Makes it what `clamped` gives.
    func clamp(_ entry: inout Entry, at endpoint: EndpointID, now: Instant) {
        guard let clamp = policy.classes[entry.trafficClass.index].clamp, !entry.isOutputless
        else { return }
        let floor = floor(entry, clamp)
        if let most = clamp.prefillQueue, prefillQueue(of: entry.pool) > most {
            entry.clamp(to: max(clamp.prefillMaxTokens, floor))
        }
        guard clamp.underPressure, !fits(entry, at: endpoint, now: now) else { return }
        entry = entry.hard(largestBound(entry, from: floor, at: endpoint, now: now))
    }

    /// The largest bound with which it fits under the reject threshold, all of it counted.
    private func largestBound(
        _ entry: Entry, from floor: Tokens, at endpoint: EndpointID, now: Instant
    ) -> Tokens {
        let capacity = endpoints[endpoint.index].ledger.capacity?.count ?? 1
        let limit = below(entry) - Double(entry.promoted.count) / Double(max(capacity, 1))
        var fits = min(floor, entry.bound).count
        var most = entry.bound.count
        while fits < most {
            let middle = most - (most - fits) / 2
            let cut = entry.hard(Tokens(middle))
            let share = endpoints[endpoint.index].share(adding: cut.sequence, now: now) ?? 0
            let isInside =
                share <= limit
                && gpuTakes(cut, at: endpoint, now: now)
            if isInside { fits = middle } else { most = middle - 1 }
        }
        return Tokens(fits)
    }

    /// Prompt tokens that have not brought a first token, for each engine that takes requests.
    private func prefillQueue(of pool: PoolID) -> Tokens {
        var tokens = Tokens.zero
        for place in policy.classes.indices where policy.classes[place].pool == pool {
            tokens += waitingPrompts[place]
        }
        var count = 0
        for id in policy.pools[pool.index].endpoints where endpoints[id.index].isAvailable {
            tokens += endpoints[id.index].committed
            count += 1
        }
        return Tokens(tokens.count / max(1, count))
    }
}

extension Entry {
    /// What it asked for, where it was let in with less.
    struct Unclamped: Sendable {
        let bound: Tokens
        let isClamped: Bool
        let expected: Tokens
    }

    /// The same with a bound of `most` at most, all of which is counted on.
    func hard(_ most: Tokens) -> Entry {
        var entry = self
        entry.clamp(to: most)
        entry.isHard = true
        return entry
    }

    mutating func clamp(to most: Tokens) {
        guard most < bound else { return }
        if unclamped == nil {
            unclamped = Unclamped(bound: bound, isClamped: isClamped, expected: expected)
        }
        bound = most
        isClamped = true
        expected = min(expected, Tokens(most.count * choices))
    }

    /// It is not where it was let in any more.
    mutating func unclamp() {
        isHard = false
        guard let unclamped else { return }
        bound = unclamped.bound
        isClamped = unclamped.isClamped
        expected = unclamped.expected
        self.unclamped = nil
    }
}
