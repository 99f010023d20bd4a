// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Units

/// What each request is charged to under one configuration: put together when it is first needed,
/// and kept.
struct AccountTable {
    private struct Narrow: Hashable {
        let tenant: TenantID
        /// Nil where the tenant has no limits for its model.
        let model: ModelID?
        /// Nil where it has none for its keys.
        let key: KeyHash?
    }

    private let policy: Policy
    private let wall: WallTime
    /// By tenant: what holds for all of its requests.
    private var own: [BudgetAccount?]
    private var narrow: [Narrow: BudgetAccount] = [:]
    /// Beyond, all are put together anew: about 1 KB each.
    private static let mostNarrow = 16_384

    /// `wall`: now. Changes of clocks are known for four years from then on.
    init(_ policy: Policy, wall: WallTime) {
        self.policy = policy
        self.wall = wall
        own = Array(repeating: nil, count: policy.tenants.count)
    }

    /// What holds for all requests of a tenant, whatever they ask for.
    mutating func account(of tenant: TenantID) -> BudgetAccount {
        if let known = own[tenant.index] { return known }
        let account = BudgetAccount(
            LimitSet(policy, tenant: policy.tenants[tenant.index], wall: wall))
        own[tenant.index] = account
        return account
    }

    /// What holds for a request for `model` with `key`; no key where none was needed.
    mutating func account(
        of tenant: TenantID, model: ModelID, key: KeyHash?
    ) -> BudgetAccount {
        let owner = policy.tenants[tenant.index]
        if owner.modelLimits.isEmpty, owner.keyLimits.isEmpty { return account(of: tenant) }
        let place = Narrow(
            tenant: tenant, model: owner.modelLimits.contains { $0.model == model } ? model : nil,
            key: owner.keyLimits.isEmpty ? nil : key)
        if place.model == nil, place.key == nil { return account(of: tenant) }
        if let known = narrow[place] { return known }
        if narrow.count >= Self.mostNarrow { narrow.removeAll() }
        let account = BudgetAccount(
            LimitSet(policy, tenant: owner, model: place.model, key: place.key, wall: wall))
        narrow[place] = account
        return account
    }
}
