// SPDX-License-Identifier: Apache-2.0

package import Policy
package import Units

/// The requests of one class that wait for room, first come first served, within the class's bounds.
///
/// A doubly linked list over a slab: a client that leaves is taken out from the middle in constant time.
package struct ClassQueue: Sendable {
    /// One waiting request.
    package struct Entry: Sendable {
        package var ticket: SlabKey
        package var tenant: TenantID
        /// Estimated input and expected output.
        package var tokens: Tokens
        package var arrivedAt: Instant
        /// When it is refused if it still waits.
        package var expiresAt: Instant

        package init(
            ticket: SlabKey, tenant: TenantID, tokens: Tokens, arrivedAt: Instant,
            expiresAt: Instant
        ) {
            self.ticket = ticket
            self.tenant = tenant
            self.tokens = tokens
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
    package private(set) var tokens = Tokens.zero

    /// Never more than `capacity` entries, whatever the policy allows.
    package init(capacity: Int) { nodes = Slab(limit: capacity) }

    package var count: Int { nodes.count }
    package var isEmpty: Bool { first == nil }

    /// The entry that waits longest.
    package var head: (place: SlabKey, entry: Entry)? {
        guard let first, let node = nodes[first] else { return nil }
        return (first, node.entry)
    }

    /// The place of the entry from now on; nil when one more exceeds a bound of `policy`.
    package mutating func append(_ entry: Entry, within policy: QueuePolicy) -> SlabKey? {
        guard count < policy.maxRequests, tokens + entry.tokens <= policy.maxTokens,
            let place = nodes.insert(Node(entry: entry, previous: last, next: nil))
        else { return nil }
        if let last { nodes.update(last) { $0.next = place } } else { first = place }
        last = place
        tokens += entry.tokens
        return place
    }

    /// Takes the entry out, wherever it stands; nil when it is not there any more.
    @discardableResult
    package mutating func remove(_ place: SlabKey) -> Entry? {
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
        return node.entry
    }

    /// Calls `body` from the longest waiting to the last, until it returns false.
    package func each(_ body: (SlabKey, Entry) -> Bool) {
        var at = first
        while let place = at, let node = nodes[place] {
            guard body(place, node.entry) else { return }
            at = node.next
        }
    }
}
