// SPDX-License-Identifier: Apache-2.0

package import Admission
import Policy
package import Routing
package import Units

/// All that is known of one endpoint.
package struct EndpointState: Sendable {
    package var ledger: EndpointLedger
    package var health: EndpointHealth
    package var drain = DrainEstimate()
    /// Between two tokens of one sequence, averaged; nil before the first.
    package private(set) var pace: Duration?
    package private(set) var pool: PoolID

    init(policy: EndpointPolicy, pool: PoolPolicy, upstream: UpstreamPolicy) {
        ledger = EndpointLedger(
            configuredCapacity: pool.kvTokens,
            staleAfter: Self.staleAfter(upstream))
        health = EndpointHealth(
            unhealthyAfter: upstream.unhealthyAfter, healthyAfter: upstream.healthyAfter)
        self.pool = policy.pool
    }

    /// A reload may move an endpoint to another pool, and change what is said about it.
    mutating func configure(
        _ policy: EndpointPolicy, pool: PoolPolicy, upstream: UpstreamPolicy
    ) {
        self.pool = policy.pool
        ledger.configure(capacity: pool.kvTokens, staleAfter: Self.staleAfter(upstream))
        health.configure(
            unhealthyAfter: upstream.unhealthyAfter, healthyAfter: upstream.healthyAfter)
    }

    /// A few scrapes may be missed before a reading counts as old.
    private static func staleAfter(_ upstream: UpstreamPolicy) -> Duration {
        Duration(nanoseconds: upstream.scrapeInterval.nanoseconds * 3)
    }

    mutating func observePace(_ latest: Duration) {
        guard latest > .zero else { return }
        guard let pace else {
            self.pace = latest
            return
        }
        self.pace = Duration(
            nanoseconds: pace.nanoseconds + (latest.nanoseconds - pace.nanoseconds) / 8)
    }
}

/// What is kept per pool: the row of refused clients that were told when to return.
struct PoolState: Sendable {
    var slots = ReturnSlots()
}
