// SPDX-License-Identifier: Apache-2.0

import Admission
import Policy
import Scheduling
import Units

/// Whose turn it is among those who wait for a pool.
///
/// An earlier class goes first, and in a class who came first. A head that does not fit holds the
/// pool only where it will fit within a quarter of its wait limit; else those behind it in its
/// class may pass, eight times at most. Who needs an endpoint of its own holds no more than the one
/// that will be empty first, so that the others' endpoints do not stand idle for it.
extension Decider {
    /// A request is passed by later ones so often at most.
    static let mostPasses = 8
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
            dispatch(PoolID(place), now: now, into: &actions)
        }
    }

    /// Forwards from the pool's queues whose turn it is, until nobody's is.
    mutating func dispatch(_ pool: PoolID, now: Instant, into actions: inout [Action]) {
        while waiting > 0, let turn = nextTurn(at: pool, now: now) {
            pass(turn.passed)
            leaveQueue(turn.entry, turn.place)
            forward(turn.ticket, turn.entry, to: turn.endpoint, now: now, into: &actions)
        }
    }

    /// Where a request that has just come may go at once, and whom it passes; nil when it has to
    /// wait.
    mutating func turnOnArrival(_ entry: Entry, now: Instant) -> EndpointID? {
        guard waiting > 0 else { return choose(entry, now: now) }
        guard let ahead = waitersAhead(of: entry),
            case .to(let endpoint) = way(for: entry, past: ahead, now: now)
        else { return nil }
        pass(ahead)
        return endpoint
    }

    private mutating func pass(_ passed: [Ticket]) {
        for ticket in passed { entries.update(ticket) { $0.passes += 1 } }
    }

    // MARK: turns

    private func nextTurn(at pool: PoolID, now: Instant) -> Turn? {
        var passed: [Ticket] = []
        for place in queues.indices where !queues[place].isEmpty {
            var turn: Turn?
            var isHeld = false
            queues[place].each { seat, waiter in
                guard let entry = entries[waiter.ticket], entry.pool == pool else { return true }
                switch way(for: entry, past: passed, now: now) {
                case .to(let endpoint):
                    turn = Turn(
                        ticket: waiter.ticket, entry: entry, place: seat, endpoint: endpoint,
                        passed: passed)
                    return false
                case .held:
                    isHeld = true
                    return false
                case .none:
                    passed.append(waiter.ticket)
                    return passed.count <= Self.lookahead
                }
            }
            if let turn { return turn }
            if isHeld || passed.count > Self.lookahead { return nil }
            guard passed.allSatisfy({ entries[$0].map { needsEmpty($0) } ?? true }) else {
                return nil
            }
        }
        return nil
    }

    /// Those who wait and whose turn is before that of one who comes now; nil when they are too
    /// many, or one of an earlier class waits for room that both could use.
    private func waitersAhead(of entry: Entry) -> [Ticket]? {
        var ahead: [Ticket] = []
        for place in 0...entry.trafficClass.index where !queues[place].isEmpty {
            let isOwn = place == entry.trafficClass.index
            var isBarred = false
            queues[place].each { _, waiter in
                guard let other = entries[waiter.ticket], other.pool == entry.pool else {
                    return true
                }
                isBarred = ahead.count == Self.lookahead || !(isOwn || needsEmpty(other))
                ahead.append(waiter.ticket)
                return !isBarred
            }
            if isBarred { return nil }
        }
        return ahead
    }

    private func way(for entry: Entry, past ahead: [Ticket], now: Instant) -> Way {
        guard let endpoint = choose(entry, now: now) else { return .none }
        var held: [EndpointID] = []
        for ticket in ahead {
            guard let waiter = entries[ticket], holds(waiter, now: now) else { continue }
            guard needsEmpty(waiter) else { return .held }
            if let first = firstEmpty(waiter, .likely, now: now) { held.append(first.endpoint) }
        }
        guard held.contains(endpoint) else { return .to(endpoint) }
        return choose(entry, except: held, now: now).map { .to($0) } ?? .none
    }

    /// Nobody behind it may take the room that it waits for.
    private func holds(_ entry: Entry, now: Instant) -> Bool {
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
    func needsEmpty(_ entry: Entry) -> Bool {
        let limit = policy.classes[entry.trafficClass.index].throttleAt
        return !policy.pools[entry.pool.index].endpoints.contains { id in
            endpoints[id.index].isAvailable
                && endpoints[id.index].ledger.canHold(entry.need, under: limit)
        }
    }

    /// Of the endpoints that can take it when they are empty, the one that will be so first, and
    /// when; without a time where others' tokens are there, of whose ends nothing is known.
    func firstEmpty(
        _ entry: Entry, _ outlook: Outlook, now: Instant
    ) -> (endpoint: EndpointID, wait: Duration?)? {
        var first: (endpoint: EndpointID, wait: Duration?)?
        for id in policy.pools[entry.pool.index].endpoints {
            let state = endpoints[id.index]
            guard state.isAvailable,
                state.ledger.canHold(entry.whole, under: EndpointLedger.aloneLimit)
            else { continue }
            var wait: Duration?
            if state.ledger.isFreeOfOthers {
                wait = .zero
                for ticket in seats[id.index] {
                    guard let open = entries[ticket] else { continue }
                    let ends = sequence(open, at: id, outlook, now: now).endsIn
                    wait = max(wait ?? .zero, ends)
                }
            }
            if first.map({ (wait ?? .infinite) < ($0.wait ?? .infinite) }) ?? true {
                first = (id, wait)
            }
        }
        return first
    }
}
