// SPDX-License-Identifier: Apache-2.0

import Policy
public import Units

/// What a gateway wants to be granted in advance.
public struct GrantOrder: Sendable, Equatable {
    public let id: ReservationID
    public let limits: LimitSet
    public let wanted: Amounts
    /// It gets at most one in so many of what is left of each limit; 1 or more.
    public let parts: Int
    /// When nothing is heard of the gateway for so long, all that was not reported returns.
    public let lease: Duration

    public init(
        id: ReservationID, limits: LimitSet, wanted: Amounts, parts: Int, lease: Duration
    ) {
        self.id = id
        self.limits = limits
        self.wanted = wanted
        self.parts = parts
        self.lease = lease
    }

    /// What it has when that many millionths of it are granted.
    public func granted(_ millionths: Double) -> Amounts { wanted.share(millionths) }
}

public enum GrantOutcome: Sendable, Equatable {
    /// So many millionths of each amount that was wanted, each in whole numbers. The limits are as
    /// they stand with all of it charged.
    case granted(millionths: Double, LimitsSnapshot)
    /// A limit nears its end, counts what is at once, or has no room for two requests.
    case none
}

/// What has become of a grant so far: the whole of it, not what is new.
public struct GrantReport: Sendable, Equatable {
    public let id: ReservationID
    public let limits: LimitSet
    /// Counts up; an earlier one that comes later changes nothing.
    public let number: Int
    /// Reserved by requests that are open, and not used yet.
    public let held: Amounts
    /// Used by requests that have ended.
    public let spent: Amounts
    /// Nothing is held any more, and nothing will be.
    public let isLast: Bool

    public init(
        id: ReservationID, limits: LimitSet, number: Int, held: Amounts, spent: Amounts,
        isLast: Bool
    ) {
        self.id = id
        self.limits = limits
        self.number = number
        self.held = held
        self.spent = spent
        self.isLast = isLast
    }
}

// Grants: what a gateway takes out of the limits in advance, to decide about requests by itself.
//
// A grant is a reservation for many requests. It is charged to all limits when it is made, so that
// whatever gateways do with theirs, together they stay within what was charged. Its reports move it
// to what open requests hold and ended ones have used; the rest returns. The part that ended
// requests have used is final with the report: a gateway that dies loses none of that.
extension Budgets {
    /// Of what a limit can hold, the last part that is never granted in advance: one in so many.
    static let exactParts = 8.0
    /// A grant for fewer requests saves nothing.
    static let leastRequests = 2.0

    /// Charges all limits with as much of what is wanted as there is room for, or none.
    public mutating func grant(_ order: GrantOrder, wall: WallTime) -> GrantOutcome {
        let now = Self.time(wall)
        let limits = order.limits
        let moment = look(at: limits, now: now)
        guard open.find(order.id, root: limits.root, now: moment) == nil else { return .none }
        guard let millionths = share(of: order) else { return .none }
        let given = order.granted(millionths)
        guard given.requests >= Self.leastRequests, !open.isFull,
            limits.accounts.count <= LimitSet.mostAccounts, makeRoom(for: limits)
        else { return .none }
        let places = seated(limits)
        var marks = Marks()
        for place in states.indices {
            marks.append(states[place].charge(given.counted(states[place].quantity)))
        }
        var reservation = OpenReservation(
            id: order.id, limits: limits, demand: .nothing, marks: marks,
            leaseEnd: moment + order.lease.nanoseconds / 1_000)
        reservation.grant = GrantHold(held: given)
        open.insert(reservation, at: places)
        save(limits, now: now)
        return .granted(millionths: millionths, snapshot(limits, now: now))
    }

    private func share(of order: GrantOrder) -> Double? {
        var millionths = 1_000_000.0
        for state in states {
            if state.form == .concurrent { return nil }
            let room = state.capacity - state.used
            if room <= state.capacity / Self.exactParts { return nil }
            let wanted = order.wanted.counted(state.quantity)
            guard wanted > 0 else { continue }
            let most = (room / Double(order.parts) / wanted * 1_000_000).rounded(.down)
            millionths = min(millionths, most)
        }
        return millionths
    }

    /// Brings a grant to what has become of it, and renews its lease; the last report ends it.
    /// What had lapsed is charged again, whether or not there is room.
    @discardableResult
    public mutating func report(_ report: GrantReport, wall: WallTime) -> SettlementOutcome {
        let now = Self.time(wall)
        let moment = look(at: report.limits, now: now)
        guard let found = open.find(report.id, root: report.limits.root, now: moment),
            let known = open[found].grant
        else { return .unknown }
        guard report.number > known.number else { return .done }
        let reservation = open[found]
        var marks = reservation.marks
        for place in states.indices {
            guard let charged = charged(place, of: reservation) else { continue }
            let quantity = states[place].quantity
            let actual = report.spent.counted(quantity) + report.held.counted(quantity)
            let before = known.spent.counted(quantity)
            let isHeld = reservation.holds(charged)
            if isHeld || report.isLast {
                states[place].settle(
                    mark: marks[charged],
                    reserved: isHeld ? before + known.held.counted(quantity) : before,
                    actual: actual)
            } else {
                marks[charged] = states[place].charge(max(0, actual - before))
            }
        }
        if report.isLast {
            open.remove(report.id)
        } else {
            let set = reservation.limits
            let places = report.limits === set ? seated(set) : self.places(of: reservation)
            open.renew(
                report.id, leaseEnd: moment + leaseMicroseconds, marks: marks, at: places)
            open.put(
                GrantHold(held: report.held, spent: report.spent, number: report.number),
                of: report.id)
        }
        guard makeRoom(for: report.limits) else { return .done }
        save(report.limits, now: now)
        return .done
    }
}
