// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

/// Limits of organisations, teams, tenants, models and keys: one request against all of them.
@Suite("Scopes")
struct ScopeTests {
    private let keys = (0..<2).map { KeyHash(words: [UInt64($0), 0, 0, 0]) }
    private var budgets = Budgets(lease: .seconds(60), maxReservations: 1_000)
    private var naming = ReservationNaming(nonce: 3, worker: 0)
    private var policy: Policy

    init() {
        let models = ["small", "large"].enumerated().map { place, name in
            ModelPolicy(id: ModelID(place), name: name, contextLength: Tokens(1_000))
        }
        let minute = LimitKind.tokensPerMinute
        let groups = [
            GroupPolicy(id: GroupID(0), name: "corp", limits: [Limit(kind: minute, amount: 900)]),
            GroupPolicy(
                id: GroupID(1), name: "research", parent: GroupID(0),
                limits: [Limit(kind: .tokensPerDay, amount: 600)]),
        ]
        var tenants = (0..<3).map { place in
            TenantPolicy(
                id: TenantID(place), name: "t\(place)", keys: [], classes: [], models: [],
                limits: TenantLimits(rates: [Limit(kind: minute, amount: 500)]),
                group: GroupID(place == 2 ? 0 : 1))
        }
        tenants[0].keys = keys.map { TenantKey($0) }
        tenants[0].keyLimits = [
            KeyLimits(key: nil, limits: [Limit(kind: .requestsPerMinute, amount: 2)])
        ]
        tenants[2].modelLimits = [
            ModelLimits(model: ModelID(1), limits: [Limit(kind: minute, amount: 100)])
        ]
        policy = Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: models,
            pools: [], endpoints: [], classes: [], tenants: tenants, groups: groups,
            anonymous: nil, throttleHistory: 1)
    }

    private func limits(_ tenant: Int, model: Int = 0, key: Int? = nil) -> LimitSet {
        LimitSet(
            policy, tenant: policy.tenants[tenant], model: ModelID(model),
            key: key.map { keys[$0] }, wall: Fixture.wall(0))
    }

    private mutating func reserve(
        _ tenant: Int, _ count: Int, model: Int = 0, key: Int? = nil, at time: Int64 = 0
    ) -> BudgetOutcome {
        let order = BudgetOrder(
            id: naming.next(), limits: limits(tenant, model: model, key: key),
            demand: tokens(count))
        return budgets.reserve(order, wall: Fixture.wall(time))
    }

    private mutating func used(_ tenant: Int) -> [Double] {
        let snapshot = budgets.standing(of: limits(tenant), wall: Fixture.wall(0))
        return (0..<snapshot.count).map { snapshot.standing($0).used }
    }

    @Test("a request is charged to its organisation, its team and its tenant")
    mutating func allAreCharged() {
        #expect(reserve(0, 300).isReserved)
        #expect(used(0) == [300, 300, 300])
        #expect(used(1) == [300, 300, 0])
        #expect(used(2) == [300, 0])
    }

    @Test("the scope that refuses is named with its own numbers, and nobody is charged")
    mutating func theRefusingScope() {
        #expect(reserve(0, 400).isReserved)
        let team = reserve(1, 300).refusal
        #expect(team?.scope == .team && team?.kind == .tokensPerDay)
        #expect(team?.limit == 600 && team?.used == 400 && team?.requested == 300)
        #expect(used(0) == [400, 400, 400])
        #expect(reserve(2, 450).isReserved)
        let whole = reserve(1, 60).refusal
        #expect(whole?.scope == .organisation && whole?.used == 850)
        #expect(whole?.wait == .microseconds(666_667))
        #expect(used(1) == [850, 400, 0])
    }

    @Test("a limit of a model is its own, and counts for the tenant too")
    mutating func models() {
        #expect(reserve(2, 100, model: 1).isReserved)
        #expect(reserve(2, 1, model: 1).refusal?.scope == .model)
        #expect(reserve(2, 300, model: 0).isReserved)
        #expect(used(2) == [400, 400])
        #expect(reserve(2, 101, model: 1).excess?.scope == .model)
    }

    @Test("a limit for all keys holds for each of them apart")
    mutating func eachKey() {
        for _ in 0..<2 { #expect(reserve(0, 1, key: 0).isReserved) }
        #expect(reserve(0, 1, key: 0).refusal?.scope == .key)
        #expect(reserve(0, 1, key: 1).isReserved)
    }

    @Test("keys of one root are one, whatever a request is charged to")
    func roots() {
        #expect(limits(0).root == "organisation/corp")
        #expect(limits(0, key: 0).root == limits(2, model: 1).root)
        let paths = limits(0, key: 1).accounts.map(\.path)
        #expect(
            paths == [
                "organisation", "team/research", "tenant/t0", "tenant/t0/key/0000000000000001",
            ])
    }
}
