// SPDX-License-Identifier: Apache-2.0

public import Units

/// Whether an endpoint is in rotation: by probes, by what requests meet there, and by the operator.
///
/// Two rows of misfortune are counted, and each ends by its own kind of luck: probes and
/// connections that fail, until a probe is answered; streams that break, until one comes to its
/// end. A stream that still runs on an engine whose port is closed must not hide that new requests
/// cannot get there, and an engine that answers probes but breaks what it begins is tried again
/// after a good probe, and is out again with the first stream that breaks.
public struct EndpointHealth: Sendable, Equatable {
    /// Probes say that it works.
    public private(set) var isHealthy = true
    /// The operator has taken it out.
    public private(set) var isDraining = false
    /// It answers probes but takes no work.
    public private(set) var isSleeping = false
    /// When it last changed between healthy and not.
    public private(set) var changedAt: Instant?
    private var failures = 0
    private var breaks = 0
    private var successes = 0
    private var unhealthyAfter: Int
    private var healthyAfter: Int

    /// An endpoint begins healthy: a gateway that starts refuses nobody because it has not asked
    /// yet.
    public init(unhealthyAfter: Int, healthyAfter: Int) {
        self.unhealthyAfter = unhealthyAfter
        self.healthyAfter = healthyAfter
    }

    /// The configuration has changed; it counts from the next event on.
    public mutating func configure(unhealthyAfter: Int, healthyAfter: Int) {
        self.unhealthyAfter = unhealthyAfter
        self.healthyAfter = healthyAfter
    }

    /// It was out of sight and is back: as at the start, but for the operator's word.
    public mutating func restart() {
        let draining = isDraining
        self = EndpointHealth(unhealthyAfter: unhealthyAfter, healthyAfter: healthyAfter)
        isDraining = draining
    }

    /// New requests may go there.
    public var isAvailable: Bool { isHealthy && !isDraining && !isSleeping }

    /// A probe or a connection failed.
    public mutating func failed(now: Instant) {
        successes = 0
        failures += 1
        if failures >= unhealthyAfter { leave(now) }
    }

    /// A stream ended early, or did not begin in time.
    public mutating func broke(now: Instant) {
        breaks += 1
        if breaks >= unhealthyAfter {
            successes = 0
            leave(now)
        }
    }

    /// A request was served to its end.
    public mutating func delivered() { breaks = 0 }

    /// A probe was answered well. `sleeping` is nil when the answer does not say.
    public mutating func succeeded(sleeping: Bool?, now: Instant) {
        failures = 0
        successes += 1
        isSleeping = sleeping ?? isSleeping
        if !isHealthy, successes >= healthyAfter {
            isHealthy = true
            changedAt = now
        }
    }

    /// The operator takes it out of rotation, or puts it back.
    public mutating func drain(_ draining: Bool) { isDraining = draining }

    private mutating func leave(_ now: Instant) {
        guard isHealthy else { return }
        isHealthy = false
        changedAt = now
    }
}
