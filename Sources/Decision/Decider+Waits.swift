// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Scheduling
import Units

/// Refusals for want of room, and the waits that they tell.
///
/// A wait is looked at in two ways. Whether a request may queue follows from when there will
/// likely be room: who is refused although its turn would have come pays for nothing. What a
/// refused client is told follows from when there will be room at the latest, by all that is
/// known: who comes back too early is refused again.
extension Decider {
    enum Outlook {
        case likely
        case latest
    }

    /// Where there will be room, and when, as far as that can be known.
    struct Room {
        var endpoint: EndpointID
        var wait: Duration?

        func isBefore(_ other: Room) -> Bool { (wait ?? .infinite) < (other.wait ?? .infinite) }
    }

    /// Told where nothing that is known will free as much: the room is other gateways', and the
    /// next scrapes will show.
    private static let unknownWait = Duration.seconds(1)

    // MARK: refusals

    /// The refusal on arrival: no endpoint, too much pressure, or a wait that is too long. Nil: it
    /// may wait.
    mutating func pressure(_ entry: Entry, now: Instant) -> Refusal? {
        guard let lowest = lowestShare(entry, now: now) else { return noEndpoint() }
        let limits = policy.classes[entry.trafficClass.index]
        if !couldEverFit(entry, under: limits.throttleAt) {
            return Refusal(
                .requestExceedsLimit,
                limit: largestHeld(entry), requested: Double(entry.whole.count))
        }
        if lowest >= limits.rejectAt { return kvPressure(entry, lowest, now: now) }
        let patience = entry.waitsUntil - now
        let ahead = needsAhead(of: entry, now: now)
        guard let wait = waitForRoom(entry, behind: ahead, .likely, now: now), wait > patience
        else { return nil }
        // Would it have waited in time with nobody before it? Then the queue is what is too long.
        if ahead > .zero, let alone = waitForRoom(entry, behind: .zero, .likely, now: now),
            alone <= patience
        {
            return overload(
                .queueWaitTooLong, entry, now: now,
                limit: patience.seconds, used: 0, requested: wait.seconds)
        }
        if promptWait(entry, hasOthersAhead: false, now: now) > patience || lacksGPU(entry) {
            return overload(
                .queueWaitTooLong, entry, now: now,
                limit: patience.seconds, used: 0, requested: wait.seconds)
        }
        return kvPressure(entry, lowest, now: now)
    }

    private mutating func kvPressure(_ entry: Entry, _ lowest: Double, now: Instant) -> Refusal {
        overload(
            .kvCachePressure, entry, now: now,
            limit: policy.classes[entry.trafficClass.index].throttleAt, used: lowest,
            requested: largestCapacity(entry).map {
                Double(entry.whole.count) / Double($0.count)
            })
    }

    /// The class has no place for one more that waits.
    mutating func queueFull(_ entry: Entry, now: Instant) -> Refusal {
        let queue = queues[entry.trafficClass.index]
        let bound = policy.classes[entry.trafficClass.index].queue
        guard queue.count < bound.maxRequests else {
            return overload(
                .queueFull, entry, now: now,
                limit: Double(bound.maxRequests), used: Double(queue.count), requested: 1)
        }
        return overload(
            .queueFull, entry, now: now, limit: Double(bound.maxTokens.count),
            used: Double(queue.tokens.count), requested: Double(entry.tokens.count))
    }

    /// It has waited for as long as it may.
    mutating func tooLate(_ entry: Entry, now: Instant) -> Refusal {
        if entry.deadline <= now { return Refusal(.deadlineExceeded, isFinal: true) }
        if lowestShare(entry, now: now) == nil { return noEndpoint() }
        let from = entry.waitsFrom ?? now
        return overload(
            .queueWaitTooLong, entry, now: now, limit: (entry.waitsUntil - from).seconds,
            used: (now - from).seconds, requested: nil)
    }

    /// No endpoint takes requests. The next probes will tell of the first that does: within the
    /// second, those who come back are spread.
    mutating func noEndpoint() -> Refusal {
        let next = min(max(policy.upstream.scrapeInterval, .milliseconds(250)), .seconds(1))
        return Refusal(
            .noHealthyEndpoint,
            retryAfter: .seconds(next.seconds * (0.5 + 0.5 * random.unit())))
    }

    /// A refusal for want of room, with a place in the row of those who come back. The numbers are
    /// those of the reason: shares, requests, tokens or seconds.
    private mutating func overload(
        _ reason: RefusalReason, _ entry: Entry, now: Instant,
        limit: Double, used: Double, requested: Double?
    ) -> Refusal {
        let room = waitForRoom(entry, behind: needsAhead(of: entry, now: now), .latest, now: now)
        let wait = room.map { $0 + Self.margin($0) } ?? Self.unknownWait
        var refusal = Refusal(
            reason, retryAfter: wait, limit: limit, used: used, requested: requested)
        guard wait <= ReturnSlots.longest else {
            traceReturn(entry, DecisionTrace.Return(room: room, spacing: nil, told: wait))
            // Longer than clients wait: the truth, and that a retry by itself is no use.
            refusal.isFinal = true
            return refusal
        }
        let need = entry.need
        var spacing = returnRate(entry, now: now).map { Duration.seconds(Double(need.count) / $0) }
        if let prompts = promptSpacing(entry) { spacing = max(spacing ?? .zero, prompts) }
        let told = pools[entry.pool.index].slots.slot(
            after: wait, spacing: spacing ?? .milliseconds(20), random: random.unit(), now: now)
        pools[entry.pool.index].flow.promised(need, at: now + told)
        refusal.retryAfter = told
        traceReturn(entry, DecisionTrace.Return(room: room, spacing: spacing, told: told))
        return refusal
    }

    /// An engine that slows down a little keeps nobody from a promised place.
    private static func margin(_ wait: Duration) -> Duration {
        min(Duration(nanoseconds: wait.nanoseconds / 16) + .milliseconds(50), .seconds(1))
    }

    // MARK: the pool as a request sees it

    /// The lowest projected share of the endpoints that are open to it; nil when none is.
    /// Endpoints of unknown capacity count as empty.
    func lowestShare(_ entry: Entry, now: Instant) -> Double? {
        let limits = policy.classes[entry.trafficClass.index]
        var lowest: Double?
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            let least = gauges[id.index].likelyShare(
                over: limits.rejectAt, slack: limits.boundedSlack)
            if let lowest, least >= lowest { continue }
            let share =
                endpoints[id.index].likelyShare(
                    over: limits.rejectAt, slack: limits.boundedSlack, now: now) ?? 0
            lowest = min(lowest ?? share, share)
        }
        return lowest
    }

    /// A request that no endpoint of its pool could hold even when it is empty would wait for ever.
    private func couldEverFit(_ entry: Entry, under limit: Double) -> Bool {
        let claim = claim(entry)
        return policy.pools[entry.pool.index].endpoints.contains { id in
            let ledger = endpoints[id.index].ledger
            guard gpuCanHold(claim.whole, at: id) else { return false }
            return ledger.canHold(claim.whole, under: claim.limit)
                || ledger.canHold(entry.whole, under: max(limit, EndpointLedger.aloneLimit))
                    && gpuCanHold(entry.whole, at: id)
        }
    }

    /// What a request may hold at most, at whatever endpoint of its pool that is.
    private func largestHeld(_ entry: Entry) -> Double? {
        let alone = largestCapacity(entry).map {
            (EndpointLedger.aloneLimit * Double($0.count)).rounded(.down)
        }
        guard let shared = largestOnGPU(entry).map({ Double($0.count) }) else { return alone }
        return min(alone ?? shared, shared)
    }

    private func largestCapacity(_ entry: Entry) -> Tokens? {
        var largest: Tokens?
        for id in policy.pools[entry.pool.index].endpoints {
            guard let capacity = endpoints[id.index].ledger.capacity else { continue }
            largest = max(largest ?? capacity, capacity)
        }
        return largest
    }

    /// What those need whose turn at its pool is earlier.
    func needsAhead(of entry: Entry, now: Instant) -> Tokens {
        guard waiting > 0 else { return .zero }
        var needs = Tokens.zero
        for place in order {
            let isOwn = place == entry.trafficClass.index
            if policy.classes[place].pool == entry.pool {
                needs += isOwn ? needsInClass(entry, now: now) : queues[place].needs
                needs += needsElsewhere(place)
            }
            if isOwn { break }
        }
        return needs
    }

    private func needsInClass(_ entry: Entry, now: Instant) -> Tokens {
        let place = entry.trafficClass.index
        return queues[place].needsAhead(
            of: entry.tenant, cost: entry.cost, by: turnOrder(place, now: now))
    }

    // MARK: waits

    /// Until the request fits on the endpoint where it will fit first, after those `behind` whom it
    /// stands. Nil when nothing that is known frees as much.
    func waitForRoom(
        _ entry: Entry, behind ahead: Tokens, _ outlook: Outlook, now: Instant
    ) -> Duration? {
        firstRoom(entry, behind: ahead, outlook, now: now)?.wait
    }

    /// Where that is. Nil without an endpoint whose capacity is known.
    func firstRoom(
        _ entry: Entry, behind ahead: Tokens, _ outlook: Outlook, now: Instant
    ) -> Room? {
        firstRoom(entry, claim(entry), behind: ahead, outlook, now: now)
    }

    func firstRoom(
        _ entry: Entry, _ claim: Claim, behind ahead: Tokens, _ outlook: Outlook, now: Instant
    ) -> Room? {
        if needsEmpty(entry, claim) { return firstEmpty(entry, outlook, now: now) }
        let common = common(entry)
        let whole = entry.longest
        let limits = policy.classes[entry.trafficClass.index]
        let within = limits.throttleAt + limits.boundedSlack
        var count = 0
        // The two that lack least: one may have room by many small ends, the other by one large.
        var least: (endpoint: EndpointID, deficit: Tokens)?
        var second: (endpoint: EndpointID, deficit: Tokens)?
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            count += 1
            let shared = common.held(on: id)
            let sequence = claim.sequence.less(shared.tokens)
            let longest = whole.less(shared.tokens)
            if let second {
                let lacks = gauges[id.index].deficit(
                    expecting: sequence, under: claim.limit, bounding: longest,
                    within: within)
                if lacks.map({ $0 + shared.alone >= second.deficit }) ?? true { continue }
            }
            // Where nothing is known of its cache, its GPU may still be full.
            guard
                let lack = endpoints[id.index].deficit(
                    expecting: sequence, under: claim.limit, bounding: longest,
                    within: within, now: now)
                    ?? endpoints[id.index].gpu.map({ _ in .zero })
            else { continue }
            let deficit = lack + shared.alone
            if least.map({ deficit < $0.deficit }) ?? true {
                second = least
                least = (id, deficit)
            } else if second.map({ deficit < $0.deficit }) ?? true {
                second = (id, deficit)
            }
        }
        let share = Tokens(ahead.count / max(1, count))
        var first: Room?
        for case let candidate? in [least, second] {
            var room = Room(
                endpoint: candidate.endpoint,
                wait: wait(
                    for: candidate.deficit + share, at: candidate.endpoint, outlook, now: now))
            // The projection may be more than what its parts free one by one.
            if room.wait == nil, ahead == .zero, fits(claim, besideOthersAt: room.endpoint, now) {
                room.wait = lastEnd(at: room.endpoint, outlook, now: now)
            }
            let shared = gpuWait(
                claim.whole, behind: ahead, at: room.endpoint, outlook, now: now)
            room.wait = room.wait.flatMap { own in shared.map { max(own, $0) } }
            if first.map({ room.isBefore($0) }) ?? true { first = room }
        }
        if let room = first?.wait {
            let prompts = promptWait(entry, hasOthersAhead: ahead > .zero, now: now)
            first?.wait = max(room, prompts)
        }
        return first
    }

    private func fits(
        _ claim: Claim, besideOthersAt endpoint: EndpointID, _ now: Instant
    ) -> Bool {
        let ledger = endpoints[endpoint.index].ledger
        let deficit = ledger.deficit(
            holding: ledger.givenBack + claim.whole, under: claim.limit, now: now)
        return deficit.map { $0 <= .zero } ?? true
    }

    /// Until the last of our own sequences there has ended.
    func lastEnd(at endpoint: EndpointID, _ outlook: Outlook, now: Instant) -> Duration {
        var last = Duration.zero
        for ticket in seats[endpoint.index] {
            guard let open = entries[ticket] else { continue }
            last = max(last, sequence(open, at: endpoint, outlook, now: now).endsIn)
        }
        return last
    }

    private func wait(
        for deficit: Tokens, at endpoint: EndpointID, _ outlook: Outlook, now: Instant
    ) -> Duration? {
        if deficit <= .zero { return .zero }
        guard seats[endpoint.index].count <= DrainEstimate.walkLimit,
            endpoints[endpoint.index].shared?.isEmpty ?? true
        else {
            let promised = endpoints[endpoint.index].turnoverPerSecond
            let rate = outlook == .likely ? promised : ReturnFlow.safeShare * promised
            return rate > 0 ? .seconds(Double(deficit.count) / rate) : nil
        }
        var open: [DrainEstimate.Sequence] = []
        open.reserveCapacity(seats[endpoint.index].count)
        for ticket in seats[endpoint.index] {
            guard let entry = entries[ticket] else { continue }
            open.append(sequence(entry, at: endpoint, outlook, now: now))
        }
        guard outlook == .latest else {
            return DrainEstimate.wait(for: deficit, sequences: &open)
        }
        return DrainEstimate.wait(for: deficit, sequences: &open) { wait in
            Self.margin(wait) + ReturnSlots.mostJitter(wait)
        }
    }

    /// Needs a second for which returning clients will find room at the open endpoints of its pool;
    /// nil when nothing is known.
    private func returnRate(_ entry: Entry, now: Instant) -> Double? {
        var promised = 0.0
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            promised += gauges[id.index].ownTurnoverPerSecond
        }
        guard promised > 0 else { return nil }
        return pools[entry.pool.index].flow.returnsPerSecond(
            givenBack: promised, now: now)
    }

    func sequence(
        _ entry: Entry, at endpoint: EndpointID, _ outlook: Outlook, now: Instant
    ) -> DrainEstimate.Sequence {
        let pace = pace(entry, at: endpoint)
        let rest = entry.likelyRest.count / entry.choices
        var steps = rest
        if outlook == .latest {
            // A bound that is far above what is expected says nothing; twice the rest is what six
            // of seven stay under where lengths have no memory.
            let left = max(0, entry.bound.count - entry.each)
            let isTight = entry.bound.count <= 4 * entry.expected.count / entry.choices
            steps = isTight ? left : min(left, 2 * rest)
        }
        // A token more than the rest: the end itself takes a step.
        var ends = Duration(nanoseconds: pace.nanoseconds * Int64(steps + 1))
        if let last = entry.lastTokenAt {
            ends = ends - (now - last)
        } else if let start = entry.forwardedAt {
            let prefill = endpoints[endpoint.index].firstTokenAfter ?? pace
            ends = ends + prefill - (now - start)
        }
        return DrainEstimate.Sequence(
            frees: entry.held + Tokens((entry.rest.count + 1) / 2),
            growsPerSecond: 0.5 * Double(entry.choices) / max(pace.seconds, 1e-6),
            unseenFor: entry.lastTokenAt.map { now - $0 } ?? .zero,
            endsIn: max(ends, .milliseconds(20)))
    }

    /// Between two tokens of a sequence: its own once it has shown it, before that the endpoint's.
    private func pace(_ entry: Entry, at endpoint: EndpointID) -> Duration {
        if let first = entry.firstTokenAt, let last = entry.lastTokenAt, entry.each > 8,
            last > first
        {
            return Duration(nanoseconds: (last - first).nanoseconds / Int64(entry.each - 1))
        }
        return endpoints[endpoint.index].pace ?? EndpointState.usualPace
    }
}
