// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

extension Policy {
    /// The same with one pool's endpoints replaced by `count` simulated ones, which come first in
    /// the table and are all it has; every model is served.
    public func simulated(
        pool: PoolID, endpoints count: Int, of profile: EngineProfile
    ) -> Policy {
        let ids = (0..<count).map { EndpointID($0) }
        var pools = pools
        for place in pools.indices {
            pools[place].endpoints = []
            pools[place].removed = place != pool.index
        }
        pools[pool.index].endpoints = ids
        pools[pool.index].kvTokens = profile.kvTokens
        var models = models
        for place in models.indices { models[place].contextLength = Tokens(1 << 30) }
        return Policy(
            generation: generation, http: http, upstream: upstream, models: models, pools: pools,
            endpoints: ids.map {
                EndpointPolicy(
                    id: $0, pool: pool,
                    address: .ip(host: "192.0.2.1", port: UInt16(truncatingIfNeeded: $0.index)),
                    authority: "endpoint-\($0.index)")
            },
            classes: classes, tenants: tenants, anonymous: anonymous,
            throttleHistory: throttleHistory)
    }
}

extension FixtureCase {
    /// A case of a user's own.
    public static func whatIf(
        _ labels: [(String, String)], _ setup: FleetSetup, _ targets: LatencyTargets,
        make: @escaping @Sendable (UInt64) -> Workload
    ) -> FixtureCase {
        FixtureCase(labels, setup, targets: targets, make: make)
    }
}
