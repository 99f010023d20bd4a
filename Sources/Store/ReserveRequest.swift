// SPDX-License-Identifier: Apache-2.0

public import Budget
public import Policy
public import Units

/// Whose budget is meant, and what its limits are: made once for a tenant and a configuration.
public struct BudgetAccount: Sendable {
    public let tenant: TenantID
    /// The tenant's name in the store.
    public let name: String
    public let limits: LimitSet

    public init(_ tenant: TenantPolicy) {
        self.tenant = tenant.id
        name = tenant.name
        limits = LimitSet(tenant.limits)
    }
}

/// One request's question to the budget store.
public struct ReserveRequest: Sendable {
    /// Where the answer belongs.
    public let request: RequestID
    /// The tenant's name in the store.
    public let tenantName: String
    public let order: BudgetOrder

    /// `serviceTime`: how long such requests take in the mean; zero when unknown. See
    /// `BudgetOrder`.
    public init(
        request: RequestID, reservation: ReservationID, account: BudgetAccount, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.request = request
        tenantName = account.name
        order = BudgetOrder(
            id: reservation, tenant: account.tenant, limits: account.limits, demand: demand,
            serviceTime: serviceTime)
    }

    /// The same for a tenant whose account is not at hand.
    public init(
        request: RequestID, reservation: ReservationID, tenant: TenantPolicy, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.init(
            request: request, reservation: reservation, account: BudgetAccount(tenant),
            demand: demand, serviceTime: serviceTime)
    }

    public var reservation: ReservationID { order.id }
}

/// The end of a reservation.
public struct Settlement: Sendable {
    public let reservation: ReservationID
    public let tenant: TenantID
    public let tenantName: String
    public let limits: LimitSet
    public let holder: ReservationHolder
    public let use: SettledUse

    /// `holder`: as the answer to the reservation said; `.outstanding` while it has not come.
    public init(
        reservation: ReservationID, account: BudgetAccount, holder: ReservationHolder,
        use: SettledUse
    ) {
        self.reservation = reservation
        tenant = account.tenant
        tenantName = account.name
        limits = account.limits
        self.holder = holder
        self.use = use
    }

    /// The same for a tenant whose account is not at hand.
    public init(
        reservation: ReservationID, tenant: TenantPolicy, holder: ReservationHolder,
        use: SettledUse
    ) {
        self.init(
            reservation: reservation, account: BudgetAccount(tenant), holder: holder, use: use)
    }

    /// The end of a reservation that the store may have made without our knowing.
    init(cancelling request: ReserveRequest) {
        reservation = request.reservation
        tenant = request.order.tenant
        tenantName = request.tenantName
        limits = request.order.limits
        holder = .store
        use = .nothing
    }

    /// The same, now that its holder is known.
    init(_ settlement: Settlement, holder: ReservationHolder) {
        reservation = settlement.reservation
        tenant = settlement.tenant
        tenantName = settlement.tenantName
        limits = settlement.limits
        self.holder = holder
        use = settlement.use
    }
}
