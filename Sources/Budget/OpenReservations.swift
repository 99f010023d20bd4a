// SPDX-License-Identifier: Apache-2.0

import Units

/// One reservation between reserve and settle.
struct OpenReservation: Sendable {
    let id: ReservationID
    let tenant: TenantID
    let demand: Demand
    let charge: Charge
    /// Its place among the concurrent requests returns at this time.
    var leaseEnd: Int64
    /// Before: in its tenant's list of leases. After: in the common list of lapsed ones.
    var isLeased = true
    /// Neighbours in that list; −1 at its ends. `next` also chains the free slots.
    var previous: Int32 = -1
    var next: Int32 = -1
}

/// The reservations that have not been settled, found by name, with each tenant's leases in the
/// order of their ends.
///
/// Constant time for all calls: leases are of one length, so a new or renewed one belongs at the
/// end of its list. A lapsed reservation is still kept for a while, so that a late settlement finds
/// it.
struct OpenReservations: Sendable {
    private struct Ends: Sendable {
        var first: Int32 = -1
        var last: Int32 = -1
        /// Those in the list that count as concurrent requests.
        var concurrent = 0
    }

    private var slots: [OpenReservation] = []
    private var index = ReservationIndex()
    private var leases: [Ends] = []
    private var lapsed = Ends()
    private var firstFree: Int32 = -1
    private let limit: Int
    private let keptMicroseconds: Int64

    /// `limit`: the most reservations at once. `keptMicroseconds`: how long a lapsed one can still
    /// be settled.
    init(limit: Int, keptMicroseconds: Int64) {
        self.limit = limit
        self.keptMicroseconds = keptMicroseconds
    }

    var count: Int { index.count }
    var isFull: Bool { index.count >= limit }

    func concurrent(_ tenant: TenantID) -> Int {
        tenant.index < leases.count ? leases[tenant.index].concurrent : 0
    }

    /// Where the reservation of that name and tenant is, unless it lapsed too long ago.
    func find(_ id: ReservationID, tenant: TenantID, now: Int64) -> Int? {
        guard let slot = index.slot(of: id) else { return nil }
        let place = Int(slot)
        guard slots[place].tenant == tenant, slots[place].leaseEnd + keptMicroseconds > now else {
            return nil
        }
        return place
    }

    /// What is at a place that `find` gave.
    subscript(place: Int) -> OpenReservation { slots[place] }

    /// Adds a leased reservation in place of a lapsed one of the same name. The table is not full.
    mutating func insert(_ reservation: OpenReservation) {
        remove(reservation.id)
        while leases.count <= reservation.tenant.index { leases.append(Ends()) }
        let place: Int32
        if firstFree >= 0 {
            place = firstFree
            firstFree = slots[Int(place)].next
            slots[Int(place)] = reservation
        } else {
            place = Int32(slots.count)
            slots.append(reservation)
        }
        index.insert(reservation.id, slot: place)
        link(place)
    }

    mutating func remove(_ id: ReservationID) {
        guard let place = index.remove(id) else { return }
        unlink(place)
        slots[Int(place)].next = firstFree
        firstFree = place
    }

    /// Gives a reservation a new lease, even if the old one has lapsed.
    mutating func renew(_ id: ReservationID, leaseEnd: Int64) {
        guard let place = index.slot(of: id) else { return }
        unlink(place)
        slots[Int(place)].leaseEnd = leaseEnd
        slots[Int(place)].isLeased = true
        link(place)
    }

    /// Takes the leases that have ended out of the count, and forgets what lapsed too long ago.
    mutating func expire(_ tenant: TenantID, now: Int64) {
        guard tenant.index < leases.count else { return }
        while leases[tenant.index].first >= 0 {
            let place = leases[tenant.index].first
            guard slots[Int(place)].leaseEnd <= now else { break }
            unlink(place)
            slots[Int(place)].isLeased = false
            link(place)
        }
        while lapsed.first >= 0 {
            let oldest = slots[Int(lapsed.first)]
            guard oldest.leaseEnd + keptMicroseconds <= now else { break }
            remove(oldest.id)
        }
    }

    /// `expire` for every tenant: when the table is full, those that nobody asked for may still
    /// hold ended leases.
    mutating func expireAll(now: Int64) {
        for index in leases.indices { expire(TenantID(index), now: now) }
    }

    /// Puts a slot into the list it belongs to, behind all that end no later: nearly always at the
    /// end.
    private mutating func link(_ place: Int32) {
        let at = Int(place)
        var ends = list(of: at)
        var before = ends.last
        while before >= 0, slots[Int(before)].leaseEnd > slots[at].leaseEnd {
            before = slots[Int(before)].previous
        }
        let after = before >= 0 ? slots[Int(before)].next : ends.first
        slots[at].previous = before
        slots[at].next = after
        if before >= 0 { slots[Int(before)].next = place } else { ends.first = place }
        if after >= 0 { slots[Int(after)].previous = place } else { ends.last = place }
        if slots[at].charge.countsAsConcurrent { ends.concurrent += 1 }
        setList(of: at, ends)
    }

    private mutating func unlink(_ place: Int32) {
        let at = Int(place)
        var ends = list(of: at)
        let before = slots[at].previous
        let after = slots[at].next
        if before >= 0 { slots[Int(before)].next = after } else { ends.first = after }
        if after >= 0 { slots[Int(after)].previous = before } else { ends.last = before }
        if slots[at].charge.countsAsConcurrent { ends.concurrent -= 1 }
        setList(of: at, ends)
    }

    private func list(of at: Int) -> Ends {
        slots[at].isLeased ? leases[slots[at].tenant.index] : lapsed
    }

    private mutating func setList(of at: Int, _ ends: Ends) {
        if slots[at].isLeased { leases[slots[at].tenant.index] = ends } else { lapsed = ends }
    }
}
