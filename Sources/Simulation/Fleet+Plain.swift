// SPDX-License-Identifier: Apache-2.0

import Units

/// Fleets under a baseline. Baselines may look into the engines and know every length: what they
/// reach is what the gateway is measured by, not what could be built.
extension Fleet {
    /// A request comes, or comes back from an endpoint that was lost.
    mutating func enterPlain(_ client: Int, _ gateway: Int) {
        guard let plain else { return }
        if plain.isQueueing {
            let blocks = EngineProfile.blocks(for: bound(client))
            guard blocks <= setup.profile.blocks else { return drop(client) }
            gates[gateway].append(client, tenant: outcomes[client].tenant)
            dispatchPlain(gateway)
            return planTick(gateway, isWaiting: gates[gateway].waiting > 0)
        }
        guard let engine = choosePlain(client, gateway, plain) else {
            return turnAway(client, told: nil)
        }
        forwardPlain(client, to: engine, gateway)
    }

    /// A request's endpoint was lost before its first token: it is as if it had just come.
    mutating func comeBackPlain(_ client: Int, _ gateway: Int) {
        release(client, gateway)
        enterPlain(client, gateway)
    }

    private mutating func release(_ client: Int, _ gateway: Int) {
        let engine = outcomes[client].forwardedTo
        gates[gateway].own[engine] -= 1
        gates[gateway].reserved[engine] -= bound(client)
    }

    /// A request has left its endpoint.
    mutating func finishPlain(_ client: Int, _ gateway: Int) {
        release(client, gateway)
        charge(client, gateway, made: outcomes[client].output.count)
        dispatchPlain(gateway)
    }

    /// What the request may hold in the end.
    private func bound(_ client: Int) -> Int {
        let output = outcomes[client].output
        guard case .bound(let bound) = workload.told else {
            return outcomes[client].prompt.count + output.count
        }
        return outcomes[client].prompt.count + max(bound, output).count
    }

    mutating func scrapePlain(_ gateway: Int) {
        for engine in engines.indices {
            let gauges = engines[engine].gauges
            gates[gateway].readings[engine] = PlainGate.Reading(
                usage: gauges.usage, waiting: gauges.waiting, isThere: !isLost[engine])
        }
        dispatchPlain(gateway)
    }

    // MARK: queue

    /// Lets in whose turn it is until one does not fit.
    mutating func dispatchPlain(_ gateway: Int) {
        guard let plain, plain.isQueueing, gates[gateway].waiting > 0 else { return }
        if plain.order == .counters { chargeAll(gateway) }
        while let queue = gates[gateway].next(plain.order),
            let client = gates[gateway].queues[queue].first
        {
            if isTooLate(client) {
                remove(from: queue, gateway)
                turnAway(client, told: nil)
                continue
            }
            guard let engine = choosePlain(client, gateway, plain) else { return }
            remove(from: queue, gateway)
            gates[gateway].lastTenant = queue
            if plain.order == .counters {
                gates[gateway].charge(outcomes[client].tenant, outcomes[client].prompt.count)
            }
            forwardPlain(client, to: engine, gateway)
        }
    }

    private mutating func remove(from queue: Int, _ gateway: Int) {
        gates[gateway].queues[queue].removeFirst()
        gates[gateway].waiting -= 1
    }

    private func isTooLate(_ client: Int) -> Bool {
        now - outcomes[client].arrival > setup.maxWait
    }

    /// Turns those away that have waited too long.
    mutating func expirePlain(_ gateway: Int) {
        for queue in gates[gateway].queues.indices {
            while let client = gates[gateway].queues[queue].first, isTooLate(client) {
                remove(from: queue, gateway)
                clients[client].wasQueued = true
                turnAway(client, told: nil)
            }
        }
        dispatchPlain(gateway)
        planTick(gateway, isWaiting: gates[gateway].waiting > 0)
    }

    /// Charges every token made since the last time.
    private mutating func chargeAll(_ gateway: Int) {
        for engine in engines.indices {
            for client in open[engine] where clients[client].gateway == gateway {
                charge(client, gateway, made: made(client))
            }
        }
    }

    private mutating func charge(_ client: Int, _ gateway: Int, made: Int) {
        gates[gateway].charge(outcomes[client].tenant, 2 * (made - clients[client].charged))
        clients[client].charged = made
    }

    // MARK: choice

    private mutating func forwardPlain(_ client: Int, to engine: Int, _ gateway: Int) {
        guard !isLost[engine] else { return turnAway(client, told: nil) }
        guard submit(client, to: engine) else { return drop(client) }
        outcomes[client].forwardedTo = engine
        gates[gateway].own[engine] += 1
        gates[gateway].reserved[engine] += bound(client)
        gates[gateway].lastEndpoint = engine
    }

    /// The endpoint that the request goes to now; nil when it is not let in.
    private mutating func choosePlain(
        _ client: Int, _ gateway: Int, _ rule: PlainRule
    ) -> Int? {
        switch rule.admission {
        case .all: return chooseAny(client, gateway, rule)
        case .reactive:
            let readings = gates[gateway].readings
            return least(gateway) {
                $0.gates[gateway].own[$1]
            } where: {
                readings[$1].isThere && readings[$1].usage < 0.85 && readings[$1].waiting < 5
            }
        case .reserve:
            let room = setup.profile.kvTokens.count - bound(client)
            return least(gateway) {
                $0.gates[gateway].reserved[$1]
            } where: {
                $0.gates[gateway].reserved[$1] <= room
            }
        case .projection:
            let limit = 0.85 * Double(setup.profile.kvTokens.count) - projected(client)
            return least(gateway) {
                $0.projection($1)
            } where: {
                $0.projection($1) <= limit
            }
        case .peakWalk:
            return least(gateway) {
                $0.open[$1].count
            } where: {
                $0.fits(client, on: $1)
            }
        case .rate(let share):
            let depth = share * setup.capacity
            gates[gateway].fill(perSecond: depth, depth: depth, now: now)
            guard gates[gateway].level[0] >= 1 else { return nil }
            gates[gateway].level[0] -= 1
            return chooseAny(client, gateway, rule)
        case .work(let share):
            gates[gateway].fill(perSecond: share, depth: 1, now: now)
            let levels = gates[gateway].level
            guard let engine = least(gateway, { -levels[$1] }, where: { levels[$1] > 0 }) else {
                return nil
            }
            gates[gateway].level[engine] -= setup.profile.cost.work(
                prompt: outcomes[client].prompt.count, output: outcomes[client].output.count)
            return engine
        }
    }

    private func chooseAny(_ client: Int, _ gateway: Int, _ rule: PlainRule) -> Int? {
        switch rule.choice {
        case .turns: return (gates[gateway].lastEndpoint + 1) % joined
        case .leastRequests:
            return least(gateway) {
                $0.engines[$1].gauges.running + $0.engines[$1].gauges.waiting
            }
        case .leastTokens: return least(gateway) { $0.engines[$1].outstanding.count }
        case .prefix:
            let request = workload.trace.requests[client]
            let cost = setup.profile.cost
            return least(gateway) { fleet, place in
                let engine = fleet.engines[place]
                let found = engine.cached(prompt: request.prompt, prefixes: request.prefixes)
                return cost.perPrefillToken
                    * Double((engine.uncomputed + request.prompt - found).count)
                    + 20 * cost.perContextToken * Double(engine.decodeContext.count)
            }
        case .boundedHash: return bounded(workload.trace.requests[client].prefixes.first ?? 0)
        }
    }

    /// The endpoint of the least load; of equal ones the first.
    private func least<Load: Comparable>(
        _ gateway: Int, _ load: (borrowing Fleet, Int) -> Load,
        where isMeant: (borrowing Fleet, Int) -> Bool = { _, _ in true }
    ) -> Int? {
        var best: (engine: Int, load: Load)?
        for engine in engines.indices where !isLost[engine] && isMeant(self, engine) {
            let load = load(self, engine)
            if best.map({ load < $0.load }) ?? true { best = (engine, load) }
        }
        return best?.engine
    }

    /// The first endpoint in the key's own order that has not its share and a quarter already.
    private func bounded(_ key: UInt64) -> Int? {
        let there = engines.indices.filter { !isLost[$0] }
        let load = there.map { open[$0].count }
        let bound = 1.25 * Double(load.reduce(1, +)) / Double(max(1, there.count))
        let ranked = there.indices.map { place in
            var hash = SplitMix64(seed: key &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(there[place]))
            return (rank: hash.next(), place: place)
        }.sorted { $0.rank < $1.rank }
        let chosen = ranked.first { Double(load[$0.place] + 1) <= bound.rounded(.up) }
        return (chosen ?? ranked.first).map { there[$0.place] }
    }

    private func projection(_ engine: Int) -> Double {
        open[engine].reduce(0) { $0 + projected($1) }
    }

    /// Tokens that a request holds and half of those it is expected to add; past its expectation,
    /// half of that again.
    private func projected(_ client: Int) -> Double {
        let made = made(client)
        var expected = outcomes[client].output.count
        if case .estimates(let estimates) = workload.told { expected = estimates[client].count }
        let rest = expected > made ? expected - made : expected / 2
        return Double(outcomes[client].prompt.count + made) + Double(rest) / 2
    }

    /// Whether everyone on the engine and this one fit to their ends, whoever ends first freeing
    /// what it holds: looked at when each of them ends, block by block.
    private func fits(_ client: Int, on engine: Int) -> Bool {
        var all = open[engine].map { other in
            let made = made(other)
            return (
                rest: outcomes[other].output.count - made,
                held: outcomes[other].prompt.count + made
            )
        }
        all.append((outcomes[client].output.count, outcomes[client].prompt.count))
        all.sort { $0.rest > $1.rest }
        let blocks = setup.profile.blocks
        for (place, last) in all.enumerated().reversed() {
            var held = 0
            for other in all[...place] { held += EngineProfile.blocks(for: other.held + last.rest) }
            if held > blocks { return false }
        }
        return true
    }
}
