// SPDX-License-Identifier: Apache-2.0

public import Budget
public import Policy
import Synchronization
public import Units

/// The budgets of all tenants in this process's memory, shared by its workers.
public final class MemoryStore: Sendable {
    /// No lease runs out while the process lives: requests settle, and nobody else's are in here.
    public static let lease = Duration.seconds(30 * 86_400)
    /// Open reservations of all workers; about 200 bytes each. Over it, requests are refused for a
    /// second.
    public static let maxReservations = 262_144

    private let budgets: Mutex<Budgets>

    public init(
        lease: Duration = MemoryStore.lease, maxReservations: Int = MemoryStore.maxReservations
    ) {
        budgets = Mutex(Budgets(lease: lease, maxReservations: maxReservations))
    }

    /// Charges all limits of the order's tenant or none.
    public func reserve(_ order: BudgetOrder, wall: WallTime) -> BudgetOutcome {
        budgets.withLock { $0.reserve(order, wall: wall) }
    }

    /// Replaces a reservation by what was used, once.
    @discardableResult
    public func settle(_ settlement: Settlement, wall: WallTime) -> SettlementOutcome {
        budgets.withLock {
            $0.settle(
                settlement.reservation, tenant: settlement.tenant, use: settlement.use,
                limits: settlement.limits, wall: wall)
        }
    }

    /// Starts a reservation's lease anew.
    @discardableResult
    public func renew(
        _ reservation: ReservationID, tenant: TenantID, wall: WallTime
    ) -> SettlementOutcome {
        budgets.withLock { $0.renew(reservation, tenant: tenant, wall: wall) }
    }

    /// How the limits of `tenants` stand, in that order.
    public func standings(of tenants: [TenantPolicy], wall: WallTime) -> [LimitsSnapshot] {
        budgets.withLock { budgets in
            tenants.map { tenant in
                budgets.standing(of: tenant.id, limits: LimitSet(tenant.limits), wall: wall)
            }
        }
    }

    /// Reservations that have not been settled.
    public var openCount: Int { budgets.withLock { $0.openCount } }

    /// What `tenants` have used, to be kept over a restart. Open reservations count as used: nobody
    /// will settle them.
    public func snapshot(of tenants: [TenantPolicy]) -> [UInt8] {
        var saved: [SavedAccount] = []
        budgets.withLock { budgets in
            for tenant in tenants where !tenant.removed {
                saved.append(
                    SavedAccount(name: tenant.name, account: budgets.account(tenant.id)))
            }
        }
        return BudgetSnapshot.encode(saved)
    }

    /// Takes over what `tenants` had used when `bytes` were made; a tenant that is not among them
    /// is forgotten. Meant for the start. After a fault all is as before.
    public func restore(
        _ bytes: [UInt8], for tenants: [TenantPolicy]
    ) throws(SnapshotFault) {
        let saved = try BudgetSnapshot.decode(bytes)
        var identifiers: [String: TenantID] = [:]
        for tenant in tenants { identifiers[tenant.name] = tenant.id }
        budgets.withLock { budgets in
            for entry in saved {
                if let tenant = identifiers[entry.name] {
                    budgets.restore(entry.account, of: tenant)
                }
            }
        }
    }
}

extension MemoryStore: BudgetStoring {
    public func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        ReserveAnswer(reserve(request.order, wall: wall), holder: .store)
    }

    public func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        settle(settlement, wall: wall)
    }

    /// Nothing ever waits here.
    public func drain(into answers: inout [StoreAnswer]) {}

    public func usage(
        of tenants: [TenantPolicy], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        .usage(standings(of: tenants, wall: wall), .store)
    }
}
