// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Units

/// One reservation between reserve and settle.
struct OpenReservation: Sendable {
    let id: ReservationID
    let limits: LimitSet
    let demand: Demand
    /// By limit, what `LimitState.charge` gave.
    var marks: [Double]
    /// When it lapses, unless it is renewed: what it holds returns then.
    var leaseEnd: Int64
    /// Bit n: it holds what it was charged of the n-th account.
    var leased: UInt64 = 0
}

/// The reservations that hold something of one account, by the ends of their leases.
///
/// What was settled or renewed meanwhile stays in the row until it comes to its turn, or until
/// there is more of it than of what counts.
struct LeaseRow: Sendable {
    struct Place: Sendable {
        let end: Int64
        let id: ReservationID

        /// Those of one moment by their names, as the store has them.
        func isBefore(_ other: Place) -> Bool {
            (end, id.nonce, id.number) < (other.end, other.id.nonce, other.id.number)
        }
    }
    var places: Deque<Place> = []
    /// Those that count.
    var count = 0

    mutating func add(_ place: Place) {
        var at = places.count
        // Leases are of one length, so this goes back only where the clock did.
        while at > 0, place.isBefore(places[at - 1]) { at -= 1 }
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

    /// Reservations that hold something of that account and have not lapsed.
    func count(_ account: AccountID, now: Int64) -> Int {
        guard let row = rows[account] else { return 0 }
        let lapsed = row.places.prefix { $0.end <= now }.count { isLeased($0, of: account) }
        return row.count - lapsed
    }

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
    mutating func renew(_ id: ReservationID, leaseEnd: Int64, marks: [Double]) {
        guard let slot = index.slot(of: id) else { return }
        let place = Int(slot)
        vacate(place)
        ends.count -= 1
        slots[place].leaseEnd = leaseEnd
        slots[place].marks = marks
        lease(place)
    }

    /// Takes the first `most` leases that have ended from an account, and gives where their
    /// reservations are.
    mutating func lapse(_ account: AccountID, now: Int64, most: Int) -> [Int] {
        guard let next = rows[account]?.places.first, next.end <= now else { return [] }
        var lapsed: [Int] = []
        while lapsed.count < most, let first = rows[account]?.places.first, first.end <= now {
            rows[account]?.places.removeFirst()
            guard let place = current(first), let bit = bit(of: account, at: place),
                slots[place].leased & bit != 0
            else { continue }
            slots[place].leased &= ~bit
            rows[account]?.count -= 1
            // After that time the store does not know it any more.
            if first.end > now - keptMicroseconds { lapsed.append(place) }
        }
        if rows[account]?.count == 0 { rows[account] = nil }
        return lapsed
    }

    /// Forgets what lapsed too long ago, even if the clock is set back by an hour afterwards.
    mutating func forget(now: Int64) {
        let latest = now - keptMicroseconds - 3_600_000_000
        while let first = ends.places.first, first.end <= latest {
            ends.places.removeFirst()
            if current(first) != nil { remove(first.id) }
        }
    }

    /// Nobody holds anything of it.
    func isUnused(_ account: AccountID) -> Bool { rows[account] == nil }

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
        for (number, account) in slots[place].limits.accounts.enumerated() {
            slots[place].leased |= 1 << UInt64(number)
            rows[account.id, default: LeaseRow()].add(entry)
            guard var row = rows[account.id], row.isCrowded else { continue }
            row.places = row.places.filter { isLeased($0, of: account.id) }
            rows[account.id] = row
        }
    }

    private func isLeased(_ place: LeaseRow.Place, of account: AccountID) -> Bool {
        guard let found = current(place), let bit = bit(of: account, at: found) else {
            return false
        }
        return slots[found].leased & bit != 0
    }

    /// Gives its places back, as far as it has them.
    private mutating func vacate(_ place: Int) {
        let reservation = slots[place]
        guard reservation.leased != 0 else { return }
        for (number, account) in reservation.limits.accounts.enumerated()
        where reservation.leased & (1 << UInt64(number)) != 0 {
            guard let row = rows.index(forKey: account.id) else { continue }
            rows.values[row].count -= 1
            if rows.values[row].count == 0 { rows.remove(at: row) }
        }
        slots[place].leased = 0
    }
}
