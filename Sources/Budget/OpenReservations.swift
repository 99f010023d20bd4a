// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Policy
import Units

/// One reservation between reserve and settle.
struct OpenReservation: Sendable {
    /// What holds a value of an unknown type is looked at where it is, and not loaded as a whole.
    private let pin: any Sendable = ()
    let id: ReservationID
    private(set) var limits: LimitSet
    let demand: Demand
    /// By limit, what `LimitState.charge` gave.
    var marks: Marks
    /// When it lapses, unless it is renewed: what it holds returns then.
    var leaseEnd: Int64
    /// Bit n: it holds what it was charged of the n-th account.
    var leased: UInt8 = 0
    /// Where these accounts are, as long as it holds something of them.
    var places = Places(repeating: 0)
    /// Of one that a gateway was granted for requests to come; `demand` is nothing then.
    var grant: GrantHold?

    typealias Places = InlineArray<5, Int32>

    init(id: ReservationID, limits: LimitSet, demand: Demand, marks: Marks, leaseEnd: Int64) {
        self.id = id
        self.limits = limits
        self.demand = demand
        self.marks = marks
        self.leaseEnd = leaseEnd
    }

    /// Nobody will look at it any more: what it holds of memory is free.
    mutating func empty() {
        limits = Self.noLimits
        marks = Marks()
        grant = nil
    }

    private static let noLimits = LimitSet()

    /// What returns if nobody settles it.
    func reserved(_ quantity: LimitQuantity) -> Double {
        grant?.held.counted(quantity) ?? demand.counted(quantity)
    }
}

/// What is known of a grant between two reports. Apart, so that reservations stay small.
final class GrantHold: Sendable {
    let held: Amounts
    /// Of requests that have ended: it stays charged whatever happens to the gateway.
    let spent: Amounts
    /// Of the last report.
    let number: Int

    init(held: Amounts, spent: Amounts = .none, number: Int = 0) {
        self.held = held
        self.spent = spent
        self.number = number
    }
}

/// One number for each limit of a request; of few, nothing is allocated.
struct Marks: Sendable {
    private var first = InlineArray<6, Double>(repeating: 0)
    private var more: [Double] = []
    private var count = 0

    init() {}

    mutating func append(_ mark: Double) {
        if count < first.count { first[count] = mark } else { more.append(mark) }
        count += 1
    }

    subscript(place: Int) -> Double {
        get { place < first.count ? first[place] : more[place - first.count] }
        set {
            if place < first.count {
                first[place] = newValue
            } else {
                more[place - first.count] = newValue
            }
        }
    }
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
    /// By the places of accounts.
    private var rows: [LeaseRow] = []
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

    /// One more account, at the next place.
    mutating func addAccount() { rows.append(LeaseRow()) }

    /// Reservations that hold something of the account at `place` and have not lapsed.
    func count(_ account: AccountID, _ place: Int, now: Int64) -> Int {
        var lapsed = 0
        for lease in rows[place].places {
            guard lease.end <= now else { break }
            if isLeased(lease, of: account) { lapsed += 1 }
        }
        return rows[place].count - lapsed
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
    subscript(place: Int) -> OpenReservation {
        _read { yield slots[place] }
    }

    /// Adds a reservation in place of a lapsed one of the same name. The table is not full.
    mutating func insert(_ reservation: OpenReservation, at places: OpenReservation.Places) {
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
        lease(Int(place), at: places)
    }

    mutating func remove(_ id: ReservationID) {
        guard let place = index.remove(id) else { return }
        vacate(Int(place))
        ends.count -= 1
        slots[Int(place)].empty()
        free.append(place)
    }

    /// Gives a reservation a new lease, even if the old one has lapsed.
    mutating func renew(
        _ id: ReservationID, leaseEnd: Int64, marks: Marks, at places: OpenReservation.Places
    ) {
        guard let slot = index.slot(of: id) else { return }
        let place = Int(slot)
        vacate(place)
        ends.count -= 1
        slots[place].leaseEnd = leaseEnd
        slots[place].marks = marks
        lease(place, at: places)
    }

    /// What the reservation of that name, which is open, holds from now on.
    mutating func put(_ grant: GrantHold, of id: ReservationID) {
        guard let slot = index.slot(of: id) else { return }
        slots[Int(slot)].grant = grant
    }

    /// Takes the first `most` leases that have ended from an account, and gives where their
    /// reservations are.
    mutating func lapse(_ account: AccountID, _ seat: Int, now: Int64, most: Int) -> [Int] {
        guard let next = rows[seat].places.first, next.end <= now else { return [] }
        var lapsed: [Int] = []
        while lapsed.count < most, let first = rows[seat].places.first, first.end <= now {
            rows[seat].places.removeFirst()
            guard let place = current(first), let bit = bit(of: account, at: place),
                slots[place].leased & bit != 0
            else { continue }
            slots[place].leased &= ~bit
            rows[seat].count -= 1
            // After that time the store does not know it any more.
            if first.end > now - keptMicroseconds { lapsed.append(place) }
        }
        clear(seat)
        return lapsed
    }

    /// Where nothing counts, nothing is kept.
    private mutating func clear(_ seat: Int) {
        if rows[seat].count == 0 { rows[seat].places.removeAll(keepingCapacity: true) }
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
    func isUnused(_ seat: Int) -> Bool { rows[seat].count == 0 }

    // MARK: rows

    /// Where the reservation is that a place in a row was made for, if it still stands for it.
    private func current(_ place: LeaseRow.Place) -> Int? {
        guard let slot = index.slot(of: place.id), slots[Int(slot)].leaseEnd == place.end else {
            return nil
        }
        return Int(slot)
    }

    private func bit(of account: AccountID, at place: Int) -> UInt8? {
        slots[place].limits.accounts.firstIndex { $0.id == account }.map { 1 << UInt8($0) }
    }

    private mutating func lease(_ place: Int, at places: OpenReservation.Places) {
        let entry = LeaseRow.Place(end: slots[place].leaseEnd, id: slots[place].id)
        ends.add(entry)
        if ends.isCrowded { ends.places = ends.places.filter { current($0) != nil } }
        let limits = slots[place].limits
        slots[place].places = places
        slots[place].leased = UInt8(truncatingIfNeeded: (1 << limits.accounts.count) - 1)
        for number in limits.accounts.indices {
            let seat = Int(places[number])
            rows[seat].add(entry)
            guard rows[seat].isCrowded else { continue }
            let account = limits.accounts[number].id
            rows[seat].places = rows[seat].places.filter { isLeased($0, of: account) }
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
        let leased = slots[place].leased
        guard leased != 0 else { return }
        for number in 0..<LimitSet.mostAccounts where leased & (1 << UInt8(number)) != 0 {
            let seat = Int(slots[place].places[number])
            rows[seat].count -= 1
            clear(seat)
        }
        slots[place].leased = 0
    }
}
