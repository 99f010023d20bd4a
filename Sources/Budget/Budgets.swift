// SPDX-License-Identifier: Apache-2.0

import Policy
public import Units

/// What a request asks of its tenant's limits.
public struct BudgetOrder: Sendable {
    public let id: ReservationID
    public let tenant: TenantID
    public let limits: LimitSet
    public let demand: Demand
    /// How long requests like this one take in the mean: the only hint at when a concurrent one
    /// will end. Zero when unknown; the wait is then told as a second.
    public let serviceTime: Duration

    public init(
        id: ReservationID, tenant: TenantID, limits: LimitSet, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.id = id
        self.tenant = tenant
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

/// The limits of all tenants: reserve, renew, settle.
///
/// Every call checks all limits and then charges all or none. Reservations are known by name, so
/// each call may come twice and counts once. Time is microseconds of the store's wall clock; while
/// it goes back nothing drains and nothing is charged anew.
public struct Budgets: Sendable {
    private var accounts: [Account] = []
    private var open: OpenReservations
    private let leaseMicroseconds: Int64

    /// How long a lapsed reservation can still be settled.
    public static let kept = Duration.seconds(3_600)

    /// `lease`: after this long without renewal the place of a concurrent request returns.
    /// `maxReservations`: the most open reservations of all tenants; about 200 bytes each.
    public init(lease: Duration, maxReservations: Int) {
        leaseMicroseconds = lease.nanoseconds / 1_000
        open = OpenReservations(
            limit: maxReservations, keptMicroseconds: Self.kept.nanoseconds / 1_000)
    }

    /// Reservations that have not been settled.
    public var openCount: Int { open.count }

    /// Charges all of the tenant's limits or none. The same name again charges nothing more.
    public mutating func reserve(_ order: BudgetOrder, wall: WallTime) -> BudgetOutcome {
        let now = Self.time(wall)
        let tenant = order.tenant
        let stored = account(tenant)
        var account = stored
        account.advance(to: now, limits: order.limits)
        open.expire(tenant, now: account.clock)
        if open.find(order.id, tenant: tenant, now: account.clock) != nil {
            return .reserved(
                account.snapshot(order.limits, open: open.concurrent(tenant), now: now))
        }
        let requested = order.demand.amounts
        if let never = Account.neverFits(requested, limits: order.limits) { return never }
        let moment = Moment(
            stored: stored, open: open.concurrent(tenant), serviceTime: order.serviceTime, now: now)
        if let refusal = account.refusal(requested, limits: order.limits, moment: moment) {
            return .refused(refusal)
        }
        if open.isFull { open.expireAll(now: now) }
        if open.isFull { return .full }
        let charge = account.charge(requested, limits: order.limits)
        open.insert(
            OpenReservation(
                id: order.id, tenant: tenant, demand: order.demand, charge: charge,
                leaseEnd: account.clock + leaseMicroseconds))
        store(account, of: tenant)
        return .reserved(account.snapshot(order.limits, open: open.concurrent(tenant), now: now))
    }

    /// Replaces what was reserved by what was used, once.
    public mutating func settle(
        _ id: ReservationID, tenant: TenantID, use: SettledUse, limits: LimitSet, wall: WallTime
    ) -> SettlementOutcome {
        var account = account(tenant)
        account.advance(to: Self.time(wall), limits: limits)
        open.expire(tenant, now: account.clock)
        guard let place = open.find(id, tenant: tenant, now: account.clock) else {
            return .unknown
        }
        var actual: [7 of Double] = [0, 0, 0, 0, 0, 0, 0]
        if case .used(let demand) = use { actual = demand.amounts }
        account.settle(
            open[place].charge, reserved: open[place].demand.amounts, actual: actual,
            limits: limits)
        open.remove(id)
        store(account, of: tenant)
        return .done
    }

    /// Starts the lease of an open reservation anew.
    public mutating func renew(
        _ id: ReservationID, tenant: TenantID, wall: WallTime
    ) -> SettlementOutcome {
        let clock = account(tenant).effectiveTime(Self.time(wall))
        open.expire(tenant, now: clock)
        guard open.find(id, tenant: tenant, now: clock) != nil else { return .unknown }
        open.renew(id, leaseEnd: clock + leaseMicroseconds)
        return .done
    }

    /// How the tenant's limits stand; charges nothing.
    public mutating func standing(
        of tenant: TenantID, limits: LimitSet, wall: WallTime
    ) -> LimitsSnapshot {
        let now = Self.time(wall)
        var account = account(tenant)
        account.advance(to: now, limits: limits)
        open.expire(tenant, now: account.clock)
        return account.snapshot(limits, open: open.concurrent(tenant), now: now)
    }

    /// The account to be saved; a tenant that nobody has seen has an untouched one.
    public func account(_ tenant: TenantID) -> Account {
        tenant.index < accounts.count ? accounts[tenant.index] : Account()
    }

    /// Puts back an account that was saved.
    public mutating func restore(_ account: Account, of tenant: TenantID) {
        store(account, of: tenant)
    }

    private mutating func store(_ account: Account, of tenant: TenantID) {
        while accounts.count <= tenant.index { accounts.append(Account()) }
        accounts[tenant.index] = account
    }

    /// Within what doubles hold exactly.
    private static func time(_ wall: WallTime) -> Int64 {
        min(max(wall.microseconds, 0), 1 << 52)
    }
}
