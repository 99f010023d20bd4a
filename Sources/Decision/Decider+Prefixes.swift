// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Units

/// Where prompts go that may be warm somewhere, and what is learnt from it.
extension Decider {
    /// Among the endpoints on which the request fits the one where it is warm, or where others that
    /// begin alike are sent; see `AffinityChoice`. Where prompts have their turn there only later,
    /// it waits for that up to the gate, and goes elsewhere beyond it.
    func nearest(
        _ entry: Entry, _ prompt: PromptPrefix, now: Instant, where isMeant: (EndpointID) -> Bool
    ) -> EndpointID? {
        let match = prefixes.match(prompt.blocks)
        let common = common(entry, prompt, match)
        // Of those who wait for a warm place each end asks again: not all endpoints for that.
        guard !waitsForWarmth(entry, match, common, now: now, where: isMeant) else { return nil }
        let offers = offers(to: entry, common, now: now, where: isMeant)
        guard !offers.isEmpty, let meant = nearest(entry, prompt, match, offers) else { return nil }
        if endpoints[meant.index].takesPrompt(now) { return meant }
        if endpoints[meant.index].promptWait(now) <= gate(entry) { return nil }
        var taking: [AffinityChoice.Offer] = []
        for offer in offers where endpoints[offer.endpoint.index].takesPrompt(now) {
            taking.append(offer)
        }
        return nearest(entry, prompt, match, taking)
    }

    /// Where it is warm there is no room, and others wait too: to go elsewhere would take the room
    /// of two of those who are warm there. It lets them pass, for no longer than the gate and eight
    /// turns.
    private func waitsForWarmth(
        _ entry: Entry, _ match: PrefixIndex.Match, _ common: Common, now: Instant,
        where isMeant: (EndpointID) -> Bool
    ) -> Bool {
        guard waiting > 0, match.count > 0, entry.passes < Self.mostPasses else { return false }
        let cold = Newcomer(entry, policy)
        var isThere = false
        for place in 0..<match.count where match.warm[place].blocks > match.common {
            let endpoint = match.warm[place].endpoint
            // Where another pool of the model has it warm this one does not go, and waits for it
            // all the same: to be mended together with what then is over a threshold by a hair.
            if policy.endpoints[endpoint.index].pool == entry.pool,
                offer(of: endpoint, to: entry, cold, common, now: now, where: isMeant) != nil
            {
                return false
            }
            isThere = isThere || gauges[endpoint.index].isAvailable
        }
        return isThere
    }

    /// How much longer a prompt may wait where it is warm than elsewhere.
    func gate(_ entry: Entry) -> Duration {
        policy.routing.prefixGate ?? policy.classes[entry.trafficClass.index].targets?.firstToken
            ?? RoutingPolicy.usualGate
    }

    /// There is room for it, and it waits for a better place: nobody waits for that with it.
    func lingers(_ entry: Entry, now: Instant) -> Bool {
        guard entry.prefix != nil, entry.passes < Self.mostPasses else { return false }
        let cold = Newcomer(entry, policy)
        for id in policy.pools[entry.pool.index].endpoints where mayHaveRoom(id, entry) {
            let isFull = gauges[id.index].least(cold) == .infinity
            if !isFull, endpoints[id.index].load(cold, now: now) != nil { return true }
        }
        return false
    }

    private func nearest(
        _ entry: Entry, _ prompt: PromptPrefix, _ match: PrefixIndex.Match,
        _ offers: [AffinityChoice.Offer]
    ) -> EndpointID? {
        var choice = AffinityChoice(
            match, prompt, prompt: entry.input, gate: gate(entry))
        for offer in offers { choice.offer(offer) }
        if let settled = choice.settled { return settled }
        var best: EndpointID?
        var highest: UInt64 = 0
        for offer in offers {
            guard let rank = choice.hashed(offer), rank >= highest else { continue }
            highest = rank
            best = offer.endpoint
        }
        return best ?? choice.fallback
    }

    /// The endpoints on which the request fits.
    private func offers(
        to entry: Entry, _ common: Common, now: Instant, where isMeant: (EndpointID) -> Bool
    ) -> [AffinityChoice.Offer] {
        let cold = Newcomer(entry, policy)
        var offers: [AffinityChoice.Offer] = []
        for id in policy.pools[entry.pool.index].endpoints {
            let offer = offer(of: id, to: entry, cold, common, now: now, where: isMeant)
            if let offer { offers.append(offer) }
        }
        return offers
    }

    /// That of one endpoint; nil where it has no room for the request. `cold`: as it is where
    /// nothing of its prompt is.
    @inline(__always)
    private func offer(
        of id: EndpointID, to entry: Entry, _ cold: Newcomer, _ common: Common, now: Instant,
        where isMeant: (EndpointID) -> Bool
    ) -> AffinityChoice.Offer? {
        guard mayHaveRoom(id, entry) else { return nil }
        let isRamping = now < rampsUntil[entry.pool.index]
        let held = common.held(on: id)
        let claim = held.tokens > .zero ? Newcomer(sharing(entry, held), policy) : cold
        guard gauges[id.index].least(claim) < .infinity, isMeant(id),
            let whole = endpoints[id.index].load(claim, now: now),
            let load = isRamping ? ramped(whole, of: entry, at: id, now: now) : whole,
            endpoints[id.index].gpu == nil || gpuTakes(entry, at: id, now: now)
        else { return nil }
        let ramp = isRamping ? rampShare(of: id, now: now) : 1
        return endpoints[id.index].offer(of: id, share: load, ramp: ramp, now: now)
    }

    /// A prompt whose beginning may matter is kept until its request ends.
    mutating func keep(_ prefix: PromptPrefix, of model: ModelID) -> SlabKey? {
        guard !prefix.blocks.isEmpty, policy.routing.prefixBlocks > 0 else { return nil }
        return prompts.insert(prefix.salted(UInt64(model.raw)))
    }

    mutating func drop(_ prefix: SlabKey?) {
        if let prefix { prompts.remove(prefix) }
    }

    /// The request is on its way; what of its prompt the endpoint presumably has to prefill.
    mutating func commit(_ entry: Entry, to endpoint: EndpointID, now: Instant) -> Tokens {
        var uncached = entry.input
        if let key = entry.prefix, let prompt = prompts[key] {
            let match = prefixes.match(prompt.blocks)
            for place in 0..<match.count {
                cut(prompt, after: match.warm[place].blocks, at: endpoint)
            }
            uncached -= match.cached(of: prompt, tokens: entry.input, on: endpoint)
            if uncached == entry.input { tellPlace(prompt.blocks, on: endpoint, now: now) }
            prefixes.note(prompt.blocks, on: endpoint)
        }
        prefixes.prefill(uncached, on: endpoint)
        endpoints[endpoint.index].prompted += uncached.count
        endpoints[endpoint.index].prompts.admit(
            ramped(uncached, at: endpoint, now: now), now: now)
        endpoints[endpoint.index].adjustPrompts(now)
        guard entry.isStreamed else {
            endpoints[endpoint.index].prompts.prefilled(uncached)
            return uncached
        }
        endpoints[endpoint.index].streams += 1
        endpoints[endpoint.index].committed += uncached
        endpoints[endpoint.index].prefillRate.began(now: now)
        return uncached
    }

    /// Its first token has come.
    mutating func prefilled(_ entry: Entry, at endpoint: EndpointID, now: Instant) {
        guard entry.isStreamed else { return }
        endpoints[endpoint.index].committed -= entry.uncached
        endpoints[endpoint.index].prefillRate.prefilled(entry.uncached, now: now)
        endpoints[endpoint.index].prompts.prefilled(entry.uncached)
    }

    /// It leaves its endpoint.
    mutating func uncommit(_ entry: Entry, from endpoint: EndpointID, now: Instant) {
        endpoints[endpoint.index].adjustPrompts(now)
        guard entry.isStreamed else { return }
        endpoints[endpoint.index].streams -= 1
        guard entry.firstTokenAt == nil else { return }
        endpoints[endpoint.index].committed -= entry.uncached
        endpoints[endpoint.index].prefillRate.abandoned(now: now)
    }
}
