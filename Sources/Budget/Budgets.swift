// SPDX-License-Identifier: Apache-2.0

import Policy
public import Units

/// What a request asks of its limits.
public struct BudgetOrder: Sendable {
    public let id: ReservationID
    public let limits: LimitSet
    public let demand: Demand
    /// How long requests like this one take in the mean: the only hint at when a concurrent one
    /// will end. Zero when unknown; the wait is then told as a second.
    public let serviceTime: Duration

    public init(
        id: ReservationID, limits: LimitSet, demand: Demand, serviceTime: Duration = .zero
    ) {
        self.id = id
        self.limits = limits
        self.demand = demand
        self.serviceTime = serviceTime
    }
}

/// What happened to a settlement or a renewal.
public enum SettlementOutcome: Sendable, Equatable {
    case done
    /// No reservation of that name is open: it was settled before, or it never was, or it lapsed
    /// too long ago.
    case unknown
}

/// The limits of everybody: reserve, renew, settle.
///
/// Every call checks all limits of a request, its groups' and its key's too, and then charges all
/// or none. Reservations are known by name, so each call may come twice and counts once. Time is
/// microseconds of the store's wall clock; while it goes back nothing drains and nothing is charged
/// anew.
public struct Budgets: Sendable {
    private var places: [AccountID: Int32] = [:]
    private var accounts: [Account] = []
    private var freePlaces: [Int32] = []
    var open: OpenReservations
    let leaseMicroseconds: Int64
    /// The limits of the call at hand.
    var states: [LimitState] = []
    /// The places of their accounts; none where nothing was ever used.
    private var seats: [Int32?] = []

    /// How long a lapsed reservation can still be settled: a day.
    public static let kept = Duration.seconds(86_400)
    /// Accounts at once, about 300 bytes each; at the bound those that have used nothing are
    /// forgotten.
    public static let mostAccounts = 1 << 20

    /// `lease`: after this long without renewal what a reservation holds returns.
    /// `maxReservations`: the most open reservations of all tenants; about 300 bytes each.
    public init(lease: Duration, maxReservations: Int) {
        leaseMicroseconds = lease.nanoseconds / 1_000
        open = OpenReservations(
            limit: maxReservations, keptMicroseconds: Self.kept.nanoseconds / 1_000)
    }

    /// Reservations that have not been settled.
    public var openCount: Int { open.count }

    /// Charges all limits or none. The same name again charges nothing more.
    public mutating func reserve(_ order: BudgetOrder, wall: WallTime) -> BudgetOutcome {
        let now = Self.time(wall)
        let limits = order.limits
        let moment = look(at: limits, now: now)
        if open.find(order.id, root: limits.root, now: moment) != nil {
            return .reserved(snapshot(limits, now: now))
        }
        for (place, state) in states.enumerated()
        where state.neverFits(order.demand.counted(state.quantity)) {
            return .neverFits(BudgetExcess(limits.limits[place], demand: order.demand))
        }
        if let refusal = refusal(order, now: now) { return .refused(refusal) }
        guard !open.isFull, limits.accounts.count <= LimitSet.mostAccounts, makeRoom(for: limits)
        else { return .full }
        let places = seated(limits)
        var marks = Marks()
        for place in states.indices {
            marks.append(states[place].charge(order.demand.counted(states[place].quantity)))
        }
        open.insert(
            OpenReservation(
                id: order.id, limits: limits, demand: order.demand, marks: marks,
                leaseEnd: moment + leaseMicroseconds),
            at: places)
        save(limits, now: now)
        return .reserved(snapshot(limits, now: now))
    }

    /// Replaces what was reserved by what was used, once.
    ///
    /// Limits that were not charged, or are not in `limits` any more, stay as they are.
    public mutating func settle(
        _ id: ReservationID, use: SettledUse, limits: LimitSet, wall: WallTime
    ) -> SettlementOutcome {
        let now = Self.time(wall)
        let moment = look(at: limits, now: now)
        guard let found = open.find(id, root: limits.root, now: moment) else { return .unknown }
        let reservation = open[found]
        for place in states.indices { settle(place, reservation, use) }
        open.remove(id)
        guard makeRoom(for: limits) else { return .done }
        save(limits, now: now)
        return .done
    }

    private mutating func settle(
        _ place: Int, _ reservation: borrowing OpenReservation, _ use: SettledUse
    ) {
        guard let charged = charged(place, of: reservation) else { return }
        let quantity = states[place].quantity
        // What has lapsed was given back already.
        states[place].settle(
            mark: reservation.marks[charged],
            reserved: reservation.holds(charged) ? reservation.reserved(quantity) : 0,
            actual: use.counted(quantity))
    }

    /// Starts the lease of an open reservation anew. What it held of an account where it had lapsed
    /// is charged again, whether or not there is room.
    public mutating func renew(
        _ id: ReservationID, limits: LimitSet, wall: WallTime
    ) -> SettlementOutcome {
        let now = Self.time(wall)
        let moment = look(at: limits, now: now)
        guard let found = open.find(id, root: limits.root, now: moment) else { return .unknown }
        let reservation = open[found]
        var marks = reservation.marks
        var isChargedAgain = false
        for place in states.indices {
            guard let charged = charged(place, of: reservation), !reservation.holds(charged)
            else { continue }
            let amount = reservation.reserved(states[place].quantity)
            marks[charged] = states[place].charge(amount)
            isChargedAgain = true
        }
        let places = limits === reservation.limits ? seated(limits) : self.places(of: reservation)
        open.renew(id, leaseEnd: moment + leaseMicroseconds, marks: marks, at: places)
        if isChargedAgain { save(limits, now: now) }
        return .done
    }

    /// Where a reservation has the limit that the call has at `place`; nil where it was not
    /// charged.
    func charged(_ place: Int, of reservation: borrowing OpenReservation) -> Int? {
        let code = states[place].code
        let set = reservation.limits
        // Nearly always what it was charged to is what it is settled with.
        if place < set.limits.count, set.limits[place].code == code { return place }
        return set.limits.firstIndex { $0.code == code }
    }

    /// How limits stand; charges nothing.
    public mutating func standing(of limits: LimitSet, wall: WallTime) -> LimitsSnapshot {
        let now = Self.time(wall)
        _ = look(at: limits, now: now)
        return snapshot(limits, now: now)
    }

    // MARK: accounts

    /// The account to be saved; whoever nobody has seen has an untouched one.
    public func account(_ id: AccountID) -> Account {
        places[id].map { accounts[Int($0)] } ?? Account()
    }

    /// Puts back an account that was saved.
    public mutating func restore(_ account: Account, of id: AccountID) {
        put(account, of: id)
    }

    private mutating func put(_ account: Account, of id: AccountID) {
        accounts[place(of: id)] = account
    }

    /// Where the account is, or from now on an untouched one.
    private mutating func place(of id: AccountID) -> Int {
        if let place = places[id] { return Int(place) }
        if let place = freePlaces.popLast() {
            places[id] = place
            accounts[Int(place)] = Account()
            return Int(place)
        }
        places[id] = Int32(accounts.count)
        accounts.append(Account())
        open.addAccount()
        return accounts.count - 1
    }

    /// Whether all accounts of a set have a place, or can have one.
    mutating func makeRoom(for limits: LimitSet) -> Bool {
        guard places.count + limits.accounts.count > Self.mostAccounts else { return true }
        places = places.filter { id, place in
            guard accounts[Int(place)].isIdle, open.isUnused(Int(place)) else { return true }
            freePlaces.append(place)
            return false
        }
        for (number, account) in limits.accounts.enumerated() {
            seats[number] = places[account.id]
        }
        return places.count + limits.accounts.count <= Self.mostAccounts
    }

    // MARK: a call

    /// Brings all limits to `now`, for the call at hand; gives the latest time that any of their
    /// accounts has seen.
    mutating func look(at limits: LimitSet, now: Int64) -> Int64 {
        open.forget(now: now)
        states.removeAll(keepingCapacity: true)
        seats.removeAll(keepingCapacity: true)
        var moment: Int64?
        var hasLapsed = false
        for number in limits.accounts.indices {
            let id = limits.accounts[number].id
            let seat = places[id]
            seats.append(seat)
            let clocks = seat.map { accounts[Int($0)].clocks(now) } ?? Account().clocks(now)
            moment = max(moment ?? clocks.clock, clocks.clock)
            let lapsed =
                seat.map { open.lapse(id, Int($0), now: clocks.clock, most: Self.mostLapsed) } ?? []
            let first = states.count
            look(at: limits, of: number, seat.map { Int($0) }, clocks, now: now)
            for reservation in lapsed.map({ open[$0] }) {
                for place in first..<states.count { giveBack(place, reservation) }
            }
            hasLapsed = hasLapsed || !lapsed.isEmpty
        }
        if hasLapsed {
            save(limits, now: now)
            for place in states.indices { states[place].keep() }
        }
        return moment ?? now
    }

    /// Those of one account.
    private mutating func look(
        at set: LimitSet, of number: Int, _ seat: Int?, _ clocks: Account.Clocks, now: Int64
    ) {
        while states.count < set.limits.count, set.limits[states.count].account == number {
            let place = states.count
            let code = set.limits[place].code
            let counter =
                seat.map { accounts[$0].counter(code) } ?? Account.Counter(unusedOf: code)
            var count = 0
            if let seat, set.limits[place].quantity == .concurrent {
                count = open.count(set.accounts[number].id, seat, now: clocks.clock)
            }
            states.append(LimitState(set.limits[place], counter, clocks, open: count, now: now))
        }
    }

    /// The places of all accounts of the call at hand, from now on where there was none.
    mutating func seated(_ limits: LimitSet) -> OpenReservation.Places {
        var all = OpenReservation.Places(repeating: 0)
        for number in limits.accounts.indices {
            let seat = seats[number] ?? Int32(place(of: limits.accounts[number].id))
            seats[number] = seat
            if number < all.count { all[number] = seat }
        }
        return all
    }

    /// The same of what a reservation was charged to, where that is another set.
    mutating func places(of reservation: OpenReservation) -> OpenReservation.Places {
        var all = OpenReservation.Places(repeating: 0)
        for (number, account) in reservation.limits.accounts.enumerated() {
            all[number] = Int32(place(of: account.id))
        }
        return all
    }

    /// Leases that end are looked at so many a call and account, so that none takes long.
    private static let mostLapsed = 16

    /// What nobody settled and nobody renews counts as not used, until somebody says otherwise.
    private mutating func giveBack(_ place: Int, _ reservation: borrowing OpenReservation) {
        guard let charged = charged(place, of: reservation) else { return }
        states[place].settle(
            mark: reservation.marks[charged],
            reserved: reservation.reserved(states[place].quantity), actual: 0)
    }

    mutating func save(_ limits: LimitSet, now: Int64) {
        _ = seated(limits)
        for number in seats.indices {
            guard let seat = seats[number].map({ Int($0) }) else { continue }
            accounts[seat].clock = accounts[seat].clocks(now).clock
            // Where it stands: a copy would take its counters along.
            for place in states.indices where states[place].account == number {
                states[place].write(to: &accounts[seat])
            }
        }
    }

    private func refusal(_ order: BudgetOrder, now: Int64) -> BudgetRefusal? {
        var longest = -1.0
        var refusing = -1
        for (place, state) in states.enumerated() {
            let requested = order.demand.counted(state.quantity)
            if state.fits(requested) { continue }
            let wait = state.wait(requested, serviceTime: order.serviceTime)
            if wait > longest {
                longest = wait
                refusing = place
            }
        }
        guard refusing >= 0 else { return nil }
        return BudgetRefusal(
            at: refusing, demand: order.demand, wait: .microseconds(Int(longest)),
            snapshot: snapshot(order.limits, now: now))
    }

    func snapshot(_ limits: LimitSet, now: Int64) -> LimitsSnapshot {
        LimitsSnapshot(
            limits: limits,
            levels: states.map { LimitsSnapshot.Level(used: $0.used, reset: $0.reset) },
            time: now)
    }

    /// Within what doubles hold exactly.
    static func time(_ wall: WallTime) -> Int64 {
        min(max(wall.microseconds, 0), 1 << 52)
    }
}

extension OpenReservation {
    /// Its charge to the limit at `place` has not lapsed.
    borrowing func holds(_ place: Int) -> Bool {
        leased & (1 << UInt8(limits.limits[place].account)) != 0
    }
}

extension LimitState {
    func write(to account: inout Account) {
        if form == .concurrent { return }
        account.put(code, used: used, second: second)
    }
}
