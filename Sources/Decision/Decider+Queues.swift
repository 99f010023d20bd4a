// SPDX-License-Identifier: Apache-2.0

import Admission
import Policy
import Scheduling
public import Units

/// One class's queue as operators see it.
public struct QueueView: Sendable {
    /// What one tenant has waiting there.
    public struct Share: Sendable, Equatable {
        /// Whose.
        public var tenant: TenantID
        /// Requests that wait.
        public var requests: Int
        /// What the class's bound counts of them.
        public var tokens: Tokens
        /// By how much cost, divided by weights, it was served more than whoever's turn is next.
        public var servedAhead: Double
    }

    /// What the request whose turn is next waits for; nil when nobody waits.
    public var phase: WaitingPhase?
    /// Until that one will likely have room; nil when nothing that is known frees as much.
    public var nextWait: Duration?
    /// The same for the one that came last, all others served first.
    public var lastWait: Duration?
    /// The tenants that wait, whose turn is next first.
    public var shares: [Share] = []
}

/// Queues as operators see them.
extension Decider {
    /// What the request of a class waits for whose turn is next; nil when nobody waits. Looks at
    /// that one and the endpoints of its pool only.
    public func waitingPhase(of trafficClass: ClassID, now: Instant) -> WaitingPhase? {
        next(in: trafficClass, now: now).map { phase($0, now: now) }
    }

    /// All of a class's queue: looks at everybody who waits there.
    public func queueView(of trafficClass: ClassID, now: Instant) -> QueueView {
        var view = QueueView()
        guard let next = next(in: trafficClass, now: now) else { return view }
        view.phase = phase(next, now: now)
        view.nextWait = waitForRoom(next, behind: .zero, .likely, now: now)
        var shares = [QueueView.Share?](repeating: nil, count: policy.tenants.count)
        var last: ClassQueue.Entry?
        let queue = queues[trafficClass.index]
        queue.each { _, waiter in
            var share =
                shares[waiter.tenant.index]
                ?? QueueView.Share(
                    tenant: waiter.tenant, requests: 0, tokens: .zero, servedAhead: 0)
            share.requests += 1
            share.tokens += waiter.tokens
            shares[waiter.tenant.index] = share
            last = waiter
            return true
        }
        if let last, let entry = entries[last.ticket] {
            let ahead = needsAhead(ofClass: trafficClass, at: entry.pool) + queue.needs - last.need
            view.lastWait = waitForRoom(entry, behind: ahead, .likely, now: now)
        }
        view.shares = ordered(shares.compactMap { $0 }, by: queue.fair)
        return view
    }

    private func next(in trafficClass: ClassID, now: Instant) -> Entry? {
        let place = trafficClass.index
        guard place < queues.count, !queues[place].isEmpty else { return nil }
        let first = queues[place].first(by: turnOrder(place, now: now))
        return first.flatMap { entries[$0.entry.ticket] }
    }

    private func needsAhead(ofClass trafficClass: ClassID, at pool: PoolID) -> Tokens {
        var needs = Tokens.zero
        for place in order {
            if place == trafficClass.index { break }
            if policy.classes[place].pool == pool { needs += queues[place].needs }
        }
        return needs
    }

    private func ordered(_ shares: [QueueView.Share], by fair: FairShare) -> [QueueView.Share] {
        let least = shares.map { fair.counter(of: $0.tenant) }.min() ?? 0
        var shares = shares
        for place in shares.indices {
            let ahead = fair.counter(of: shares[place].tenant) - least
            shares[place].servedAhead = Double(ahead) / Double(FairShare.unit)
        }
        return shares.sorted { ($0.servedAhead, $0.tenant) < ($1.servedAhead, $1.tenant) }
    }
}
