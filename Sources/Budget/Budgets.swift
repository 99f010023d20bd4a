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
    private var open: OpenReservations
    private let leaseMicroseconds: Int64
    /// The limits of the call at hand.
    private var states: [LimitState] = []

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
        for state in states where state.neverFits(order.demand.counted(state.quantity)) {
            return .neverFits(BudgetExcess(state.limit, demand: order.demand))
        }
        if let refusal = refusal(order, now: now) { return .refused(refusal) }
        guard !open.isFull, makeRoom(for: limits) else { return .full }
        var marks: [Double] = []
        marks.reserveCapacity(states.count)
        for place in states.indices {
            marks.append(states[place].charge(order.demand.counted(states[place].quantity)))
        }
        open.insert(
            OpenReservation(
                id: order.id, limits: limits, demand: order.demand, marks: marks,
                leaseEnd: moment + leaseMicroseconds))
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
        for place in states.indices {
            guard let charged = charged(place, of: reservation) else { continue }
            let quantity = states[place].quantity
            // What has lapsed was given back already.
            states[place].settle(
                mark: reservation.marks[charged],
                reserved: reservation.holds(charged) ? reservation.demand.counted(quantity) : 0,
                actual: use.counted(quantity))
        }
        open.remove(id)
        guard makeRoom(for: limits) else { return .done }
        save(limits, now: now)
        return .done
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
            let amount = reservation.demand.counted(states[place].quantity)
            marks[charged] = states[place].charge(amount)
            isChargedAgain = true
        }
        open.renew(id, leaseEnd: moment + leaseMicroseconds, marks: marks)
        if isChargedAgain { save(limits, now: now) }
        return .done
    }

    /// Where a reservation has the limit that the call has at `place`; nil where it was not
    /// charged.
    private func charged(_ place: Int, of reservation: OpenReservation) -> Int? {
        let code = states[place].limit.code
        let theirs = reservation.limits.limits
        // Nearly always what it was charged to is what it is settled with.
        if place < theirs.count, theirs[place].code == code { return place }
        return theirs.firstIndex { $0.code == code }
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
        return accounts.count - 1
    }

    /// Whether all accounts of a set have a place, or can have one.
    private mutating func makeRoom(for limits: LimitSet) -> Bool {
        guard places.count + limits.accounts.count > Self.mostAccounts else { return true }
        places = places.filter { id, place in
            guard accounts[Int(place)].isIdle, open.isUnused(id) else { return true }
            freePlaces.append(place)
            return false
        }
        return places.count + limits.accounts.count <= Self.mostAccounts
    }

    // MARK: a call

    /// Brings all limits to `now`, for the call at hand; gives the latest time that any of their
    /// accounts has seen.
    private mutating func look(at limits: LimitSet, now: Int64) -> Int64 {
        open.forget(now: now)
        states.removeAll(keepingCapacity: true)
        var moment: Int64?
        var hasLapsed = false
        for (number, planned) in limits.accounts.enumerated() {
            let account = account(planned.id)
            let clock = account.effectiveTime(now)
            moment = max(moment ?? clock, clock)
            let lapsed = open.lapse(planned.id, now: clock, most: Self.mostLapsed)
            let first = states.count
            while states.count < limits.limits.count,
                limits.limits[states.count].account == number
            {
                let limit = limits.limits[states.count]
                let isConcurrent = limit.kind == .concurrentRequests
                let count = isConcurrent ? open.count(planned.id, now: clock) : 0
                states.append(LimitState(limit, of: account, open: count, now: now))
            }
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

    /// Leases that end are looked at so many a call and account, so that none takes long.
    private static let mostLapsed = 16

    /// What nobody settled and nobody renews counts as not used, until somebody says otherwise.
    private mutating func giveBack(_ place: Int, _ reservation: OpenReservation) {
        guard let charged = charged(place, of: reservation) else { return }
        states[place].settle(
            mark: reservation.marks[charged],
            reserved: reservation.demand.counted(states[place].quantity), actual: 0)
    }

    private mutating func save(_ limits: LimitSet, now: Int64) {
        var place = 0
        for (number, planned) in limits.accounts.enumerated() {
            // Where it stands: a copy would take its counters along.
            let seat = self.place(of: planned.id)
            accounts[seat].clock = accounts[seat].effectiveTime(now)
            while place < states.count, states[place].limit.account == number {
                states[place].write(to: &accounts[seat])
                place += 1
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

    private func snapshot(_ limits: LimitSet, now: Int64) -> LimitsSnapshot {
        LimitsSnapshot(
            limits: limits,
            levels: states.map { LimitsSnapshot.Level(used: $0.used, reset: $0.reset) },
            time: now)
    }

    /// Within what doubles hold exactly.
    private static func time(_ wall: WallTime) -> Int64 {
        min(max(wall.microseconds, 0), 1 << 52)
    }
}

extension OpenReservation {
    /// Its charge to the limit at `place` has not lapsed.
    func holds(_ place: Int) -> Bool {
        leased & (1 << UInt64(limits.limits[place].account)) != 0
    }
}

extension LimitState {
    var quantity: LimitQuantity { limit.kind.quantity }

    func write(to account: inout Account) {
        if case .concurrent = limit.form { return }
        account.put(limit.code, used: used, second: second)
    }
}
