// SPDX-License-Identifier: Apache-2.0

package import Budget
package import Policy
package import Units

/// One request's question to the budget store.
package struct ReserveRequest: Sendable {
    /// Where the answer belongs.
    package let request: RequestID
    /// The tenant's name in the store.
    package let tenantName: String
    package let order: BudgetOrder

    /// `serviceTime`: how long such requests take in the mean; zero when unknown. See
    /// `BudgetOrder`.
    package init(
        request: RequestID, reservation: ReservationID, tenant: TenantPolicy, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.request = request
        tenantName = tenant.name
        order = BudgetOrder(
            id: reservation, tenant: tenant.id, limits: LimitSet(tenant.limits), demand: demand,
            serviceTime: serviceTime)
    }

    package var reservation: ReservationID { order.id }
}

/// The end of a reservation.
package struct Settlement: Sendable {
    package let reservation: ReservationID
    package let tenant: TenantID
    package let tenantName: String
    package let limits: LimitSet
    package let holder: ReservationHolder
    package let use: SettledUse

    /// `holder`: as the answer to the reservation said; `.outstanding` while it has not come.
    package init(
        reservation: ReservationID, tenant: TenantPolicy, holder: ReservationHolder,
        use: SettledUse
    ) {
        self.reservation = reservation
        self.tenant = tenant.id
        self.tenantName = tenant.name
        self.limits = LimitSet(tenant.limits)
        self.holder = holder
        self.use = use
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
