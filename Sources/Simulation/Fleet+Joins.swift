// SPDX-License-Identifier: Apache-2.0

import BasicContainers
import Decision
import Policy
import Units

/// How engines join a fleet.
extension Fleet {
    /// After a join, engines are looked at from then on.
    static let markAfter = Duration.seconds(60)

    mutating func planJoins() {
        let start = Instant(nanoseconds: 0)
        for join in setup.joins { heap.push(.join(join), at: start + join.after) }
        if let first = setup.joins.first {
            heap.push(.mark, at: start + first.after + Self.markAfter)
        }
    }

    /// They are there, empty, and every gateway's configuration is loaded anew.
    mutating func join(_ join: FleetJoin) {
        for engine in joined..<(joined + join.count) { isLost[engine] = false }
        joined += join.count
        guard plain == nil else { return }
        let policy = policy.without(from: joined)
        for gateway in deciders.indices where !isGatewayLost[gateway] {
            decide(gateway, .reconfigured(policy))
            decide(gateway, .ticked)
        }
    }

    mutating func mark() {
        for engine in engines.indices { advance(engine) }
        marked = engines.map(\.counters)
    }
}

extension Policy {
    /// The same without the endpoints from a place on, which stay in the table as removed.
    func without(from place: Int) -> Policy {
        guard place < endpoints.count else { return self }
        var (pools, endpoints) = (pools, endpoints)
        for place in place..<endpoints.count { endpoints[place].removed = true }
        for pool in pools.indices { pools[pool].endpoints.removeAll { $0.index >= place } }
        return Policy(
            generation: generation, http: http, upstream: upstream, routing: routing,
            models: models, pools: pools, endpoints: endpoints, gpus: gpus, classes: classes,
            tenants: tenants, anonymous: anonymous, throttleHistory: throttleHistory,
            requestHistory: requestHistory)
    }
}
