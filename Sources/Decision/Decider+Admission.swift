// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Scheduling
import Units

/// Queue, choice, admission and what follows from them.
///
/// The rule: a request goes to the endpoint with the least projected load whose projection, the
/// request included, stays under the class's throttle threshold; one that is too large for that
/// goes to an endpoint that is empty. Otherwise it waits, unless every endpoint is above the reject
/// threshold or its turn would come too late: then it is refused at once, with the time at which
/// there will be room. Whose turn it is stands in `Decider+Turns`.
extension Decider {
    // MARK: queue

    mutating func enqueue(
        _ ticket: Ticket, _ entry: Entry, now: Instant, into actions: inout [Action]
    ) {
        guard entry.deadline > now else {
            return refuse(ticket, Refusal(.deadlineExceeded, isFinal: true), into: &actions)
        }
        var entry = entry
        let queue = policy.classes[entry.trafficClass.index].queue
        entry.waitsFrom = now
        entry.waitsUntil = min(now + patience(entry), entry.deadline)
        entries.update(ticket) { $0 = entry }
        pools[entry.pool.index].flow.arrived(entry.need, now: now)
        queues[entry.trafficClass.index].lift(entry.tenant)
        if let endpoint = turnOnArrival(entry, now: now) {
            return forward(ticket, entry, to: endpoint, now: now, into: &actions)
        }
        if let refusal = pressure(entry, now: now) {
            return refuse(ticket, refusal, into: &actions)
        }
        traceQueue(entry, now: now)
        guard
            let place = queues[entry.trafficClass.index].append(
                waiter(ticket, entry), within: queue)
        else { return refuse(ticket, queueFull(entry, now: now), into: &actions) }
        entries.update(ticket) { $0.stage = .queued(place) }
        waiting += 1
        waitingPrompts[entry.trafficClass.index] += entry.input
        // Where only the store is to be asked, it has not been told to wait.
        guard sharing != nil, claims(for: ticket, entry, now: now, into: &actions) else {
            return actions.append(.queued(entry.request))
        }
    }

    /// One that needs an endpoint of its own is in nobody's way anywhere else.
    private func waiter(_ ticket: Ticket, _ entry: Entry) -> ClassQueue.Entry {
        ClassQueue.Entry(
            ticket: ticket, tenant: entry.tenant, tokens: entry.tokens, cost: entry.cost,
            need: needsEmpty(entry) ? .zero : entry.need,
            arrivedAt: entry.waitsFrom ?? entry.waitsUntil, expiresAt: entry.waitsUntil)
    }

    /// The entry was in its queue and is not any more; what becomes of it is the caller's.
    mutating func leaveQueue(_ entry: Entry, _ place: SlabKey) {
        let own = entry.trafficClass.index
        guard queues[own].remove(place) != nil else { return }
        waiting -= 1
        waitingPrompts[own] -= entry.input
        if queues[own].isEmpty { shares[own].rests() }
    }

    mutating func expire(now: Instant, into actions: inout [Action]) {
        guard waiting > 0 else { return }
        for place in queues.indices {
            var late: [ClassQueue.Entry] = []
            queues[place].removeExpired(now, into: &late)
            waiting -= late.count
            if queues[place].isEmpty { shares[place].rests() }
            for waiter in late {
                guard let entry = entries[waiter.ticket] else { continue }
                waitingPrompts[place] -= entry.input
                refuse(waiter.ticket, tooLate(entry, now: now), into: &actions)
            }
        }
    }

    // MARK: choose and admit

    /// The available endpoint with the least projected share on which the request fits, and the
    /// least strain where a pace is wanted. One where
    /// it bounced is none, as long as the pool has another. A worker that has not heard of a new
    /// endpoint yet takes the configuration over with the action that names it.
    /// Those that are `held` for somebody else are none either.
    func choose(_ entry: Entry, except held: [EndpointID] = [], now: Instant) -> EndpointID? {
        chooseWhole(entry, except: held, now: now)
            ?? chooseClamped(entry, except: held, now: now)
    }

    private func chooseWhole(
        _ entry: Entry, except held: [EndpointID], now: Instant
    ) -> EndpointID? {
        if entry.bounces > 0 {
            let others = best(entry, now: now) { !entry.avoids($0) && !held.contains($0) }
            if others != nil || hasAlternative(entry) { return others }
        }
        return best(entry, now: now) { !held.contains($0) }
    }

    private func best(
        _ entry: Entry, now: Instant, where isMeant: (EndpointID) -> Bool
    ) -> EndpointID? {
        if let key = entry.prefix, let prompt = prompts[key] {
            return nearest(entry, prompt, now: now, where: isMeant)
        }
        return leastLoaded(entry, now: now, where: isMeant)
    }

    private func hasAlternative(_ entry: Entry) -> Bool {
        policy.pools[entry.pool.index].endpoints.contains {
            gauges[$0.index].isAvailable && !entry.avoids($0)
        }
    }

    private func leastLoaded(
        _ entry: Entry, now: Instant, where isMeant: (EndpointID) -> Bool
    ) -> EndpointID? {
        let claim = Newcomer(entry, policy)
        let pool = policy.pools[entry.pool.index].endpoints
        if pool.count == 1, let only = pool.first, gauges[only.index].surelyFits(claim),
            isMeant(only), endpoints[only.index].takesPrompt(now),
            gpuTakes(entry, at: only, now: now)
        {
            return only
        }
        var best: EndpointID?
        var bestLoad = Double.infinity
        let isRamping = now < rampsUntil[entry.pool.index]
        for id in pool where mayHaveRoom(id, entry) {
            guard gauges[id.index].least(claim) < bestLoad, isMeant(id),
                endpoints[id.index].takesPrompt(now),
                let whole = endpoints[id.index].load(claim, now: now), whole < bestLoad,
                let share = isRamping ? ramped(whole, of: entry, at: id, now: now) : whole,
                endpoints[id.index].gpu == nil || gpuTakes(entry, at: id, now: now)
            else { continue }
            let load = share + endpoints[id.index].strain(now)
            guard load < bestLoad else { continue }
            best = id
            bestLoad = load
        }
        return best
    }

    /// `EndpointState.load`, without regard to prompts.
    func share(of id: EndpointID, with entry: Entry, now: Instant) -> Double? {
        let claim = Newcomer(entry, policy)
        guard gauges[id.index].least(claim) < .infinity, gpuTakes(entry, at: id, now: now) else {
            return nil
        }
        return endpoints[id.index].load(claim, now: now)
    }

    /// It has a share there.
    func fits(_ entry: Entry, at id: EndpointID, now: Instant) -> Bool {
        if gauges[id.index].surelyFits(Newcomer(entry, policy)) {
            return gpuTakes(entry, at: id, now: now)
        }
        return share(of: id, with: entry, now: now) != nil
    }

    mutating func forward(
        _ ticket: Ticket, _ entry: Entry, to endpoint: EndpointID, now: Instant,
        into actions: inout [Action]
    ) {
        var entry = entry
        if entry.prefix != nil { entry.share(common(entry).held(on: endpoint)) }
        clamp(&entry, at: endpoint, now: now)
        traceForward(entry, to: endpoint, now: now)
        joinCommon(ticket, &entry, at: endpoint)
        endpoints[endpoint.index].ledger.admit(
            input: entry.input, expectedOutput: entry.rest, common: entry.common)
        endpoints[endpoint.index].walk.append(entry.sequence)
        endpoints[endpoint.index].bounds.append(entry.longest)
        endpoints[endpoint.index].excess += entry.excess
        entry.uncached = commit(entry, to: endpoint, now: now)
        share(entry)
        entry.turnover = endpoints[endpoint.index].turnover(
            need: entry.need, steps: entry.expected.count / entry.choices)
        endpoints[endpoint.index].turnover += entry.turnover
        entry.seat = seats[endpoint.index].count
        seats[endpoint.index].append(ticket)
        if entry.bounces == 0 { retries.sent(now: now) }
        entry.forwardedAt = now
        entry.charged = entry.due
        queues[entry.trafficClass.index].dispatch(
            entry.tenant, entry.place, cost: entry.cost, charge: entry.charged)
        entry.stage = .forwarded(endpoint)
        entries.update(ticket) { $0 = entry }
        gauge(endpoint, now: now)
        actions.append(
            .forward(entry.request, to: endpoint, bound: entry.isClamped ? entry.bound : nil))
    }

    // MARK: observe

    mutating func stream(_ ticket: Ticket, _ output: Tokens, now: Instant) {
        guard let entry = entries[ticket], case .forwarded(let endpoint) = entry.stage,
            output > entry.streamed
        else { return }
        let place = endpoint.index
        var after = entry
        after.streamed = output
        after.lastTokenAt = now
        endpoints[place].lastTokenAt = now
        if entry.firstTokenAt == nil {
            after.firstTokenAt = now
            endpoints[place].ledger.firstToken(input: entry.input)
            prefilled(entry, at: endpoint, now: now)
            if let start = entry.forwardedAt {
                endpoints[place].observeFirstToken(after: now - start)
            }
        }
        endpoints[place].ledger.grow(
            by: output - entry.streamed, rest: entry.rest, to: after.rest)
        endpoints[place].walk.update(entry.seat, to: after.sequence)
        endpoints[place].bounds.update(entry.seat, to: after.longest)
        endpoints[place].excess += after.excess - entry.excess
        if let last = entry.lastTokenAt, entry.isStreamed {
            observeSteps(after.each - entry.each, in: now - last, at: place, now: now)
        }
        charge(&after, after.due)
        entries.update(ticket) { $0 = after }
        gauge(endpoint, now: now)
    }

    private mutating func observeSteps(
        _ steps: Int, in time: Duration, at place: Int, now: Instant
    ) {
        let hasLearnt = endpoints[place].prompts.observe(
            steps: steps, in: time, decoding: endpoints[place].decoding,
            resident: endpoints[place].residentOfAll, now: now)
        if hasLearnt { endpoints[place].adjustPrompts(now) }
    }

    /// The request leaves its endpoint; what becomes of it is the caller's.
    mutating func vacate(
        _ ticket: Ticket, _ entry: Entry, _ endpoint: EndpointID, now: Instant
    ) {
        leaveCommon(ticket, entry, at: endpoint)
        endpoints[endpoint.index].ledger.release(
            resident: entry.held, rest: entry.rest,
            prefilling: entry.firstTokenAt == nil ? entry.input : .zero)
        endpoints[endpoint.index].walk.remove(entry.seat)
        endpoints[endpoint.index].bounds.remove(entry.seat)
        endpoints[endpoint.index].excess -= entry.excess
        uncommit(entry, from: endpoint, now: now)
        sharing?.lines[endpoint.index].hasFreed = true
        endpoints[endpoint.index].turnover -= entry.turnover
        gauge(endpoint, now: now)
        guard let last = seats[endpoint.index].popLast(), last != ticket else { return }
        seats[endpoint.index][entry.seat] = last
        entries.update(last) { $0.seat = entry.seat }
    }

    /// Not a byte of an answer came: another endpoint may have it, three in all, within the time
    /// that it may wait anyway, as far as there is a budget for such. It had its turn before
    /// all who wait now.
    mutating func bounce(_ ticket: Ticket, now: Instant, into actions: inout [Action]) {
        guard var entry = entries[ticket], case .forwarded(let endpoint) = entry.stage else {
            return
        }
        endpoints[endpoint.index].health.failed(now: now)
        endpoints[endpoint.index].prompts.giveBack(entry.uncached, now: now)
        vacate(ticket, entry, endpoint, now: now)
        charge(&entry, .zero)
        entry.bounced(from: endpoint)
        entries.update(ticket) { $0 = entry }
        resend(ticket, entry, now: now, into: &actions)
        dispatchAround(endpoints[endpoint.index].pool, now: now, into: &actions)
    }

    private mutating func resend(
        _ ticket: Ticket, _ entry: Entry, now: Instant, into actions: inout [Action]
    ) {
        guard entry.bounces < 3 else {
            return refuse(ticket, Refusal(.upstreamFailed), into: &actions)
        }
        guard lowestShare(entry, now: now) != nil else {
            return refuse(ticket, noEndpoint(), into: &actions)
        }
        guard retries.take(now: now) else {
            return refuse(ticket, Refusal(.upstreamFailed), into: &actions)
        }
        if let other = choose(entry, now: now), cover(entry, at: other, now: now) {
            return forward(ticket, entry, to: other, now: now, into: &actions)
        }
        guard entry.waitsUntil > now else {
            return refuse(ticket, tooLate(entry, now: now), into: &actions)
        }
        traceQueue(entry, now: now)
        guard
            let place = queues[entry.trafficClass.index].prepend(
                waiter(ticket, entry), within: policy.classes[entry.trafficClass.index].queue)
        else { return refuse(ticket, queueFull(entry, now: now), into: &actions) }
        entries.update(ticket) { $0.stage = .queued(place) }
        waiting += 1
        waitingPrompts[entry.trafficClass.index] += entry.input
        actions.append(.queued(entry.request))
    }

    // MARK: probes

    mutating func probed(
        _ endpoint: EndpointID, _ reading: EngineReading?, now: Instant,
        into actions: inout [Action]
    ) {
        // The answer to a question that was under way when a reload took the endpoint out.
        guard !endpoints[endpoint.index].isRemoved else { return }
        let health = endpoints[endpoint.index].health
        let wasAway = !health.isHealthy
        let since = wasAway ? health.changedAt : nil
        endpoints[endpoint.index].health.succeeded(sleeping: reading?.isSleeping, now: now)
        // Mostly another process, with an empty cache.
        let isBack = endpoints[endpoint.index].health.isHealthy
        if wasAway, isBack { prefixes.forget(endpoint) }
        rampAnswered(endpoint, away: isBack ? since : nil, now: now)
        // One that slept has given its cache up.
        if health.isSleeping, !endpoints[endpoint.index].health.isSleeping {
            rampWoken(endpoint, now: now)
        }
        if let reading {
            read(reading, at: endpoint, now: now)
            prefixes.configure(
                endpoint, capacity: endpoints[endpoint.index].ledger.capacity)
        }
        gauge(endpoint, now: now)
        dispatchAround(endpoints[endpoint.index].pool, now: now, into: &actions)
    }

    mutating func probeFailed(
        _ endpoint: EndpointID, _ failure: ProbeFailure, now: Instant,
        into actions: inout [Action]
    ) {
        if failure == .unanswered, let last = endpoints[endpoint.index].lastTokenAt {
            let silence = now - last
            let interval = policy.upstream.scrapeInterval.nanoseconds
            if silence <= Duration(nanoseconds: 2 * interval) { return }
        }
        endpoints[endpoint.index].health.failed(now: now)
        gauge(endpoint, now: now)
        if failure == .deserted, !endpoints[endpoint.index].health.isHealthy {
            abandon(endpoint, now: now, into: &actions)
        }
    }

    /// Who waits for an engine that is gone need not wait for a timeout. One whose streams go on is
    /// not gone: what refuses may stand before it.
    private func abandon(
        _ endpoint: EndpointID, now: Instant, into actions: inout [Action]
    ) {
        let interval = policy.upstream.scrapeInterval.nanoseconds
        let silence = max(Duration(nanoseconds: 2 * interval), .seconds(1))
        if let last = endpoints[endpoint.index].lastTokenAt, now - last <= silence { return }
        for ticket in seats[endpoint.index] {
            guard let entry = entries[ticket], let sent = entry.forwardedAt,
                now - max(sent, entry.lastTokenAt ?? sent) > silence
            else { continue }
            actions.append(.abandon(entry.request, at: endpoint))
        }
    }
}
