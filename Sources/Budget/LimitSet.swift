// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// Whose use is counted: one account.
public struct AccountID: Hashable, Sendable {
    /// Scope and owner.
    private let owner: UInt64
    /// The model or the key.
    private let part: UInt64

    private init(_ scope: UInt64, _ owner: UInt32, _ part: UInt64) {
        self.owner = scope << 32 | UInt64(owner)
        self.part = part
    }

    public static func group(_ id: GroupID) -> AccountID { AccountID(0, id.raw, 0) }
    public static func tenant(_ id: TenantID) -> AccountID { AccountID(1, id.raw, 0) }
    public static func model(_ model: ModelID, of tenant: TenantID) -> AccountID {
        AccountID(2, tenant.raw, UInt64(model.raw))
    }
    /// Keys are told apart by the first eight bytes of their hashes.
    public static func key(_ hash: KeyHash, of tenant: TenantID) -> AccountID {
        AccountID(3, tenant.raw, hash.words[0])
    }
}

/// An account that a request is charged to, and its name in the store.
public struct PlannedAccount: Sendable, Equatable {
    public let id: AccountID
    /// As in `team/research`: behind the root's name, one account's and no other's.
    public let path: String
}

/// One limit that a request is checked against.
public struct PlannedLimit: Sendable, Equatable {
    public let scope: LimitScope
    public let kind: LimitKind
    /// Of its kind.
    public let quantity: LimitQuantity
    /// The place of its account among those of the set.
    public let account: Int
    /// What the store knows it by, one of its kind in the whole set.
    public let code: LimitCode
    /// For a window; in millionths of the currency unit for cost, so that sums are exact.
    public let amount: Double
    /// What it can hold at once: less than `amount` where there is a burst size.
    public let capacity: Double
    public let form: Form
    /// What drains of a sliding one in a microsecond.
    let rate: Double

    init(
        scope: LimitScope, kind: LimitKind, account: Int, code: LimitCode, amount: Double,
        capacity: Double, form: Form
    ) {
        self.scope = scope
        self.kind = kind
        quantity = kind.quantity
        self.account = account
        self.code = code
        self.amount = amount
        self.capacity = capacity
        self.form = form
        rate = if case .sliding(let microseconds) = form { amount / microseconds } else { 0 }
    }

    public enum Form: Sendable, Equatable {
        /// A leaky bucket that drains `amount` in so many microseconds.
        case sliding(microseconds: Double)
        case calendar(LimitWindow, ZoneOffsets)
        /// Requests in flight.
        case concurrent
    }

    /// `amount` in the limit's own unit.
    public var amountInUnits: Double { Self.units(amount, quantity) }
    /// `capacity` likewise.
    public var capacityInUnits: Double { Self.units(capacity, quantity) }

    /// Amounts of this quantity in their own unit: currency units for cost.
    static func units(_ amount: Double, _ quantity: LimitQuantity) -> Double {
        quantity == .cost ? amount / LimitSet.microsPerUnit : amount
    }
}

/// All limits of one request: of its organisation, team, tenant, model and key.
///
/// Made once for a configuration and shared; nothing of it changes.
public final class LimitSet: Sendable {
    public let accounts: [PlannedAccount]
    public let limits: [PlannedLimit]
    /// By limit.
    public let texts: [LimitText]
    /// What the keys of all its accounts have in common in the store, so that one step of one
    /// server can check and charge them all: the organisation's name, or the tenant's.
    public let root: String

    /// Amounts from here on are no limit: whole numbers below it are exact in doubles.
    public static let most = 1e15
    static let microsPerUnit = 1e6
    /// Changes of a zone that are looked at: four years of summer times.
    static let mostChanges = 8
    /// Accounts of a request: organisation, team, tenant, model and key.
    static let mostAccounts = 5

    private init(root: String, accounts: [PlannedAccount], limits: [PlannedLimit]) {
        self.root = root
        self.accounts = accounts
        self.limits = limits
        texts = limits.map { LimitText($0) }
    }

    /// No limit at all.
    public convenience init() { self.init(root: "", accounts: [], limits: []) }

    /// One tenant's own limits, without a group, and without those of its models and keys.
    public convenience init(
        _ limits: TenantLimits, of tenant: TenantID = TenantID(0), named name: String = ""
    ) {
        var maker = LimitSetMaker(root: name, since: WallTime(nanoseconds: 0))
        maker.add(.tenant(tenant), "tenant/\(name)", .tenant, limits.rates)
        self.init(maker)
    }

    /// What holds for a request of `tenant` for `model` with `key`; nil for those means no limits
    /// of a model or a key. `wall`: when it is made; changes of the clocks are known for some years
    /// from then on.
    public convenience init(
        _ policy: Policy, tenant: TenantPolicy, model: ModelID? = nil, key: KeyHash? = nil,
        wall: WallTime
    ) {
        var maker = LimitSetMaker(policy, tenant, since: wall)
        if let model { maker.addModel(model, of: tenant, policy) }
        if let key { maker.addKey(key, of: tenant) }
        self.init(maker)
    }

    /// All that a tenant's requests can be charged to, its models and keys included: what operators
    /// look at. At most `mostShown` limits, of the innermost the first ones.
    public convenience init(
        showing tenant: TenantPolicy, of policy: Policy, wall: WallTime
    ) {
        var maker = LimitSetMaker(policy, tenant, since: wall)
        for limits in tenant.modelLimits { maker.addModel(limits.model, of: tenant, policy) }
        for key in tenant.keys { maker.addKey(key.hash, of: tenant) }
        self.init(maker)
    }

    /// A reply of the store about them stays within its bound.
    static let mostShown = 512

    private convenience init(_ maker: LimitSetMaker) {
        self.init(root: maker.root, accounts: maker.accounts, limits: maker.limits)
    }

    /// What one of so many replicas may grant where none knows of the others: whole numbers that
    /// together are no more than the limit, but one at least, since a part that never allows
    /// anything would be an outage of its own.
    public func share(of replicas: Int) -> LimitSet {
        let parts = Double(max(1, replicas))
        return LimitSet(
            root: root, accounts: accounts,
            limits: limits.map { limit in
                PlannedLimit(
                    scope: limit.scope, kind: limit.kind, account: limit.account,
                    code: limit.code, amount: max(1, (limit.amount / parts).rounded(.down)),
                    capacity: max(1, (limit.capacity / parts).rounded(.down)), form: limit.form)
            })
    }

    /// Whether there is a moment at which all of them have room for it.
    public func canHold(_ demand: Demand) -> Bool {
        limits.allSatisfy { demand.counted($0.quantity) <= $0.capacity }
    }

    /// What a model's or a key's limits are told apart by, where several stand in one set.
    public func path(of limit: PlannedLimit) -> String { accounts[limit.account].path }

    var isLimited: Bool { !limits.isEmpty }
}

extension LimitSet: Equatable {
    public static func == (left: LimitSet, right: LimitSet) -> Bool {
        left === right
            || (left.root == right.root && left.accounts == right.accounts
                && left.limits == right.limits)
    }
}

/// Puts a set together, the widest scope first.
private struct LimitSetMaker {
    let root: String
    private(set) var accounts: [PlannedAccount] = []
    private(set) var limits: [PlannedLimit] = []
    private let since: WallTime
    /// Longer than any window, so that the present one begins the same for whoever asks.
    private static let lookBack = Duration.seconds(-40 * 86_400)

    init(root: String, since: WallTime) {
        self.root = root
        self.since = since + Self.lookBack
    }

    /// With the limits of the tenant and of its groups.
    init(_ policy: Policy, _ tenant: TenantPolicy, since: WallTime) {
        let innermost = tenant.group.map { policy.groups[$0.index] }
        let organisation = innermost.map { group in
            group.parent.map { policy.groups[$0.index] } ?? group
        }
        self.init(
            root: organisation.map { "organisation/\($0.name)" } ?? tenant.name, since: since)
        if let organisation {
            add(.group(organisation.id), "organisation", .organisation, organisation.limits)
        }
        if let team = innermost, team.parent != nil {
            add(.group(team.id), "team/\(team.name)", .team, team.limits)
        }
        add(.tenant(tenant.id), "tenant/\(tenant.name)", .tenant, tenant.limits.rates)
    }

    mutating func addModel(_ model: ModelID, of tenant: TenantPolicy, _ policy: Policy) {
        guard let found = tenant.modelLimits.first(where: { $0.model == model }) else { return }
        let name = policy.models[model.index].name
        add(
            .model(model, of: tenant.id), "tenant/\(tenant.name)/model/\(name)", .model,
            found.limits)
    }

    mutating func addKey(_ key: KeyHash, of tenant: TenantPolicy) {
        let own = tenant.keyLimits.first { $0.key == key }
        guard let found = own ?? tenant.keyLimits.first(where: { $0.key == nil }) else { return }
        add(
            .key(key, of: tenant.id), "tenant/\(tenant.name)/key/\(key.shortName)", .key,
            found.limits)
    }

    /// Of a kind that is given twice the last one counts; an amount that is not above zero is no
    /// limit.
    mutating func add(
        _ id: AccountID, _ path: String, _ scope: LimitScope, _ given: [Limit]
    ) {
        var kept: [LimitKind: Limit] = [:]
        for limit in given { kept[limit.kind] = limit }
        let place = accounts.count
        let before = limits.count
        for kind in LimitKind.allCases where limits.count < LimitSet.mostShown {
            guard let limit = kept[kind], let planned = plan(limit, scope, place) else { continue }
            limits.append(planned)
        }
        if limits.count > before { accounts.append(PlannedAccount(id: id, path: path)) }
    }

    private func plan(_ limit: Limit, _ scope: LimitScope, _ account: Int) -> PlannedLimit? {
        let scale = limit.kind.quantity == .cost ? LimitSet.microsPerUnit : 1
        let amount =
            limit.kind.quantity == .cost ? (limit.amount * scale).rounded() : limit.amount
        guard amount > 0, amount < LimitSet.most else { return nil }
        let form: PlannedLimit.Form
        var capacity = amount
        switch limit.kind.window {
        case nil: form = .concurrent
        case .some(let window) where limit.isCalendar:
            form = .calendar(
                window, limit.zone.narrowed(from: since, most: LimitSet.mostChanges))
        case .some(let window):
            form = .sliding(microseconds: Double(window.seconds) * 1e6)
            if let burst = limit.burst, burst > 0 {
                capacity = min(max((burst * scale).rounded(), 1), amount)
            }
        }
        return PlannedLimit(
            scope: scope, kind: limit.kind, account: account,
            code: LimitCode(limit.kind, scope, isCalendar: limit.isCalendar),
            amount: amount, capacity: capacity, form: form)
    }
}
