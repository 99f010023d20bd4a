// SPDX-License-Identifier: Apache-2.0

public import Units

/// A class's queue among those of other gateways.
extension ClassQueue {
    /// What the other gateways are told, `most` tenants at most.
    public func report(
        of trafficClass: ClassID, by order: Order, most: Int
    ) -> [GatewayReport.Tenant] {
        fair.services(most: most).map { service in
            let head = service.waits ? choice(of: service.tenant, by: order) : nil
            var told = GatewayReport.Tenant(
                trafficClass, service.tenant, served: service.served,
                servedBefore: service.servedBefore, counter: fair.counter(of: service.tenant),
                waited: head.map { max(.zero, order.now - $0.entry.arrivedAt) })
            told.given = service.given
            told.lead = service.lead
            return told
        }
    }

    /// One refresh more has been told.
    public mutating func countReport() { fair.reports += 1 }

    /// Another gateway has served the tenant so much more.
    public mutating func merge(_ tenant: TenantID, cost: Int) { fair.merge(tenant, cost: cost) }

    /// Another gateway has lifted the tenant so much in all.
    public mutating func raise(_ tenant: TenantID, given: Int, isNew: Bool) {
        fair.raise(tenant, given: given, isNew: isNew)
    }

    /// Another gateway would lift to this whoever comes when nobody waits.
    public mutating func raiseFloor(to level: Int) { fair.raiseFloor(to: level) }

    /// The gateway that all go by counts like this: see `FairShare.align`.
    public mutating func align(_ told: [(tenant: TenantID, counter: Int)], by parts: Int) {
        fair.align(told, by: parts)
    }

    /// These wait at other gateways, in the order of their places.
    public mutating func waits(elsewhere tenants: [TenantID]) { fair.waits(elsewhere: tenants) }
}
