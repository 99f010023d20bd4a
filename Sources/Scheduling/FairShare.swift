// SPDX-License-Identifier: Apache-2.0

public import Units

/// What each tenant of a class was served, by its weight: whoever has had least goes first.
///
/// A counter grows by cost ÷ weight, in whole numbers: each tenant has a step per token, and what
/// is charged and given back later is the same to the last digit. A tenant that begins to wait is
/// lifted to the least counter of those who wait: idling saves nothing up. Where nobody waits, that
/// is the counter of whoever had the last turn.
///
/// Those who wait are a heap by their counters.
public struct FairShare: Sendable {
    struct Account: Sendable {
        var counter = 0
        var step = FairShare.unit
        /// Its place among those who wait.
        var seat = -1
        /// Cost that it was charged here, since the beginning: now, and when it was last quiet.
        var served = 0
        var servedBefore = 0
        /// The report before which it was charged last.
        var changed = -1
        /// It waits at another gateway.
        var isElsewhere = false
    }

    /// The step of weight 1: weights are exact to a part in 65,536.
    public static let unit = 1 << 16
    private static let steps = 1...(1 << 27)
    /// Counters beyond it are all lowered together.
    private static let most = 1 << 60

    var accounts: [Account] = []
    /// A heap of those who wait.
    private var heap: [Int] = []
    /// The counter of whoever had the last turn, never above the least of those who waited.
    private var floor = 0
    /// Reports to other gateways so far, and who waits at these: see `FairShare+Peers`.
    var reports = 0
    var elsewhere: [TenantID] = []
    /// Sum over those who wait.
    public private(set) var weight = 0.0

    /// No tenants.
    public init() {}

    /// Tenants that wait.
    public var waiting: Int { heap.count }
    /// The first of those who wait; nil when nobody does.
    public var first: TenantID? { heap.first.map { TenantID($0) } }

    // MARK: the table

    /// The weights of the policy's tenants, by their places. Counters stay.
    public mutating func configure(weights: [Double]) {
        while accounts.count < weights.count { accounts.append(Account()) }
        for (tenant, weight) in weights.enumerated() {
            let step = (Double(Self.unit) / max(weight, 1e-9)).rounded()
            accounts[tenant].step = min(max(Int(min(step, 1e12)), 1), Self.steps.upperBound)
        }
        weight = heap.reduce(0) { $0 + self.weight(of: TenantID($1)) }
    }

    /// One that the policy has not named has weight 1.
    public func weight(of tenant: TenantID) -> Double {
        guard tenant.index < accounts.count else { return 1 }
        return Double(Self.unit) / Double(accounts[tenant.index].step)
    }

    /// Its service so far ÷ its weight, in `unit`ths of a token.
    public func counter(of tenant: TenantID) -> Int {
        tenant.index < accounts.count ? accounts[tenant.index].counter : 0
    }

    /// The least counter of those who wait, here or elsewhere; nil when nobody does.
    private var least: Int? {
        var least = heap.first.map { accounts[$0].counter }
        for tenant in elsewhere {
            let counter = accounts[tenant.index].counter
            least = min(least ?? counter, counter)
        }
        return least
    }

    mutating func know(_ tenant: TenantID) {
        while accounts.count <= tenant.index { accounts.append(Account()) }
    }

    // MARK: who waits

    /// It asks for its turn: what it did not use while it was idle is gone. No effect on one that
    /// waits.
    public mutating func lift(_ tenant: TenantID) {
        know(tenant)
        guard accounts[tenant.index].seat < 0, !accounts[tenant.index].isElsewhere else { return }
        accounts[tenant.index].counter = max(accounts[tenant.index].counter, least ?? floor)
    }

    /// It has somebody that waits from now on.
    public mutating func waits(_ tenant: TenantID) {
        lift(tenant)
        guard accounts[tenant.index].seat < 0 else { return }
        accounts[tenant.index].seat = heap.count
        heap.append(tenant.index)
        weight += weight(of: tenant)
        rise(heap.count - 1)
    }

    /// It has nobody any more.
    public mutating func rests(_ tenant: TenantID) {
        guard tenant.index < accounts.count else { return }
        let seat = accounts[tenant.index].seat
        guard seat >= 0 else { return }
        accounts[tenant.index].seat = -1
        weight = heap.count == 1 ? 0 : weight - weight(of: tenant)
        let last = heap.removeLast()
        guard seat < heap.count else { return }
        put(last, at: seat)
        rise(seat)
        sink(seat)
    }

    /// Calls `body` from the least counter on, of equals the lowest place first, until it returns
    /// false. Costs O(n²) for the n that are called, whoever else waits.
    public func each(_ body: (TenantID) -> Bool) {
        guard !heap.isEmpty, body(TenantID(heap[0])), heap.count > 1 else { return }
        // The seats whose parents were called.
        var next = heap.count > 2 ? [1, 2] : [1]
        while !next.isEmpty {
            var least = 0
            for place in next.indices where isBefore(heap[next[place]], heap[next[least]]) {
                least = place
            }
            let seat = next[least]
            next.remove(at: least)
            guard body(TenantID(heap[seat])) else { return }
            for child in [2 * seat + 1, 2 * seat + 2] where child < heap.count {
                next.append(child)
            }
        }
    }

    // MARK: service

    /// One of its requests has its turn, for so much cost at first.
    public mutating func dispatch(_ tenant: TenantID, cost: Int) {
        know(tenant)
        floor = max(floor, min(accounts[tenant.index].counter, least ?? .max))
        charge(tenant, cost: cost)
    }

    /// It was served so much more; less than nothing where too much was charged.
    public mutating func charge(_ tenant: TenantID, cost: Int) {
        guard cost != 0 else { return }
        know(tenant)
        note(tenant, cost)
        add(tenant, cost: cost)
    }

    /// The counter grows, whoever has served.
    mutating func add(_ tenant: TenantID, cost: Int) {
        shift(tenant, by: cost * accounts[tenant.index].step)
    }

    mutating func shift(_ tenant: TenantID, by units: Int) {
        accounts[tenant.index].counter += units
        let seat = accounts[tenant.index].seat
        if seat >= 0 {
            if units > 0 { sink(seat) } else { rise(seat) }
        }
        if accounts[tenant.index].counter > Self.most { lower() }
    }

    /// All are lowered by as much: differences stay, but for those who are behind all who wait, and
    /// would be lifted anyway.
    private mutating func lower() {
        let base = min(floor, heap.first.map { accounts[$0].counter } ?? floor)
        for tenant in accounts.indices {
            accounts[tenant].counter = max(0, accounts[tenant].counter - base)
        }
        floor -= base
    }

    // MARK: the heap

    private func isBefore(_ tenant: Int, _ other: Int) -> Bool {
        (accounts[tenant].counter, tenant) < (accounts[other].counter, other)
    }

    private mutating func put(_ tenant: Int, at seat: Int) {
        heap[seat] = tenant
        accounts[tenant].seat = seat
    }

    private mutating func rise(_ start: Int) {
        var seat = start
        let tenant = heap[seat]
        while seat > 0, isBefore(tenant, heap[(seat - 1) / 2]) {
            put(heap[(seat - 1) / 2], at: seat)
            seat = (seat - 1) / 2
        }
        put(tenant, at: seat)
    }

    private mutating func sink(_ start: Int) {
        var seat = start
        let tenant = heap[seat]
        while 2 * seat + 1 < heap.count {
            var child = 2 * seat + 1
            if child + 1 < heap.count, isBefore(heap[child + 1], heap[child]) { child += 1 }
            guard isBefore(heap[child], tenant) else { break }
            put(heap[child], at: seat)
            seat = child
        }
        put(tenant, at: seat)
    }
}
