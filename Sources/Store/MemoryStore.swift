// SPDX-License-Identifier: Apache-2.0

public import Budget
public import Policy
import Synchronization
public import Units

/// The budgets of all tenants in this process's memory, shared by its workers.
public final class MemoryStore: Sendable {
    /// No lease runs out while the process lives: requests settle, and nobody else's are in here.
    public static let lease = Duration.seconds(30 * 86_400)
    /// Open reservations of all workers; about 300 bytes each. Over it, requests are refused for a
    /// second.
    public static let maxReservations = 262_144

    private let budgets: Mutex<Budgets>
    private let kept = Mutex<[String: StoredOverride]>([:])

    public init(
        lease: Duration = MemoryStore.lease, maxReservations: Int = MemoryStore.maxReservations
    ) {
        budgets = Mutex(Budgets(lease: lease, maxReservations: maxReservations))
    }

    /// Charges all limits of the order or none.
    public func reserve(_ order: BudgetOrder, wall: WallTime) -> BudgetOutcome {
        budgets.withLock { $0.reserve(order, wall: wall) }
    }

    /// Replaces a reservation by what was used, once.
    @discardableResult
    public func settle(_ settlement: Settlement, wall: WallTime) -> SettlementOutcome {
        budgets.withLock {
            $0.settle(
                settlement.reservation, use: settlement.use, limits: settlement.account.limits,
                wall: wall)
        }
    }

    /// Starts a reservation's lease anew.
    @discardableResult
    public func renew(
        _ reservation: ReservationID, account: BudgetAccount, wall: WallTime
    ) -> SettlementOutcome {
        budgets.withLock { $0.renew(reservation, limits: account.limits, wall: wall) }
    }

    /// How the limits of `accounts` stand, in that order.
    public func standings(of accounts: [BudgetAccount], wall: WallTime) -> [LimitsSnapshot] {
        budgets.withLock { budgets in
            accounts.map { budgets.standing(of: $0.limits, wall: wall) }
        }
    }

    /// All overrides, after a change where there is one.
    public func overrides(_ change: OverrideChange?, wall: WallTime) -> OverrideAnswer {
        kept.withLock { kept in
            kept = kept.filter { $0.value.expires.map { wall < $0 } ?? true }
            if let change {
                kept[change.tenant] = change.limits.map { limits in
                    StoredOverride(
                        tenant: change.tenant, limits: limits,
                        expires: change.expiresIn.map { wall + $0 })
                }
            }
            return .overrides(kept.values.sorted { $0.tenant < $1.tenant })
        }
    }

    /// Reservations that have not been settled.
    public var openCount: Int { budgets.withLock { $0.openCount } }

    /// What everybody in `policy` has used, to be kept over a restart. Open reservations count as
    /// used: nobody will settle them.
    public func snapshot(of policy: Policy, wall: WallTime) -> [UInt8] {
        var saved: [SavedAccount] = []
        budgets.withLock { budgets in
            for (name, id) in Self.accounts(of: policy, wall: wall) {
                saved.append(SavedAccount(name: name, account: budgets.account(id)))
            }
        }
        return BudgetSnapshot.encode(
            saved, overrides: kept.withLock { $0.values.sorted { $0.tenant < $1.tenant } })
    }

    /// Takes over what those in `policy` had used when `bytes` were made; whoever is not among them
    /// is forgotten. Meant for the start. After a fault all is as before.
    public func restore(
        _ bytes: [UInt8], for policy: Policy, wall: WallTime
    ) throws(SnapshotFault) {
        let saved = try BudgetSnapshot.decode(bytes)
        var identifiers: [AccountName: AccountID] = [:]
        for (name, id) in Self.accounts(of: policy, wall: wall) { identifiers[name] = id }
        budgets.withLock { budgets in
            for entry in saved.accounts {
                if let id = identifiers[entry.name] { budgets.restore(entry.account, of: id) }
            }
        }
        kept.withLock { kept in
            for override in saved.overrides { kept[override.tenant] = override }
        }
    }

    /// Each account once, by the name that it has in a store.
    private static func accounts(
        of policy: Policy, wall: WallTime
    ) -> [(AccountName, AccountID)] {
        var seen: Set<AccountID> = []
        var all: [(AccountName, AccountID)] = []
        for tenant in policy.tenants where !tenant.removed {
            let set = LimitSet(showing: tenant, of: policy, wall: wall)
            for account in set.accounts where seen.insert(account.id).inserted {
                all.append((AccountName(root: set.root, path: account.path), account.id))
            }
        }
        return all
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
        of accounts: [BudgetAccount], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        .usage(standings(of: accounts, wall: wall), .store)
    }
}
