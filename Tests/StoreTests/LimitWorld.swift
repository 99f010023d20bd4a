// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Units

/// Two tenants, two models and two keys under limits of every kind, scope and window, by chance.
struct LimitWorld {
    private var groups: [GroupPolicy] = []
    private var tenants: [TenantPolicy] = []
    private let models: [ModelPolicy]
    private let keys: [KeyHash]

    init(_ seed: UInt64, around seconds: Int64, _ random: inout SplitMix64) {
        models = (0..<2).map {
            ModelPolicy(id: ModelID($0), name: "m/\($0)", contextLength: Tokens(1_000))
        }
        keys = (0..<2).map { KeyHash(words: [seed, UInt64($0), 2, 3]) }
        let zone = Self.zone(around: seconds, &random)
        let isGrouped = random.next() % 4 != 0
        if isGrouped {
            groups = [
                GroupPolicy(
                    id: GroupID(0), name: "o\(seed)",
                    limits: Self.limits(zone, few: true, &random)),
                GroupPolicy(
                    id: GroupID(1), name: "team", parent: GroupID(0),
                    limits: Self.limits(zone, few: true, &random)),
            ]
        }
        for place in 0..<2 {
            let rates = Self.limits(zone, few: place == 1, &random)
            var tenant = TenantPolicy(
                id: TenantID(place), name: "t\(seed)-\(place)",
                keys: keys.map { TenantKey($0) }, classes: [],
                models: models.map(\.id), limits: TenantLimits(rates: rates))
            tenant.group = isGrouped ? GroupID(place) : nil
            if random.next() % 2 == 0 {
                tenant.modelLimits = [
                    ModelLimits(
                        model: ModelID(0), limits: Self.limits(zone, few: true, &random))
                ]
            }
            if random.next() % 2 == 0 {
                tenant.keyLimits = [
                    KeyLimits(key: nil, limits: Self.limits(zone, few: true, &random))
                ]
            }
            tenants.append(tenant)
        }
    }

    private var policy: Policy {
        Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: models,
            pools: [], endpoints: [], classes: [], tenants: tenants, groups: groups,
            anonymous: nil, throttleHistory: 1)
    }

    /// What requests of each tenant for each model with each key are charged to.
    func sets(wall: WallTime) -> [LimitSet] {
        let policy = policy
        return tenants.flatMap { tenant in
            models.flatMap { model in
                keys.map { key in
                    LimitSet(policy, tenant: tenant, model: model.id, key: key, wall: wall)
                }
            }
        }
    }

    func shown(wall: WallTime) -> [LimitSet] {
        let policy = policy
        return tenants.map { LimitSet(showing: $0, of: policy, wall: wall) }
    }

    /// Other amounts, and here and there a limit less.
    mutating func change(_ random: inout SplitMix64) {
        for place in tenants.indices {
            var rates = tenants[place].limits.rates
            for rate in rates.indices { rates[rate].amount *= 0.5 + random.unit() }
            if random.next() % 3 == 0, rates.count > 1 {
                rates.remove(at: Int(random.next() % UInt64(rates.count)))
            }
            tenants[place].limits.rates = rates
        }
    }

    /// One whose clocks change about then, by up to a day.
    private static func zone(
        around seconds: Int64, _ random: inout SplitMix64
    ) -> ZoneOffsets {
        var changes: [ZoneOffsets.Change] = []
        for _ in 0..<random.next() % 4 {
            changes.append(
                ZoneOffsets.Change(
                    at: seconds - 100_000 + Int64(random.next() % 400_000),
                    offset: Int64(random.next() % 97) * 900 - 43_200))
        }
        return ZoneOffsets(first: Int64(random.next() % 97) * 900 - 43_200, changes: changes)
    }

    private static func limits(
        _ zone: ZoneOffsets, few: Bool, _ random: inout SplitMix64
    ) -> [Limit] {
        var limits: [Limit] = []
        for kind in LimitKind.allCases where random.next() % (few ? 8 : 3) == 0 {
            let isCalendar =
                kind.window.map { random.next() % 3 == 0 || $0.isCalendarByDefault } ?? false
            var limit = Limit(
                kind: kind, amount: amount(kind, &random), isCalendar: isCalendar,
                zone: isCalendar ? zone : .utc)
            if !isCalendar, kind.window != nil, random.next() % 4 == 0 {
                limit.burst = limit.amount * (0.2 + 0.7 * random.unit())
            }
            limits.append(limit)
        }
        return limits
    }

    private static func amount(_ kind: LimitKind, _ random: inout SplitMix64) -> Double {
        let longer: Double =
            switch kind.window {
            case .second: 0.5
            case .hour: 4
            case .day, .week, .month: 10
            case .minute, nil: 1
            }
        switch kind.quantity {
        case .concurrent: return Double(2 + random.next() % 12)
        case .requests: return ((2 + 60 * random.unit()) * longer).rounded()
        case .cost: return (0.4 + random.unit() * 3) * longer
        case .tokens, .input, .output: return (600 + random.unit() * 6_000) * longer
        }
    }
}
