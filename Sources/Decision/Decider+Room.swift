// SPDX-License-Identifier: Apache-2.0

import BasicContainers
import Policy
import Scheduling
public import Units

/// Who found no room looks again only where something has changed since: with time alone there is
/// never more room (a reading that ages takes some), and every change of an endpoint is gauged.
extension Decider {
    /// It is not known that the endpoint has no room for it.
    func mayHaveRoom(_ id: EndpointID, _ entry: Entry) -> Bool {
        changedAt[id.index] > entry.fullSince
    }

    /// There is an endpoint on which the request fits, whether or not it may go there now; or one
    /// that would take it with a lower bound.
    func mayFit(_ entry: Entry, now: Instant) -> Bool {
        guard !mayBeClamped(entry) else { return true }
        let cold = Newcomer(entry, policy)
        var common: Common?
        for id in policy.pools[entry.pool.index].endpoints where mayHaveRoom(id, entry) {
            guard gauges[id.index].isAvailable else { continue }
            let isFull = gauges[id.index].least(cold) == .infinity
            if !isFull, endpoints[id.index].load(cold, now: now) != nil { return true }
            guard entry.prefix != nil else { continue }
            let known = common ?? self.common(entry)
            common = known
            let held = known.held(on: id)
            guard held.tokens > .zero else { continue }
            let warm = Newcomer(sharing(entry, held), policy)
            if endpoints[id.index].load(warm, now: now) != nil { return true }
        }
        return false
    }

    /// Those that fit nowhere by now.
    mutating func note(_ full: inout [Ticket]) {
        for ticket in full { entries.update(ticket) { $0.fullSince = changes } }
        full.removeAll(keepingCapacity: true)
    }

    /// A request that waits, and an endpoint that has room for it and is not looked at for it; nil
    /// where there is none. Prompts that begin alike apart: they are looked for where they have
    /// become warm with the endpoint's next change. For tests.
    public func forgottenRoom(now: Instant) -> String? {
        var found: String?
        for queue in queues {
            queue.each { _, waiter in
                guard let entry = entries[waiter.ticket] else { return true }
                let cold = Newcomer(entry, policy)
                for id in policy.pools[entry.pool.index].endpoints where !mayHaveRoom(id, entry) {
                    guard gauges[id.index].least(cold) < .infinity,
                        let load = endpoints[id.index].load(cold, now: now)
                    else { continue }
                    found = "\(entry.request) would have \(load) on \(id)"
                }
                return found == nil
            }
        }
        return found
    }
}
