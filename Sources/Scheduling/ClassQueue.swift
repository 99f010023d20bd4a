// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// The requests of one class that wait for room, first come first served, within the class's
/// bounds.
///
/// A doubly linked list over a slab: a client that leaves is taken out from the middle in constant
/// time.
public struct ClassQueue: Sendable {
    /// One waiting request.
    public struct Entry: Sendable, Equatable {
        /// Whose it is in the machine.
        public var ticket: SlabKey
        /// Whose it is.
        public var tenant: TenantID
        /// Estimated input and expected output: what the class's bound counts.
        public var tokens: Tokens
        /// What it will add to an endpoint's projection.
        public var need: Tokens
        /// Since when it waits.
        public var arrivedAt: Instant
        /// When it is refused if it still waits.
        public var expiresAt: Instant

        /// One that waits from `arrivedAt` to `expiresAt` at most.
        public init(
            ticket: SlabKey, tenant: TenantID, tokens: Tokens, need: Tokens,
            arrivedAt: Instant, expiresAt: Instant
        ) {
            self.ticket = ticket
            self.tenant = tenant
            self.tokens = tokens
            self.need = need
            self.arrivedAt = arrivedAt
            self.expiresAt = expiresAt
        }
    }

    private struct Node: Sendable {
        var entry: Entry
        var previous: SlabKey?
        var next: SlabKey?
    }

    private var nodes: Slab<Node>
    private var first: SlabKey?
    private var last: SlabKey?
    /// No entry expires before it. Entries that leave may leave it too early, never too late.
    private var nothingExpiresBefore = Instant.distantFuture
    /// Sum over the entries.
    public private(set) var tokens = Tokens.zero
    /// Sum over the entries.
    public private(set) var needs = Tokens.zero

    /// Never more than `capacity` entries, whatever the policy allows.
    public init(capacity: Int) { nodes = Slab(limit: capacity) }

    /// Entries that wait.
    public var count: Int { nodes.count }
    /// Nobody waits.
    public var isEmpty: Bool { first == nil }

    /// The entry that waits longest.
    public var head: (place: SlabKey, entry: Entry)? {
        guard let first, let node = nodes[first] else { return nil }
        return (first, node.entry)
    }

    /// The place of the entry from now on, behind all others; nil when one more exceeds a bound of
    /// `policy`.
    public mutating func append(_ entry: Entry, within policy: QueuePolicy) -> SlabKey? {
        guard let place = insert(entry, within: policy, previous: last, next: nil) else {
            return nil
        }
        if let last { nodes.update(last) { $0.next = place } } else { first = place }
        last = place
        return place
    }

    /// The same before all others: for one that had its turn already.
    public mutating func prepend(_ entry: Entry, within policy: QueuePolicy) -> SlabKey? {
        guard let place = insert(entry, within: policy, previous: nil, next: first) else {
            return nil
        }
        if let first { nodes.update(first) { $0.previous = place } } else { last = place }
        first = place
        return place
    }

    private mutating func insert(
        _ entry: Entry, within policy: QueuePolicy, previous: SlabKey?, next: SlabKey?
    ) -> SlabKey? {
        guard count < policy.maxRequests, tokens + entry.tokens <= policy.maxTokens,
            let place = nodes.insert(Node(entry: entry, previous: previous, next: next))
        else { return nil }
        tokens += entry.tokens
        needs += entry.need
        nothingExpiresBefore = min(nothingExpiresBefore, entry.expiresAt)
        return place
    }

    /// Takes the entry out, wherever it stands; nil when it is not there any more.
    @discardableResult
    public mutating func remove(_ place: SlabKey) -> Entry? {
        guard let node = nodes.remove(place) else { return nil }
        if let previous = node.previous {
            nodes.update(previous) { $0.next = node.next }
        } else {
            first = node.next
        }
        if let next = node.next {
            nodes.update(next) { $0.previous = node.previous }
        } else {
            last = node.previous
        }
        tokens -= node.entry.tokens
        needs -= node.entry.need
        return node.entry
    }

    /// Takes out every entry that has expired at `now` and adds it to `late`, the longest waiting
    /// first. Costs nothing as long as none has.
    public mutating func removeExpired(_ now: Instant, into late: inout [Entry]) {
        guard nothingExpiresBefore <= now else { return }
        var earliest = Instant.distantFuture
        removeAll(into: &late) { entry in
            if entry.expiresAt <= now { return true }
            earliest = min(earliest, entry.expiresAt)
            return false
        }
        nothingExpiresBefore = earliest
    }

    /// Takes out every entry that `isMeant`, and adds it to `removed`, the longest waiting first.
    public mutating func removeAll(
        into removed: inout [Entry], where isMeant: (Entry) -> Bool
    ) {
        var at = first
        while let place = at, let node = nodes[place] {
            at = node.next
            guard isMeant(node.entry) else { continue }
            remove(place)
            removed.append(node.entry)
        }
    }

    /// Calls `body` from the longest waiting to the last, until it returns false.
    public func each(_ body: (SlabKey, Entry) -> Bool) {
        var at = first
        while let place = at, let node = nodes[place] {
            guard body(place, node.entry) else { return }
            at = node.next
        }
    }
}
