// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Units

/// One reservation between reserve and settle.
struct OpenReservation: Sendable {
    let id: ReservationID
    let limits: LimitSet
    let demand: Demand
    /// By limit, what `LimitState.charge` gave.
    let marks: [Double]
    /// Its places among concurrent requests return at this time.
    var leaseEnd: Int64
    /// Bit n: it holds its place of the n-th account.
    var leased: UInt64 = 0
}

/// The places among one account's concurrent requests, by the ends of their leases.
///
/// What was settled or renewed meanwhile stays in the row until it comes to its turn, or until
/// there is more of it than of what counts.
struct LeaseRow: Sendable {
    struct Place: Sendable {
        let end: Int64
        let id: ReservationID
    }
    var places: Deque<Place> = []
    /// Those that count.
    var count = 0

    mutating func add(_ place: Place) {
        var at = places.count
        // Leases are of one length, so this goes back only where the clock did.
        while at > 0, places[at - 1].end > place.end { at -= 1 }
        if at == places.count { places.append(place) } else { places.insert(place, at: at) }
        count += 1
    }

    var isCrowded: Bool { places.count > 2 * count + 64 }
}

/// The reservations that have not been settled, found by name.
///
/// A lapsed reservation is still kept for a while, so that a late settlement finds it.
struct OpenReservations: Sendable {
    private var slots: [OpenReservation] = []
    private var index = ReservationIndex()
    private var free: [Int32] = []
    private var rows: [AccountID: LeaseRow] = [:]
    /// All, in the order of their leases' ends; those that were settled or renewed too.
    private var ends = LeaseRow()
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

    /// Requests in flight that hold a place of that account.
    func concurrent(_ account: AccountID) -> Int { rows[account]?.count ?? 0 }

    /// Where the reservation of that name is, if it belongs to whoever has this root, unless it
    /// lapsed too long ago.
    func find(_ id: ReservationID, root: String, now: Int64) -> Int? {
        guard let slot = index.slot(of: id) else { return nil }
        let place = Int(slot)
        guard slots[place].leaseEnd + keptMicroseconds > now, slots[place].limits.root == root
        else { return nil }
        return place
    }

    /// What is at a place that `find` gave.
    subscript(place: Int) -> OpenReservation { slots[place] }

    /// Adds a reservation in place of a lapsed one of the same name. The table is not full.
    mutating func insert(_ reservation: OpenReservation) {
        remove(reservation.id)
        let place: Int32
        if let reused = free.popLast() {
            place = reused
            slots[Int(place)] = reservation
        } else {
            place = Int32(slots.count)
            slots.append(reservation)
        }
        index.insert(reservation.id, slot: place)
        lease(Int(place))
    }

    mutating func remove(_ id: ReservationID) {
        guard let place = index.remove(id) else { return }
        vacate(Int(place))
        ends.count -= 1
        slots[Int(place)] = Self.none
        free.append(place)
    }

    private static let none = OpenReservation(
        id: ReservationID(nonce: 0, number: 0), limits: LimitSet(), demand: .nothing, marks: [],
        leaseEnd: 0)

    /// Gives a reservation a new lease, even if the old one has lapsed.
    mutating func renew(_ id: ReservationID, leaseEnd: Int64) {
        guard let slot = index.slot(of: id) else { return }
        let place = Int(slot)
        vacate(place)
        ends.count -= 1
        slots[place].leaseEnd = leaseEnd
        lease(place)
    }

    /// Takes the leases of an account that have ended out of its count.
    mutating func expire(_ account: AccountID, now: Int64) {
        while let first = rows[account]?.places.first, first.end <= now {
            rows[account]?.places.removeFirst()
            guard let place = current(first), let bit = bit(of: account, at: place) else {
                continue
            }
            if slots[place].leased & bit != 0 {
                slots[place].leased &= ~bit
                rows[account]?.count -= 1
            }
        }
    }

    /// Forgets what lapsed too long ago.
    mutating func forget(now: Int64) {
        while let first = ends.places.first, first.end + keptMicroseconds <= now {
            ends.places.removeFirst()
            if current(first) != nil { remove(first.id) }
        }
    }

    /// Nothing counts there, and nothing may come back to it.
    func isUnused(_ account: AccountID) -> Bool { concurrent(account) == 0 }

    // MARK: rows

    /// Where the reservation is that a place in a row was made for, if it still stands for it.
    private func current(_ place: LeaseRow.Place) -> Int? {
        guard let slot = index.slot(of: place.id), slots[Int(slot)].leaseEnd == place.end else {
            return nil
        }
        return Int(slot)
    }

    private func bit(of account: AccountID, at place: Int) -> UInt64? {
        slots[place].limits.accounts.firstIndex { $0.id == account }.map { 1 << UInt64($0) }
    }

    private mutating func lease(_ place: Int) {
        let entry = LeaseRow.Place(end: slots[place].leaseEnd, id: slots[place].id)
        ends.add(entry)
        if ends.isCrowded { ends.places = ends.places.filter { current($0) != nil } }
        let limits = slots[place].limits
        for limit in limits.limits {
            guard case .concurrent = limit.form else { continue }
            let account = limits.accounts[limit.account].id
            slots[place].leased |= 1 << UInt64(limit.account)
            var row = rows.removeValue(forKey: account) ?? LeaseRow()
            row.add(entry)
            if row.isCrowded {
                row.places = row.places.filter { place in
                    guard let found = current(place), let bit = bit(of: account, at: found)
                    else { return false }
                    return slots[found].leased & bit != 0
                }
            }
            rows[account] = row
        }
    }

    /// Gives its places back, as far as it has them.
    private mutating func vacate(_ place: Int) {
        let reservation = slots[place]
        guard reservation.leased != 0 else { return }
        for (number, account) in reservation.limits.accounts.enumerated()
        where reservation.leased & (1 << UInt64(number)) != 0 {
            rows[account.id]?.count -= 1
            if rows[account.id]?.count == 0 { rows[account.id] = nil }
        }
        slots[place].leased = 0
    }
}
