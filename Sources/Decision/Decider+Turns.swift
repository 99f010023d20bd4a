// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Scheduling
import Units

/// Whose turn it is among those who wait for a pool.
///
/// A class of a lower rank goes first, in a class the tenant that was served least by its weight
/// (`FairShare`), and of a tenant who has waited longest for its cost (`ClassQueue.Order`). A head
/// that does not fit holds the pool only where it will fit within a quarter of its wait limit; else
/// those behind it in its class may pass, eight times at most. Who needs an endpoint of its own
/// holds no more than the one that will be empty first, so that the others' endpoints do not stand
/// idle for it.
///
/// A class that waits behind others is owed a twentieth of what is dispatched (`ClassShare`). When
/// its head is due it goes first of all, or holds one endpoint in the same way.
extension Decider {
    /// A request is passed by later ones so often at most.
    static let mostPasses = 8
    /// In seconds. Where nobody waits longer, the order of arrival matters more than that the small
    /// ones are many: those who were told when to come back find their turn.
    private static let shortWait = 2.0
    /// So many of those who do not fit are looked past: a turn stays cheap however long a queue is.
    private static let lookahead = 8

    private struct Turn {
        var ticket: Ticket
        var entry: Entry
        var place: SlabKey
        var endpoint: EndpointID
        var passed: [Ticket]
    }

    private enum Way {
        case to(EndpointID)
        /// It does not fit.
        case none
        /// Somebody before it holds the pool.
        case held
    }

    mutating func dispatchAll(now: Instant, into actions: inout [Action]) {
        guard waiting > 0 else { return }
        for place in policy.pools.indices {
            dispatchAround(PoolID(place), now: now, into: &actions)
        }
    }

    /// Forwards from the pool's queues whose turn it is, until nobody's is.
    mutating func dispatch(_ pool: PoolID, now: Instant, into actions: inout [Action]) {
        guard waiting > 0, mayDispatch(pool) else { return }
        var full: [Ticket] = []
        while waiting > 0, let turn = nextTurn(at: pool, now: now, finding: &full) {
            note(&full)
            guard cover(turn.entry, at: turn.endpoint, now: now) else {
                let claim = SharedClaim(
                    ticket: turn.ticket, endpoint: turn.endpoint, passed: turn.passed)
                return ask(for: claim, turn.entry, now: now, into: &actions)
            }
            pass(turn.passed)
            forward(turn.ticket, turn.entry, to: turn.endpoint, now: now, into: &actions)
            leaveQueue(turn.entry, turn.place)
        }
        note(&full)
        sharing?.yieldsSince[pool.index] = nil
    }

    /// Where a request that has just come may go at once, and whom it passes; nil when it has to
    /// wait.
    mutating func turnOnArrival(_ entry: Entry, now: Instant) -> EndpointID? {
        guard mayDispatch(entry.pool) else { return nil }
        guard waiting > 0 else {
            return choose(entry, now: now).flatMap { cover(entry, at: $0, now: now) ? $0 : nil }
        }
        let due = dueWaiters(at: entry.pool, but: entry.trafficClass.index, now: now)
        guard let ahead = waitersAhead(of: entry, now: now),
            case .to(let endpoint) = way(for: entry, past: due + ahead, now: now),
            cover(entry, at: endpoint, now: now)
        else { return nil }
        pass(due + ahead)
        return endpoint
    }

    mutating func pass(_ passed: [Ticket]) {
        for ticket in passed { entries.update(ticket) { $0.passes += 1 } }
    }

    // MARK: fairness

    /// The endpoints where too many will end at about the time at which this one would: of those
    /// that would be chosen, `first` first, all up to one where they do not. None as long as all
    /// who wait would fit on empty ones: then nothing is gained by spreading them.
    private func bunched(
        _ entry: Entry, from first: EndpointID, now: Instant
    ) -> [EndpointID] {
        var capacity = 0
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            capacity += gauges[id.index].capacity
        }
        guard needsOfAll(entry.trafficClass.index).count > capacity else { return [] }
        let sequence = entry.sequence
        let limit = policy.classes[entry.trafficClass.index].throttleAt
        var bunched: [EndpointID] = []
        var next: EndpointID? = first
        while let chosen = next, bunched.count < Self.lookahead,
            endpoints[chosen.index].bunches(sequence, under: limit)
        {
            bunched.append(chosen)
            next = choose(entry, except: bunched, now: now)
        }
        return bunched
    }

    /// By what the requests of a tenant have their turn in the class at `place`.
    func turnOrder(_ place: Int, now: Instant) -> ClassQueue.Order {
        let limits = policy.classes[place]
        var rate = 0.0
        for id in policy.pools[limits.pool.index].endpoints where gauges[id.index].isAvailable {
            rate += gauges[id.index].turnoverPerSecond
        }
        let needs = Double(needsOfAll(place).count)
        let patience = limits.queue.maxWait.seconds
        let most = rate * max(patience / 4, min(patience, Self.shortWait))
        return ClassQueue.Order(now: now, isCrowded: rate > 0 && needs > most)
    }

    /// What the tenant was charged for the request becomes `cost`.
    mutating func charge(_ entry: inout Entry, _ cost: Tokens) {
        guard cost != entry.charged else { return }
        queues[entry.trafficClass.index].charge(entry.tenant, cost: cost - entry.charged)
        entry.charged = cost
    }

    /// The request has ended at its endpoint: its tenant pays for what was generated.
    mutating func settle(_ entry: Entry, _ ending: Ending) {
        var entry = entry
        let output = max(ending.output, entry.streamed)
        charge(&entry, entry.uncached + output + output)
    }

    // MARK: shares

    /// The request is dispatched: the classes that wait for its pool behind the first are owed
    /// something, and its own has had its turn.
    mutating func share(_ entry: Entry) {
        guard waiting > 0 else { return }
        var isFirst = true
        let neighbours = neighbours[entry.pool.index]
        for place in order where neighbours.contains(policy.classes[place].pool) {
            defer { isFirst = false }
            guard !isFirst, !queues[place].isEmpty else { continue }
            if place == entry.trafficClass.index {
                shares[place].own(entry.cost)
            } else {
                shares[place].others(entry.cost)
            }
        }
    }

    /// The heads that are due, without those of one class.
    func dueWaiters(at pool: PoolID, but own: Int? = nil, now: Instant) -> [Ticket] {
        var due: [Ticket] = []
        for place in order where place != own && shares[place].isOwed {
            guard let head = queues[place].first(by: turnOrder(place, now: now)),
                let entry = entries[head.entry.ticket],
                entry.pool == pool, shares[place].isDue(entry.cost)
            else { continue }
            due.append(head.entry.ticket)
        }
        return due
    }

    private func dueTurn(_ due: [Ticket], now: Instant) -> Turn? {
        for ticket in due {
            guard let entry = entries[ticket], case .queued(let place) = entry.stage,
                let endpoint = choose(entry, now: now)
            else { continue }
            return Turn(
                ticket: ticket, entry: entry, place: place, endpoint: endpoint, passed: [])
        }
        return nil
    }

    // MARK: turns

    /// `full`: those that were found to fit nowhere are added.
    private func nextTurn(
        at pool: PoolID, now: Instant, finding full: inout [Ticket]
    ) -> Turn? {
        let due = dueWaiters(at: pool, now: now)
        if let turn = dueTurn(due, now: now) { return turn }
        var passed = due
        let most = passed.count + Self.lookahead
        for place in order where !queues[place].isEmpty {
            var turn: Turn?
            var isHeld = false
            var tried: (sequence: PeakWalk.Sequence, least: PeakWalk.Sequence)?
            queues[place].eachTurn(by: turnOrder(place, now: now)) { seat, waiter in
                guard let entry = entries[waiter.ticket], entry.pool == pool,
                    !due.contains(waiter.ticket)
                else { return true }
                let (sequence, least) = (entry.sequence, claim(entry).sequence)
                if entry.bounces == 0, let tried, sequence.isAtLeast(tried.sequence),
                    least.isAtLeast(tried.least)
                {
                    passed.append(waiter.ticket)
                    return passed.count <= most
                }
                guard mayFit(entry, now: now) else {
                    full.append(waiter.ticket)
                    if entry.bounces == 0, tried == nil { tried = (sequence, least) }
                    passed.append(waiter.ticket)
                    return passed.count <= most
                }
                switch way(for: entry, past: passed, besides: full, now: now) {
                case .to(let endpoint):
                    turn = Turn(
                        ticket: waiter.ticket, entry: entry, place: seat, endpoint: endpoint,
                        passed: passed)
                    return false
                case .held:
                    isHeld = true
                    return false
                case .none:
                    // Who needs no less room in the same class finds none either.
                    if entry.bounces == 0 { tried = (sequence, least) }
                    passed.append(waiter.ticket)
                    return passed.count <= most
                }
            }
            if let turn { return turn }
            if isHeld || passed.count > most { return nil }
            let waitForRoom = passed.dropFirst(due.count).contains { ticket in
                entries[ticket].map { !needsEmpty($0) } ?? false
            }
            if waitForRoom { return nil }
        }
        return nil
    }

    /// Those who wait and whose turn is before that of one who comes now; nil when they are too
    /// many, or one of an earlier class waits for room that both could use.
    private func waitersAhead(of entry: Entry, now: Instant) -> [Ticket]? {
        var ahead: [Ticket] = []
        for place in order {
            let isOwn = place == entry.trafficClass.index
            var isBarred = false
            func look(_: SlabKey, _ waiter: ClassQueue.Entry) -> Bool {
                guard let other = entries[waiter.ticket], other.pool == entry.pool else {
                    return true
                }
                isBarred = ahead.count == Self.lookahead || !(isOwn || needsEmpty(other))
                ahead.append(waiter.ticket)
                return !isBarred
            }
            if isOwn {
                let turns = turnOrder(place, now: now)
                queues[place].eachAhead(of: entry.tenant, by: turns, look)
            } else {
                queues[place].each(look)
            }
            if isBarred { return nil }
            if isOwn { break }
        }
        return ahead
    }

    /// `full`: those of them that are known to fit nowhere.
    private func way(
        for entry: Entry, past ahead: [Ticket], besides full: [Ticket] = [], now: Instant
    ) -> Way {
        guard let endpoint = choose(entry, now: now) else { return .none }
        let bunched = bunched(entry, from: endpoint, now: now)
        if !bunched.isEmpty, choose(entry, except: bunched, now: now) == nil { return .held }
        var held = bunched
        for ticket in ahead {
            guard let waiter = entries[ticket],
                holds(waiter, isFull: full.contains(ticket), now: now)
            else { continue }
            // One of another class is before this one because it is due.
            guard needsEmpty(waiter) || waiter.trafficClass != entry.trafficClass else {
                return .held
            }
            if let room = firstRoom(waiter, behind: .zero, .likely, now: now) {
                held.append(room.endpoint)
            }
        }
        guard held.contains(endpoint) else { return .to(endpoint) }
        return choose(entry, except: held, now: now).map { .to($0) } ?? .none
    }

    /// Nobody behind it may take the room that it waits for. `isFull`: it fits nowhere.
    func holds(_ entry: Entry, isFull: Bool = false, now: Instant) -> Bool {
        if !isFull, lingers(entry, now: now) || waitsForRamp(entry, now: now) { return false }
        let wait = waitForRoom(entry, behind: .zero, .likely, now: now)
        if let wait {
            let limit = entry.waitsUntil - (entry.waitsFrom ?? entry.waitsUntil)
            if wait.nanoseconds <= limit.nanoseconds / 4 { return true }
            // An endpoint that will not be empty in time is not kept from the others in vain.
            if needsEmpty(entry), wait > entry.waitsUntil - now { return false }
        }
        return entry.passes >= Self.mostPasses
    }

    // MARK: an endpoint of its own

    /// No endpoint that is there can take it beside others within its class's threshold.
    func needsEmpty(_ entry: Entry) -> Bool { needsEmpty(entry, claim(entry)) }

    func needsEmpty(_ entry: Entry, _ claim: Claim) -> Bool {
        !policy.pools[entry.pool.index].endpoints.contains { id in
            gauges[id.index].isAvailable
                && endpoints[id.index].ledger.canHold(claim.whole, under: claim.limit)
        }
    }

    /// Of the endpoints that can take it when they are empty, the one that will be so first.
    func firstEmpty(_ entry: Entry, _ outlook: Outlook, now: Instant) -> Room? {
        var first: Room?
        for id in policy.pools[entry.pool.index].endpoints {
            let ledger = endpoints[id.index].ledger
            guard endpoints[id.index].isAvailable,
                ledger.canHold(entry.whole, under: EndpointLedger.aloneLimit)
            else { continue }
            // Of the ends of others nothing is known.
            let isFree = endpoints[id.index].isFreeOfOthers
            let own = isFree ? lastEnd(at: id, outlook, now: now) : nil
            let shared = gpuWait(entry.whole, behind: .zero, at: id, outlook, now: now)
            let wait = own.flatMap { own in shared.map { max(own, $0) } }
            let room = Room(endpoint: id, wait: wait)
            if first.map({ room.isBefore($0) }) ?? true { first = room }
        }
        return first
    }
}
