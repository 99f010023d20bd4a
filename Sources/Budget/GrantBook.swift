// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Policy
public import Units

/// Whoever's requests are granted in advance: told apart by identity, given back with each order
/// and report.
public typealias GrantOwner = AnyObject & Sendable

/// What one worker was granted in advance, so that it decides about most requests of hot accounts
/// without asking anybody.
///
/// A grant is a reservation for many requests in the store (`Budgets.grant`). Out of it requests
/// are admitted for a short time; then, or when it does not suffice, what nobody took is given
/// back, and what is open is reported until all of it has ended. Nothing is ever refused here:
/// what does not fit, the store decides. The next grant is asked for when half of one is gone, so
/// that in a steady flow no request waits.
///
/// Which wins when two rules meet: a grant that is over admits nothing, however much is left; what
/// the store has forgotten is not told it again.
///
/// The owner sends what `nextOrder` and `nextReport` give, in that order of calls, and tells what
/// came of it. A report that may not have arrived is made anew: it says the whole of it, so twice
/// is once.
public final class GrantBook {
    /// Requests in the life of a grant from which on it is worth asking for one.
    static let hotRequests = 4.0
    /// Rows without use for so long are forgotten.
    static let idle = Duration.seconds(10)
    public static let mostRows = 16_384
    public static let mostGrants = 65_536
    public static let mostRequests = 131_072

    /// What all grants have in common.
    public struct Terms: Sendable {
        /// For how long a grant admits at most.
        public let window: Duration
        /// Of what is left of a limit one grant takes at most one in so many.
        public let parts: Int
        /// The lease of what was reported; renewed every third of it.
        public let lease: Duration

        /// `workers`: as many books has the gateway. Each has two grants of an account at most, so
        /// all of them together have at most an eighth of what was left.
        public init(window: Duration, workers: Int, lease: Duration) {
            self.window = window
            parts = 16 * max(1, workers)
            self.lease = lease
        }

        /// A grant that nobody reports in time returns as a whole.
        public var grantLease: Duration {
            Duration(nanoseconds: 2 * window.nanoseconds + 1_000_000_000)
        }
    }

    private let terms: Terms
    private var naming: ReservationNaming
    private var rows: [ObjectIdentifier: GrantRow] = [:]
    /// By name, those that the store may know.
    private var grants: [ReservationID: Grant] = [:]
    private var requests = GrantedRequests()
    private var orders: Deque<Grant> = []
    /// Sent and not answered.
    private var asked: [Grant] = []
    private var reports: Deque<Grant> = []
    private var ends = DueRow()
    private var later = DueRow()
    /// By root, those that admit.
    private var live: [String: [Grant]] = [:]
    private var sweepAt = Instant(nanoseconds: 0)

    /// `naming`: of reservations, for grants alone.
    public init(_ terms: Terms, naming: ReservationNaming) {
        self.terms = terms
        self.naming = naming
    }

    /// Requests that were admitted here and have not ended.
    public var openCount: Int { requests.count }
    /// Grants that the store may know.
    public var grantCount: Int { grants.count }

    /// Accounts that are known.
    public var rowCount: Int { rows.count }

    /// Granted and not taken by any request, of live grants.
    public var unused: Amounts {
        grants.values.reduce(into: .none) { sum, grant in
            if grant.phase == .live { sum += grant.free }
        }
    }

    // MARK: requests

    /// Admits a request out of what was granted; nil: the store has to be asked.
    public func reserve(
        _ id: ReservationID, _ demand: Demand, _ limits: LimitSet, owner: any GrantOwner,
        now: Instant
    ) -> LimitsSnapshot? {
        guard let row = row(of: owner, limits, now), row.life > .zero else { return nil }
        let wanted = Amounts(demand)
        row.note(wanted, now: now)
        defer { askAhead(row, now) }
        guard let grant = grant(of: row, for: wanted, now), let levels = grant.levels,
            requests.insert(id, Granted(grant: grant, demand: wanted))
        else { return nil }
        grant.take(wanted)
        return levels.after(now - grant.sentAt, unused: grant.free + grant.returned)
    }

    /// Replaces what a request reserved by what it used. False where it was not admitted here, or
    /// has been settled.
    @discardableResult
    public func settle(_ id: ReservationID, _ use: SettledUse, now: Instant) -> Bool {
        guard let entry = requests.remove(id) else { return false }
        let grant = entry.grant
        grant.end(entry.demand, used: Amounts(use))
        guard grant.phase == .closed else { return true }
        if grant.openCount == 0 {
            finish(grant)
        } else {
            // What returned, or is owed, is told soon.
            schedule(grant, at: max(now, grant.lastReportAt + grant.row.life))
        }
        return true
    }

    private func row(
        of owner: any GrantOwner, _ limits: LimitSet, _ now: Instant
    ) -> GrantRow? {
        if let row = rows[ObjectIdentifier(owner)] { return row }
        guard rows.count < Self.mostRows else { return nil }
        let row = GrantRow(limits, owner: owner, window: terms.window, now: now)
        rows[ObjectIdentifier(owner)] = row
        return row
    }

    private func grant(of row: GrantRow, for wanted: Amounts, _ now: Instant) -> Grant? {
        if let current = row.current {
            if current.isLive(now), current.free.covers(wanted) { return current }
            if !current.isLive(now) { close(current, now) }
        }
        guard let next = row.next else { return nil }
        guard next.isLive(now) else {
            close(next, now)
            return nil
        }
        guard next.free.covers(wanted) else { return nil }
        if let current = row.current { close(current, now) }
        row.current = next
        row.next = nil
        return next
    }

    // MARK: asking

    private func askAhead(_ row: GrantRow, _ now: Instant) {
        guard !row.isAsking, row.next == nil, now >= row.askAgainAt,
            row.current?.isLow(now) ?? true, grants.count < Self.mostGrants,
            let expected = row.expected
        else { return }
        row.isAsking = true
        let grant = Grant(naming.next(), of: row)
        grant.wanted = expected
        grants[grant.id] = grant
        orders.append(grant)
    }

    /// The next question for the store, to be sent now.
    public func nextOrder(now: Instant) -> (GrantOrder, any GrantOwner)? {
        while let grant = orders.popFirst() {
            // Given up before it was asked.
            guard grant.phase == .asked else {
                grants[grant.id] = nil
                continue
            }
            grant.sentAt = now
            asked.append(grant)
            let order = GrantOrder(
                id: grant.id, limits: grant.row.limits, wanted: grant.wanted,
                parts: terms.parts, lease: terms.grantLease)
            return (order, grant.row.owner)
        }
        return nil
    }

    /// The store's answer to an order.
    public func answered(_ order: GrantOrder, _ outcome: GrantOutcome, now: Instant) {
        guard let grant = grants[order.id], grant.phase == .asked else {
            // Given up meanwhile: its last report is on its way.
            return
        }
        asked.removeAll { $0 === grant }
        let row = grant.row
        row.isAsking = false
        guard case .granted(let millionths, let levels) = outcome else {
            row.askAgainAt = now + row.life
            grants[order.id] = nil
            return
        }
        grant.size = order.granted(millionths)
        grant.levels = levels
        grant.phase = .live
        live[row.limits.root, default: []].append(grant)
        // The store was asked after `sentAt`, so its windows do not end before this.
        grant.endsAt = grant.sentAt + min(row.life, levels.firstWindowEnd ?? row.life)
        ends.add(grant.endsAt, grant)
        if let current = row.current, current.isLive(now) {
            row.next = grant
        } else {
            if let current = row.current { close(current, now) }
            row.current = grant
        }
    }

    /// Nobody will answer an order, and whether the store has it is not known.
    public func lost(_ order: GrantOrder, now: Instant) {
        if let grant = grants[order.id], grant.phase == .asked { lost(grant, now) }
    }

    private func lost(_ grant: Grant, _ now: Instant) {
        asked.removeAll { $0 === grant }
        grant.row.isAsking = false
        grant.row.askAgainAt = now + grant.row.life
        grant.phase = .closed
        finish(grant)
    }

    // MARK: giving back

    /// Ends all grants: nothing more is admitted here until the store grants anew.
    public func closeAll(now: Instant) {
        for grant in orders {
            grant.row.isAsking = false
            grants[grant.id] = nil
        }
        orders.removeAll()
        // What is on its way goes back as soon as it has come.
        for grant in asked { lost(grant, now) }
        // All that admit are there.
        while let grant = ends.next(.distantFuture) { close(grant, now) }
    }

    /// Ends the grants of all accounts of one root, so that the store may give to one request what
    /// nobody took here. False where there was none.
    public func giveBack(root: String, now: Instant) -> Bool {
        guard let grants = live[root] else { return false }
        var hadUnused = false
        for grant in grants {
            hadUnused = hadUnused || grant.free != .none
            grant.row.askAgainAt = now + grant.row.life
            close(grant, now)
        }
        return hadUnused
    }

    private func close(_ grant: Grant, _ now: Instant) {
        if grant.row.current === grant {
            grant.row.current = nil
            if grant.phase == .live { grant.row.next?.returned = grant.free }
        }
        if grant.row.next === grant { grant.row.next = nil }
        guard grant.phase == .live else { return }
        grant.phase = .closed
        let root = grant.row.limits.root
        live[root]?.removeAll { $0 === grant }
        if live[root]?.isEmpty ?? false { live[root] = nil }
        queue(grant)
    }

    private func finish(_ grant: Grant) {
        if grant.isForgotten { grants[grant.id] = nil } else { queue(grant) }
    }

    // MARK: reports

    private func queue(_ grant: Grant) {
        guard !grant.isQueued else { return }
        grant.isQueued = true
        reports.append(grant)
    }

    private func schedule(_ grant: Grant, at due: Instant) {
        guard due < grant.dueAt, !grant.isQueued, !grant.isForgotten else { return }
        grant.dueAt = due
        later.add(due, grant)
    }

    /// What is to be told.
    public var reportsWaiting: Int { reports.count }

    /// The next report for the store, to be sent now.
    public func nextReport(now: Instant) -> (GrantReport, any GrantOwner)? {
        guard let grant = reports.popFirst() else { return nil }
        grant.isQueued = false
        grant.number += 1
        grant.lastReportAt = now
        grant.dueAt = .distantFuture
        let isLast = grant.openCount == 0
        if !isLast {
            schedule(grant, at: now + Duration(nanoseconds: terms.lease.nanoseconds / 3))
        }
        let report = GrantReport(
            id: grant.id, limits: grant.row.limits, number: grant.number, held: grant.held,
            spent: grant.spent, isLast: isLast)
        return (report, grant.row.owner)
    }

    /// The store's answer to a report.
    public func answered(_ report: GrantReport, _ outcome: SettlementOutcome) {
        guard let grant = grants[report.id] else { return }
        if report.isLast {
            grants[report.id] = nil
        } else if outcome == .unknown {
            // It has lost its data: what is open ends without it.
            grant.isForgotten = true
            grant.dueAt = .distantFuture
        }
    }

    /// Whether a report has arrived is not known.
    public func lost(_ report: GrantReport) {
        guard let grant = grants[report.id] else { return }
        queue(grant)
    }

    // MARK: time

    /// When `tick` wants to be called at the latest.
    public var nextDue: Instant? {
        switch (ends.first, later.first) {
        case (nil, let due), (let due, nil): due
        case (let end?, let due?): min(end, due)
        }
    }

    /// Ends grants whose time is over, and finds what is to be told again.
    public func tick(now: Instant) {
        while let grant = ends.next(now) { close(grant, now) }
        while let grant = later.next(now) {
            guard grant.dueAt <= now, grants[grant.id] != nil else { continue }
            queue(grant)
        }
        guard now >= sweepAt else { return }
        sweepAt = now + Self.idle
        rows = rows.filter { !$0.value.isIdle(now) }
    }
}

@available(*, unavailable)
extension GrantBook: Sendable {}

/// Grants by the times at which something is due.
private struct DueRow {
    private var places: Deque<(at: Instant, grant: Grant)> = []

    mutating func add(_ at: Instant, _ grant: Grant) {
        var place = places.count
        // Most spans are of one length, so this goes back by little.
        while place > 0, at < places[place - 1].at { place -= 1 }
        if place == places.count {
            places.append((at, grant))
        } else {
            places.insert((at, grant), at: place)
        }
    }

    var first: Instant? { places.first?.at }

    mutating func next(_ now: Instant) -> Grant? {
        guard let first = places.first, first.at <= now else { return nil }
        places.removeFirst()
        return first.grant
    }
}

/// A request that was admitted out of a grant.
private struct Granted {
    let grant: Grant
    let demand: Amounts
}

/// The open ones, found by name.
private struct GrantedRequests {
    private var slots: [Granted?] = []
    private var free: [Int32] = []
    private var index = ReservationIndex()

    var count: Int { index.count }

    /// False where there are too many, or one of that name.
    mutating func insert(_ id: ReservationID, _ request: Granted) -> Bool {
        guard index.count < GrantBook.mostRequests, index.slot(of: id) == nil else {
            return false
        }
        if let slot = free.popLast() {
            slots[Int(slot)] = request
            index.insert(id, slot: slot)
        } else {
            slots.append(request)
            index.insert(id, slot: Int32(slots.count - 1))
        }
        return true
    }

    mutating func remove(_ id: ReservationID) -> Granted? {
        guard let slot = index.remove(id) else { return nil }
        free.append(slot)
        defer { slots[Int(slot)] = nil }
        return slots[Int(slot)]
    }
}
