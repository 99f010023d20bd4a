// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Scheduling
import Units

/// Notes why each request was decided about as it was, where the configuration wants that kept.
///
/// Notes are taken at the moment of the decision and never read by it: with and without them the
/// machine decides the same. Requests whose `Arrival.trace` is zero cost nothing.
extension Decider {
    /// What decided about the request of this number; nil when it never came here, or was too long
    /// ago.
    public func trace(_ number: UInt64) -> DecisionTrace? { traces.trace(number) }

    mutating func traceArrival(_ entry: Entry, now: Instant) {
        guard entry.trace > 0 else { return }
        traces.put(entry.trace, DecisionTrace(entry, now: now))
    }

    /// The request goes to `endpoint`; called before the endpoint has it.
    mutating func traceForward(_ entry: Entry, to endpoint: EndpointID, now: Instant) {
        guard let place = traces.place(of: entry.trace) else { return }
        traces[at: place].take(entry, .forwarded, now: now)
        traceOffers(entry, chosen: endpoint, at: place, now: now)
    }

    /// The request is to wait, and is not among the waiting yet.
    mutating func traceQueue(_ entry: Entry, now: Instant) {
        guard let place = traces.place(of: entry.trace) else { return }
        traces[at: place].take(entry, .queued, now: now)
        traceWait(entry, at: place, now: now)
        traces[at: place].wasQueued = true
        traceOffers(entry, chosen: nil, at: place, now: now)
    }

    mutating func traceRefusal(_ entry: Entry, _ refusal: Refusal) {
        guard let place = traces.place(of: entry.trace) else { return }
        let now = present
        traces[at: place].take(entry, .refused, now: now)
        switch refusal.reason {
        case .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .requestExceedsLimit:
            // Of budgets that refuse, the endpoints know nothing.
            guard entry.waitsFrom != nil else { return }
            if !traces[at: place].wasQueued { traceWait(entry, at: place, now: now) }
            traceOffers(entry, chosen: nil, at: place, now: now)
        default: return
        }
    }

    mutating func traceReturn(_ entry: Entry, _ comesBack: DecisionTrace.Return) {
        guard entry.trace > 0 else { return }
        traces.update(entry.trace) { $0.comesBack = comesBack }
    }

    private mutating func traceWait(_ entry: Entry, at place: Int, now: Instant) {
        let ahead = needsAhead(of: entry, now: now)
        let predicted = waitForRoom(entry, behind: ahead, .likely, now: now)
        let lack = phase(entry, now: now)
        traces[at: place].waitersAhead = queues[entry.trafficClass.index].count
        traces[at: place].tokensAhead = ahead
        traces[at: place].predictedWait = predicted
        traces[at: place].lack = lack
    }

    // MARK: endpoints

    /// The endpoints of its pool as the choice saw them, those that hold least where there are more
    /// than a trace has room for, and the chosen one in any case.
    private mutating func traceOffers(
        _ entry: Entry, chosen: EndpointID?, at place: Int, now: Instant
    ) {
        let pool = policy.pools[entry.pool.index].endpoints
        let shown = pool.count <= DecisionTrace.mostOffers ? pool : emptiest(pool, and: chosen)
        traces[at: place].dropOffers()
        traces[at: place].leftOut = pool.count - shown.count
        if !entry.isHard, let key = entry.prefix, let prompt = prompts[key] {
            let way = traceWarm(entry, prompt, shown, chosen: chosen, at: place, now: now)
            traces[at: place].way = way
            return
        }
        for id in shown {
            var offer = offer(id, entry, now: now)
            offer.isChosen = id == chosen
            if offer.isChosen, entry.isHard {
                offer.fits = true
                offer.score = offer.share
            }
            traces.add(offer, at: place)
        }
        if chosen != nil { traces[at: place].way = entry.isHard ? .lowerBound : .leastShare }
    }

    /// The same for a prompt that may be warm somewhere; says how it was chosen. All that have room
    /// are compared first, and where its turn comes only later at the one meant, those where it may
    /// go now.
    private mutating func traceWarm(
        _ entry: Entry, _ prompt: PromptPrefix, _ shown: [EndpointID], chosen: EndpointID?,
        at place: Int, now: Instant
    ) -> DecisionTrace.Way? {
        let match = prefixes.match(prompt.blocks)
        let common = common(entry, prompt, match)
        var entry = entry
        var all = AffinityChoice(
            match, prompt, prompt: entry.input, gate: gate(entry))
        var open = AffinityChoice(
            match, prompt, prompt: entry.input, gate: gate(entry))
        var own: AffinityChoice.Offer?
        var isWarm = false
        for id in shown {
            entry = sharing(entry, common.held(on: id))
            var offer = offer(id, entry, now: now)
            offer.isChosen = id == chosen
            if offer.fits {
                let affinity = AffinityChoice.Offer(
                    endpoint: id, committed: offer.committed,
                    rate: offer.prefillPerSecond * offer.ramp,
                    share: offer.load)
                offer.cached = match.cached(of: prompt, tokens: entry.input, on: id)
                offer.score = AffinityChoice.delay(
                    of: affinity, uncached: Double((entry.input - offer.cached).count))
                all.offer(affinity)
                if offer.takesPrompt { open.offer(affinity) }
                if offer.isChosen {
                    own = affinity
                    isWarm = offer.cached > .zero
                }
            }
            traces.add(offer, at: place)
        }
        guard let chosen, let own else { return nil }
        let meant = all.settled
        let isWhole = traces[at: place].leftOut == 0
        return meant == nil || meant == chosen
            ? Self.way(of: all, to: own, isWarm: isWarm, isWhole: isWhole)
            : Self.way(of: open, to: own, isWarm: isWarm, isWhole: isWhole)
    }

    /// How a choice came to an endpoint; nil where that cannot be told. `isWhole`: it was among
    /// all endpoints.
    private static func way(
        of choice: borrowing AffinityChoice, to chosen: AffinityChoice.Offer, isWarm: Bool,
        isWhole: Bool
    ) -> DecisionTrace.Way? {
        if choice.settled == chosen.endpoint { return isWarm ? .warmPrefix : .leastDelay }
        // Hashing looks at all of them.
        guard choice.settled == nil, isWhole else { return nil }
        return choice.hashed(chosen) == nil ? .leastDelay : .prefixHash
    }

    /// Seven that hold the least of what they can by a simple sum, and the chosen one, in their
    /// order.
    private func emptiest(_ pool: [EndpointID], and chosen: EndpointID?) -> [EndpointID] {
        var best: [(endpoint: EndpointID, share: Double)] = []
        for id in pool where id != chosen && gauges[id.index].isAvailable {
            let held = Double(endpoints[id.index].ledger.projection.count)
            let capacity = endpoints[id.index].ledger.capacity?.count ?? 1
            let share = held / Double(max(1, capacity))
            var place = best.count
            while place > 0, best[place - 1].share > share { place -= 1 }
            guard place < DecisionTrace.mostOffers - 1 else { continue }
            best.insert((id, share), at: place)
            if best.count == DecisionTrace.mostOffers { best.removeLast() }
        }
        let shown = best.map(\.endpoint) + (chosen.map { [$0] } ?? [])
        return shown.isEmpty ? Array(pool.prefix(DecisionTrace.mostOffers)) : shown.sorted()
    }

    private func offer(
        _ id: EndpointID, _ entry: Entry, now: Instant
    ) -> DecisionTrace.Offer {
        let place = id.index
        var offer = DecisionTrace.Offer(id)
        offer.isAvailable = gauges[place].isAvailable
        offer.takesPrompt = endpoints[place].takesPrompt(now)
        offer.promptWait = endpoints[place].promptWait(now)
        (offer.committed, offer.prefillPerSecond) = endpoints[place].prefillAhead(
            waiting: offer.promptWait)
        let held = endpoints[place].held(adding: entry.sequence)
        offer.held = endpoints[place].ledger.beside + held
        offer.share = endpoints[place].ledger.share(holding: held, now: now)
        offer.ramp = rampShare(of: id, now: now)
        guard offer.isAvailable, let load = load(offer, entry, now: now) else { return offer }
        offer.fits = true
        let seen = ramped(load, of: entry, at: id, now: now)
        offer.load = seen ?? load
        if offer.takesPrompt { offer.score = seen.map { $0 + endpoints[place].strain(now) } }
        return offer
    }

    /// `share(of:with:now:)`, which needs no second look where the expected share is allowed.
    private func load(_ offer: DecisionTrace.Offer, _ entry: Entry, now: Instant) -> Double? {
        let id = offer.endpoint
        guard let share = offer.share else {
            guard gpuTakes(entry, at: id, now: now) else { return nil }
            return 1 + Double(endpoints[id.index].held().count)
        }
        let promoted = Double(entry.promoted.count) / Double(max(1, gauges[id.index].capacity))
        let limit = policy.classes[entry.trafficClass.index].throttleAt - promoted
        guard share <= limit else { return self.share(of: id, with: entry, now: now) }
        return gpuTakes(entry, at: id, now: now) ? share + promoted : nil
    }

    // MARK: phases

    /// What a request that is not let in lacks.
    func phase(_ entry: Entry, now: Instant) -> WaitingPhase {
        var lack = WaitingPhase.decode
        for id in policy.pools[entry.pool.index].endpoints
        where gauges[id.index].isAvailable && fits(entry, at: id, now: now) {
            if endpoints[id.index].takesPrompt(now) { return .turn }
            lack = .prefill
        }
        return lack
    }
}
