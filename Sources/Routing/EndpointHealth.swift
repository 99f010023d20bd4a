// SPDX-License-Identifier: Apache-2.0

package import Units

/// Whether an endpoint is in rotation: by probes, by what requests meet there, and by the operator.
package struct EndpointHealth: Sendable, Equatable {
    package private(set) var isHealthy = true
    package private(set) var isDraining = false
    package private(set) var isSleeping = false
    private var failures = 0
    private var successes = 0
    private var unhealthyAfter: Int
    private var healthyAfter: Int
    /// When it last changed between healthy and not.
    package private(set) var changedAt: Instant?

    /// An endpoint begins healthy: a gateway that starts refuses nobody because it has not asked yet.
    package init(unhealthyAfter: Int, healthyAfter: Int) {
        self.unhealthyAfter = unhealthyAfter
        self.healthyAfter = healthyAfter
    }

    /// Other bounds from now on; what was concluded by the old ones stands until the next probe.
    package mutating func configure(unhealthyAfter: Int, healthyAfter: Int) {
        self.unhealthyAfter = unhealthyAfter
        self.healthyAfter = healthyAfter
    }

    /// New requests may go there.
    package var isAvailable: Bool { isHealthy && !isDraining && !isSleeping }

    /// A probe, a scrape or a connection failed, or a stream ended early.
    package mutating func failed(now: Instant) {
        successes = 0
        failures += 1
        if isHealthy, failures >= unhealthyAfter {
            isHealthy = false
            changedAt = now
        }
    }

    /// A probe was answered well.
    package mutating func succeeded(sleeping: Bool, now: Instant) {
        failures = 0
        successes += 1
        isSleeping = sleeping
        if !isHealthy, successes >= healthyAfter {
            isHealthy = true
            changedAt = now
        }
    }

    /// The operator takes it out of rotation, or puts it back.
    package mutating func drain(_ draining: Bool) { isDraining = draining }
}
