// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// The requests of one class that wait for room, within the class's bounds.
///
/// Tenants have their turn by `FairShare`, the requests of one by `Order`; those that had their
/// turn before and came back go before all.
///
/// Doubly linked lists over a slab, one by age and one for each row of a tenant's like costs: a
/// client that leaves is taken out from the middle in constant time.
public struct ClassQueue: Sendable {
    /// One waiting request.
    public struct Entry: Sendable, Equatable {
        /// Whose it is in the machine.
        public var ticket: SlabKey
        /// Whose it is.
        public var tenant: TenantID
        /// Estimated input and expected output: what the class's bound counts.
        public var tokens: Tokens
        /// The unit of fairness: what its tenant will be charged.
        public var cost: Tokens
        /// What it will add to an endpoint's projection.
        public var need: Tokens
        /// Since when it waits.
        public var arrivedAt: Instant
        /// When it is refused if it still waits.
        public var expiresAt: Instant

        /// One that waits from `arrivedAt` to `expiresAt` at most. Its cost are its tokens unless
        /// told.
        public init(
            ticket: SlabKey, tenant: TenantID, tokens: Tokens, cost: Tokens? = nil, need: Tokens,
            arrivedAt: Instant, expiresAt: Instant
        ) {
            self.ticket = ticket
            self.tenant = tenant
            self.tokens = tokens
            self.cost = cost ?? tokens
            self.need = need
            self.arrivedAt = arrivedAt
            self.expiresAt = expiresAt
        }
    }

    private struct Node: Sendable {
        var entry: Entry
        /// Nil: among those who came back.
        var row: Int?
        /// Grows from request to request.
        var number: Int
        var previous: SlabKey?
        var next: SlabKey?
        /// Its neighbours in its row.
        var before: SlabKey?
        var after: SlabKey?
    }

    /// By what the requests of one tenant have their turn.
    public struct Order: Sendable {
        /// The time now.
        public var now: Instant
        /// More waits than can be served in time: the cheapest first, and for an eighth of the
        /// cost the oldest. Else who has waited longest for its cost.
        public var isCrowded: Bool

        /// At this moment.
        public init(now: Instant, isCrowded: Bool = false) {
            self.now = now
            self.isCrowded = isCrowded
        }
    }

    /// Who costs more than so many times the mean has its turn later, by the square of how much
    /// more; the others as they came. If all had theirs by their costs, so many small ones would
    /// run side by side that their tokens take longer, and those in the middle would come later
    /// than first come, first served (fixture A: p99 of the time to the first token 17.5 s with
    /// costs from the mean on, 13.8 so, 14.7 as they came).
    static let evenMeans = 3.0
    /// When more waits than can be served, a tenant's oldest is owed this part of the cost of what
    /// is dispatched before it. A part of the cost and not of the turns: what is left waiting then
    /// is large, and each eighth turn would be a third of the work.
    static let oldestPart = 8
    /// The mean is of the last so many, about.
    private static let meanOf = 256

    private var nodes: Slab<Node>
    private var first: SlabKey?
    private var last: SlabKey?
    private var lanes: [TenantLane] = []
    private var returned = TenantLane.Row()
    private var numbers = 0
    private var meanCost = 0.0
    /// What each tenant was served.
    public internal(set) var fair = FairShare()
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

    /// The place of the entry from now on, behind all others of its age; nil when one more exceeds
    /// a bound of `policy`.
    public mutating func append(_ entry: Entry, within policy: QueuePolicy) -> SlabKey? {
        let row = TenantLane.row(of: entry.cost)
        guard let place = insert(entry, row, within: policy, previous: last, next: nil) else {
            return nil
        }
        if let last { nodes.update(last) { $0.next = place } } else { first = place }
        last = place
        let tenant = entry.tenant
        while lanes.count <= tenant.index { lanes.append(TenantLane()) }
        if lanes[tenant.index].isEmpty { fair.waits(tenant) }
        var line = lanes[tenant.index].row(row)
        if let last = line.last {
            nodes.update(last) { $0.after = place }
            nodes.update(place) { $0.before = last }
        } else {
            line.first = place
        }
        line.last = place
        line.needs += entry.need.count
        lanes[tenant.index].set(row, to: line)
        return place
    }

    /// The same before all others: for one that had its turn already.
    public mutating func prepend(_ entry: Entry, within policy: QueuePolicy) -> SlabKey? {
        guard let place = insert(entry, nil, within: policy, previous: nil, next: first) else {
            return nil
        }
        if let first { nodes.update(first) { $0.previous = place } } else { last = place }
        first = place
        if let head = returned.first {
            nodes.update(head) { $0.before = place }
            nodes.update(place) { $0.after = head }
        } else {
            returned.last = place
        }
        returned.first = place
        return place
    }

    private mutating func insert(
        _ entry: Entry, _ row: Int?, within policy: QueuePolicy, previous: SlabKey?,
        next: SlabKey?
    ) -> SlabKey? {
        let node = Node(entry: entry, row: row, number: numbers, previous: previous, next: next)
        guard count < policy.maxRequests, tokens + entry.tokens <= policy.maxTokens,
            let place = nodes.insert(node)
        else { return nil }
        numbers += 1
        meanCost += (Double(entry.cost.count) - meanCost) / Double(min(numbers, Self.meanOf))
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
        guard let row = node.row else {
            returned = unlink(node, from: returned)
            return node.entry
        }
        let tenant = node.entry.tenant
        var line = unlink(node, from: lanes[tenant.index].row(row))
        line.needs -= node.entry.need.count
        lanes[tenant.index].set(row, to: line)
        if lanes[tenant.index].isEmpty { fair.rests(tenant) }
        return node.entry
    }

    private mutating func unlink(_ node: Node, from row: TenantLane.Row) -> TenantLane.Row {
        var row = row
        if let before = node.before {
            nodes.update(before) { $0.after = node.after }
        } else {
            row.first = node.after
        }
        if let after = node.after {
            nodes.update(after) { $0.before = node.before }
        } else {
            row.last = node.before
        }
        return row
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

    // MARK: turns

    /// The weights of the policy's tenants, by their places.
    public mutating func configure(weights: [Double]) { fair.configure(weights: weights) }

    /// One of the tenant's asks for its turn: see `FairShare.lift`.
    public mutating func lift(_ tenant: TenantID) { fair.lift(tenant) }

    /// One of the tenant's has its turn: the one at `place`, or nil for one that does not wait. It
    /// is `charge`d for at first, and `cost` is its cost as it would wait.
    public mutating func dispatch(
        _ tenant: TenantID, _ place: SlabKey?, cost: Tokens, charge: Tokens
    ) {
        fair.dispatch(tenant, cost: charge.count)
        guard let oldest = oldest(of: tenant) else { return }
        let owed = lanes[tenant.index].owed
        lanes[tenant.index].owed =
            place == oldest.place
            ? max(0, owed - cost.count)
            : min(owed + cost.count / Self.oldestPart, oldest.entry.cost.count)
    }

    /// The one of a tenant's that came first, but for those that came back.
    private func oldest(of tenant: TenantID) -> (place: SlabKey, entry: Entry)? {
        var oldest: (place: SlabKey, node: Node)?
        lane(of: tenant)?.eachHead { place in
            guard let node = nodes[place] else { return }
            if let oldest, oldest.node.number < node.number { return }
            oldest = (place, node)
        }
        return oldest.map { ($0.place, $0.node.entry) }
    }

    /// What it was served is so much more; less than nothing where too much was charged.
    public mutating func charge(_ tenant: TenantID, cost: Tokens) {
        fair.charge(tenant, cost: cost.count)
    }

    func lane(of tenant: TenantID) -> TenantLane? {
        tenant.index < lanes.count ? lanes[tenant.index] : nil
    }

    func waits(_ tenant: TenantID) -> Bool { lane(of: tenant).map { !$0.isEmpty } ?? false }

    func isReturned(_ place: SlabKey) -> Bool { nodes[place].map { $0.row == nil } ?? false }

    func eachReturned(_ body: (SlabKey, Entry) -> Bool) -> Bool {
        var at = returned.first
        while let place = at, let node = nodes[place] {
            guard body(place, node.entry) else { return false }
            at = node.after
        }
        return true
    }

    /// The one of the tenant's whose turn it is. Looks at the heads of its rows only.
    func choice(of tenant: TenantID, by order: Order) -> (place: SlabKey, entry: Entry)? {
        if order.isCrowded, let oldest = oldest(of: tenant),
            lanes[tenant.index].owed >= oldest.entry.cost.count
        {
            return oldest
        }
        let even = max(Self.evenMeans * meanCost, 1)
        var best: (place: SlabKey, node: Node, score: Double)?
        lanes[tenant.index].eachHead { place in
            guard let node = nodes[place] else { return }
            // The heads come by their cost.
            var score = best == nil ? 1.0 : 0
            if !order.isCrowded {
                let wait = max(0, (order.now - node.entry.arrivedAt).seconds)
                let times = max(Double(node.entry.cost.count) / even, 1)
                score = wait / (times * times)
            }
            if let best {
                let isBetter =
                    score > best.score || (score == best.score && node.number < best.node.number)
                guard isBetter else { return }
            }
            best = (place, node, score)
        }
        return best.map { ($0.place, $0.node.entry) }
    }

    func eachOther(
        of tenant: TenantID, but chosen: SlabKey, _ body: (SlabKey, Entry) -> Bool
    ) -> Bool {
        var left = lanes[tenant.index].occupied
        while left != 0 {
            var at = lanes[tenant.index].rows[left.trailingZeroBitCount].first
            while let place = at, let node = nodes[place] {
                at = node.after
                if place != chosen, !body(place, node.entry) { return false }
            }
            left &= left - 1
        }
        return true
    }
}
