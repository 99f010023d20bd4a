// SPDX-License-Identifier: Apache-2.0

import Routing
import Admission
import Policy
import Scheduling
import Units

/// Queue, choice, admission and what follows from them.
///
/// The rule: a request goes to the endpoint with the least projected load whose projection, the request
/// included, stays under the class's throttle threshold. Otherwise it waits, unless every endpoint
/// is above the reject threshold or its turn would come too late: then it is refused at once, with
/// the time at which there will be room.
extension Decider {
    // MARK: queue

    mutating func enqueue(
        _ ticket: Ticket, _ entry: Entry, now: Instant, into actions: inout [Action]
    ) {
        let trafficClass = policy.classes[entry.arrival.trafficClass.index]
        let place = entry.arrival.trafficClass.index
        if queues[place].isEmpty, let endpoint = choose(entry, trafficClass, now: now) {
            return forward(ticket, entry, to: endpoint, now: now, into: &actions)
        }
        if let refusal = pressure(entry, trafficClass, now: now) {
            return refuse(ticket, refusal, into: &actions)
        }
        let expiry = min(now + trafficClass.queue.maxWait, entry.arrival.deadline)
        let waiting = ClassQueue.Entry(
            ticket: ticket, tenant: entry.arrival.tenant,
            tokens: entry.arrival.input + entry.expected, arrivedAt: now, expiresAt: expiry)
        guard let seat = queues[place].append(waiting, within: trafficClass.queue) else {
            let wait = waitForRoom(entry, trafficClass, now: now) ?? .seconds(1)
            return refuse(
                ticket, overload(.queueFull, entry, trafficClass, wait: wait, now: now),
                into: &actions)
        }
        entries.update(ticket) { $0.stage = .queued(seat) }
        actions.append(.queued(entry.request))
    }

    /// The refusal on arrival: no endpoint, too much pressure, or a wait that is too long. Nil: it may wait.
    private mutating func pressure(
        _ entry: Entry, _ trafficClass: ClassPolicy, now: Instant
    ) -> Refusal? {
        let pool = policy.pools[trafficClass.pool.index]
        guard let lowest = lowestShare(of: pool, now: now) else {
            return Refusal(
                .noHealthyEndpoint, retryAfter: Duration(nanoseconds: probeWait(pool, now: now)))
        }
        let need = EndpointLedger.need(
            input: entry.arrival.input, expectedOutput: entry.expected)
        if !couldEverFit(need, trafficClass) {
            return Refusal(
                .requestExceedsLimit, limit: largestCapacity(pool).map { Double($0.count) },
                requested: Double(need.count))
        }
        let wait = waitForRoom(entry, trafficClass, now: now)
        if lowest >= trafficClass.rejectAt {
            return overload(
                .kvCachePressure, entry, trafficClass, wait: wait ?? .seconds(1), now: now)
        }
        let patience = min(trafficClass.queue.maxWait, entry.arrival.deadline - now)
        if let wait, wait > patience {
            let reason: RefusalReason =
                lowest >= trafficClass.throttleAt * 0.5 ? .kvCachePressure : .queueWaitTooLong
            return overload(reason, entry, trafficClass, wait: wait, now: now)
        }
        return nil
    }

    /// A refusal for want of room, with a place in the row of those who come back.
    private mutating func overload(
        _ reason: RefusalReason, _ entry: Entry, _ trafficClass: ClassPolicy, wait: Duration,
        now: Instant
    ) -> Refusal {
        let pool = policy.pools[trafficClass.pool.index]
        let need = EndpointLedger.need(
            input: entry.arrival.input, expectedOutput: entry.expected)
        let rate = pool.endpoints.reduce(0.0) { $0 + endpoints[$1.index].drain.rate }
        let spacing: Duration =
            rate > 0 ? min(.seconds(1), .seconds(Double(need.count) / rate)) : .milliseconds(20)
        let told = pools[trafficClass.pool.index].slots.slot(
            after: wait, spacing: spacing, random: random.unit(), now: now)
        return Refusal(
            reason, retryAfter: told, limit: trafficClass.throttleAt,
            used: lowestShare(of: pool, now: now), requested: Double(need.count))
    }

    mutating func expire(now: Instant, into actions: inout [Action]) {
        for place in queues.indices {
            var late: [Ticket] = []
            queues[place].each { _, entry in
                if entry.expiresAt <= now { late.append(entry.ticket) }
                return true
            }
            for ticket in late {
                guard let entry = entries[ticket], case .queued(let seat) = entry.stage else {
                    continue
                }
                queues[place].remove(seat)
                let trafficClass = policy.classes[place]
                if entry.arrival.deadline <= now {
                    refuse(ticket, Refusal(.deadlineExceeded, isFinal: true), into: &actions)
                } else {
                    let wait = waitForRoom(entry, trafficClass, now: now) ?? .seconds(1)
                    refuse(
                        ticket,
                        overload(.queueWaitTooLong, entry, trafficClass, wait: wait, now: now),
                        into: &actions)
                }
            }
        }
    }

    // MARK: choose and admit

    /// The available endpoint with the least projected share on which the request fits.
    private func choose(
        _ entry: Entry, _ trafficClass: ClassPolicy, now: Instant
    ) -> EndpointID? {
        let need = EndpointLedger.need(
            input: entry.arrival.input, expectedOutput: entry.expected)
        var best: EndpointID?
        var bestLoad = Double.infinity
        for id in policy.pools[trafficClass.pool.index].endpoints {
            let state = endpoints[id.index]
            guard state.health.isAvailable else { continue }
            let load: Double
            if let share = state.ledger.share(adding: need, now: now) {
                guard share <= trafficClass.throttleAt else { continue }
                load = share
            } else {
                // Without a known capacity nothing can be refused: the fewest tokens in flight win,
                // behind every endpoint that is known to have room.
                load = 1 + Double(state.ledger.projection.count)
            }
            if load < bestLoad {
                best = id
                bestLoad = load
            }
        }
        return best
    }

    mutating func forward(
        _ ticket: Ticket, _ entry: Entry, to endpoint: EndpointID, now: Instant,
        into actions: inout [Action]
    ) {
        endpoints[endpoint.index].ledger.admit(
            input: entry.arrival.input, expectedOutput: entry.expected)
        entries.update(ticket) { $0.stage = .forwarded(endpoint) }
        actions.append(
            .forward(entry.request, to: endpoint, bound: entry.isClamped ? entry.bound : nil))
    }

    mutating func dispatchAll(now: Instant, into actions: inout [Action]) {
        for pool in policy.pools where !pool.removed {
            dispatch(pool.id, now: now, into: &actions)
        }
    }

    /// Forwards from the pool's queues, in the order of the classes, as long as heads fit.
    mutating func dispatch(_ pool: PoolID, now: Instant, into actions: inout [Action]) {
        for trafficClass in policy.classes where trafficClass.pool == pool {
            let place = trafficClass.id.index
            while let head = queues[place].head {
                guard let entry = entries[head.entry.ticket] else {
                    queues[place].remove(head.place)
                    continue
                }
                guard let endpoint = choose(entry, trafficClass, now: now) else { break }
                queues[place].remove(head.place)
                forward(head.entry.ticket, entry, to: endpoint, now: now, into: &actions)
            }
        }
    }

    // MARK: observe

    mutating func stream(_ ticket: Ticket, _ output: Tokens, now: Instant) {
        guard let entry = entries[ticket], case .forwarded(let endpoint) = entry.stage,
            output > entry.streamed
        else { return }
        let before = Self.rest(entry)
        var after = entry
        after.streamed = output
        after.lastTokenAt = now
        if entry.firstTokenAt == nil {
            after.firstTokenAt = now
            endpoints[endpoint.index].ledger.firstToken(input: entry.arrival.input)
        }
        endpoints[endpoint.index].ledger.grow(
            by: output - entry.streamed, rest: before, to: Self.rest(after))
        entries.update(ticket) { $0 = after }
    }

    /// What a sequence is expected to add still; past its expectation, half of the expectation again,
    /// never beyond the bound.
    static func rest(_ entry: Entry) -> Tokens {
        let bound = entry.bound.count * entry.arrival.choices
        let left = max(0, bound - entry.streamed.count)
        let expected = entry.expected.count - entry.streamed.count
        return Tokens(min(left, expected > 0 ? expected : entry.expected.count / 2))
    }

    mutating func release(_ entry: Entry, from endpoint: EndpointID, now: Instant) {
        let held = entry.arrival.input + entry.streamed
        endpoints[endpoint.index].ledger.release(
            resident: held, rest: Self.rest(entry),
            prefilling: entry.firstTokenAt == nil ? entry.arrival.input : .zero)
        endpoints[endpoint.index].drain.released(held, now: now)
    }

    mutating func bounce(_ ticket: Ticket, now: Instant, into actions: inout [Action]) {
        guard let entry = entries[ticket], case .forwarded(let endpoint) = entry.stage else {
            return
        }
        endpoints[endpoint.index].health.failed(now: now)
        release(entry, from: endpoint, now: now)
        var again = entry
        again.bounces += 1
        again.stage = .budgeting
        entries.update(ticket) { $0 = again }
        let trafficClass = policy.classes[entry.arrival.trafficClass.index]
        guard again.bounces < 3 else {
            return refuse(ticket, Refusal(.upstreamFailed), into: &actions)
        }
        if let other = choose(again, trafficClass, now: now), other != endpoint {
            return forward(ticket, again, to: other, now: now, into: &actions)
        }
        let pool = policy.pools[trafficClass.pool.index]
        let hasOther = pool.endpoints.contains {
            $0 != endpoint && endpoints[$0.index].health.isAvailable
        }
        if hasOther { return enqueue(ticket, again, now: now, into: &actions) }
        if endpoints[endpoint.index].health.isAvailable,
            let same = choose(again, trafficClass, now: now)
        {
            return forward(ticket, again, to: same, now: now, into: &actions)
        }
        refuse(
            ticket,
            Refusal(
                .noHealthyEndpoint, retryAfter: Duration(nanoseconds: probeWait(pool, now: now))),
            into: &actions)
    }

    mutating func probe(
        _ endpoint: EndpointID, _ reading: EngineReading?, now: Instant,
        into actions: inout [Action]
    ) {
        endpoints[endpoint.index].health.succeeded(
            sleeping: reading?.isSleeping ?? false, now: now)
        if let reading { endpoints[endpoint.index].ledger.read(reading, now: now) }
        dispatch(endpoints[endpoint.index].pool, now: now, into: &actions)
    }

    // MARK: waits

    /// The lowest projected share of the pool's available endpoints; nil when none is available.
    /// Endpoints of unknown capacity count as empty.
    func lowestShare(of pool: PoolPolicy, now: Instant) -> Double? {
        var lowest: Double?
        for id in pool.endpoints where endpoints[id.index].health.isAvailable {
            let share = endpoints[id.index].ledger.share(adding: .zero, now: now) ?? 0
            lowest = min(lowest ?? share, share)
        }
        return lowest
    }

    /// A request larger than the class may ever hold on any endpoint would wait for ever.
    private func couldEverFit(_ need: Tokens, _ trafficClass: ClassPolicy) -> Bool {
        for id in policy.pools[trafficClass.pool.index].endpoints {
            guard let capacity = endpoints[id.index].ledger.capacity else { return true }
            if Double(need.count) <= trafficClass.throttleAt * Double(capacity.count) {
                return true
            }
        }
        return false
    }

    private func largestCapacity(_ pool: PoolPolicy) -> Tokens? {
        pool.endpoints.compactMap { endpoints[$0.index].ledger.capacity }.max()
    }

    /// Until the request fits on the endpoint where it will fit first, after those who wait before it.
    func waitForRoom(
        _ entry: Entry, _ trafficClass: ClassPolicy, now: Instant
    ) -> Duration? {
        let need = EndpointLedger.need(
            input: entry.arrival.input, expectedOutput: entry.expected)
        let pool = policy.pools[trafficClass.pool.index]
        let available = pool.endpoints.filter { endpoints[$0.index].health.isAvailable }
        let ahead = queues[entry.arrival.trafficClass.index].tokens.count / max(1, available.count)
        var shortest: Duration?
        for id in available {
            let state = endpoints[id.index]
            guard let capacity = state.ledger.capacity else { continue }
            let allowed =
                (trafficClass.throttleAt - state.ledger.staleness(now)) * Double(capacity.count)
            let deficit = Tokens(
                state.ledger.projection.count + need.count + ahead - Int(allowed))
            var sequences = state.ledger.sequences <= DrainEstimate.walkLimit
                ? openSequences(at: id, now: now) : []
            if let wait = state.drain.wait(for: deficit, sequences: &sequences) {
                shortest = min(shortest ?? wait, wait)
            }
        }
        return shortest
    }

    /// The own sequences at an endpoint, from their ends.
    private func openSequences(at endpoint: EndpointID, now: Instant) -> [DrainEstimate.Sequence] {
        guard entries.count <= 4_096 else { return [] }
        var sequences: [DrainEstimate.Sequence] = []
        let usual = endpoints[endpoint.index].pace ?? .milliseconds(50)
        entries.each { _, entry in
            guard entry.stage == .forwarded(endpoint) else { return }
            let choices = max(1, entry.arrival.choices)
            let left = max(0, entry.bound.count - entry.streamed.count / choices)
            var pace = usual
            if let first = entry.firstTokenAt, let last = entry.lastTokenAt,
                entry.streamed.count / choices > 8
            {
                pace = Duration(
                    nanoseconds: (last - first).nanoseconds
                        / Int64(entry.streamed.count / choices - 1))
            }
            let whole = entry.bound.count > 4 * max(1, entry.expected.count / choices)
            let steps = whole ? Self.rest(entry).count / choices * 2 : left
            let spent = entry.lastTokenAt.map { now - $0 } ?? .zero
            let ends = Duration(nanoseconds: pace.nanoseconds * Int64(steps + 2)) - spent
            sequences.append(
                DrainEstimate.Sequence(
                    frees: entry.arrival.input + entry.streamed
                        + Tokens(Self.rest(entry).count / 2),
                    endsIn: max(ends, .milliseconds(20))))
        }
        return sequences
    }

    /// Until an unhealthy pool will have been probed again, in nanoseconds.
    private func probeWait(_ pool: PoolPolicy, now: Instant) -> Int64 {
        min(policy.upstream.scrapeInterval.nanoseconds, Duration.seconds(1).nanoseconds)
    }
}
