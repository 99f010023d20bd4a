// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// What is lost at one moment, with all that it holds: the last ones that are left.
public struct FleetLoss: Sendable, Equatable {
    public enum Part: Sendable, Equatable { case endpoint, gateway, store }

    public var part: Part
    /// Of the store there is one.
    public var count: Int
    /// Since the start.
    public var after: Duration

    /// `count` endpoints.
    public init(endpoints count: Int, after: Duration) {
        (part, self.count, self.after) = (.endpoint, count, after)
    }
    /// `count` gateways. Some have to be left.
    public init(gateways count: Int, after: Duration) {
        (part, self.count, self.after) = (.gateway, count, after)
    }
    /// The store that the gateways share, for good.
    public init(storeAfter after: Duration) {
        (part, count, self.after) = (.store, 1, after)
    }
}

/// Engines that join a fleet at one moment, and that its gateways hear of by a reload.
public struct FleetJoin: Sendable, Equatable {
    public var count: Int
    /// Since the start.
    public var after: Duration

    public init(_ count: Int, after: Duration) {
        self.count = count
        self.after = after
    }
}

/// A fleet in virtual time: gateways in front of like engines.
public struct FleetSetup: Sendable {
    /// What a refused client does.
    public enum Patience: Sendable, Equatable {
        /// It takes the no for an answer.
        case none
        /// It comes back when it was told to, so many times at most.
        case obeys(returns: Int)
    }

    public var profile: EngineProfile
    /// At the start; above zero.
    public var endpoints: Int
    /// Above zero. Several share a store, half a millisecond away.
    public var gateways = 1
    /// Otherwise they see each other only by what they scrape.
    public var hasStore = true
    /// Each gateway asks each endpoint so often; gateways take turns within it.
    public var scrapeInterval = Duration.seconds(1)
    public var rule = FleetRule.penstock
    /// What gateways under the rule `penstock` have as configuration: one endpoint for each of the
    /// fleet, in its order, the trace's tenants in turn. Nil: one pool, one class, no limits.
    public var policy: Policy?
    /// The class in which all requests come.
    public var trafficClass = 0
    /// How long a request may wait at a gateway, without a `policy` and under baselines.
    public var maxWait = Duration.seconds(120)
    /// What the configuration asks of answers, without a `policy`; nil: nothing.
    public var targets: LatencyTargets?
    /// When output bounds are lowered, without a `policy`; where that is under pressure, requests
    /// are refused above the usual share of a cache too.
    public var clamp: ClampPolicy?
    public var patience = Patience.none
    public var losses: [FleetLoss] = []
    /// They come behind the others, in this order, which is that of time.
    public var joins: [FleetJoin] = []
    /// How prompts are bounded without targets, and without a `policy`; nil: they are not.
    public var phases: PhasePolicy?
    /// How engines begin that are new, without a `policy`.
    public var ramp = RampPolicy()
    /// What gateways take prompts for, as a multiple of what they are.
    public var promptBias = 1.0
    /// Gateways learn from what engines report of prompts, and give back what caches lack.
    public var learnsPrompts = true
    public var givesBack = true
    /// Prompt tokens that one of a request's prefix hashes covers.
    public var prefixUnit = Trace.prefixUnit
    /// Requests a second that the fleet sustains: what `rate` takes its share of.
    public var capacity = 0.0
    /// How often the service of the tenants is looked at; nil: never.
    public var sampling: Duration?
    public var seed: UInt64 = 1

    public init(profile: EngineProfile, endpoints: Int) {
        self.profile = profile
        self.endpoints = endpoints
    }

    /// With those that will join.
    var allEndpoints: Int { joins.reduce(endpoints) { $0 + $1.count } }

    /// The gateways tell each other what they do.
    var sharesStore: Bool { hasStore && gateways > 1 && rule == .penstock }

    /// The configuration in place of one that was not given. Its class never refuses for a full
    /// cache, only for a wait that is too long.
    func plainPolicy(tenants: Int, weights: [Double]) -> Policy {
        let pool = PoolID(0)
        let ids = (0..<allEndpoints).map { EndpointID($0) }
        var queue = QueuePolicy()
        queue.maxRequests = 1 << 22
        queue.maxTokens = Tokens(1 << 50)
        queue.maxWait = maxWait
        var timeouts = TimeoutPolicy()
        timeouts.total = .infinite
        var upstream = UpstreamPolicy()
        upstream.scrapeInterval = scrapeInterval
        let model = ModelPolicy(id: ModelID(0), name: "simulated", contextLength: Tokens(1 << 30))
        return Policy(
            generation: 1, http: HTTPPolicy(), upstream: upstream, models: [model],
            pools: [
                PoolPolicy(
                    id: pool, name: "simulated", engine: .vllm, endpoints: ids,
                    models: [model.id], kvTokens: profile.kvTokens, ramp: ramp, phases: phases)
            ],
            endpoints: ids.map {
                EndpointPolicy(
                    id: $0, pool: pool,
                    address: .ip(host: "192.0.2.1", port: UInt16(truncatingIfNeeded: $0.index)),
                    authority: "endpoint-\($0.index)")
            },
            classes: [
                ClassPolicy(
                    id: ClassID(0), name: "interactive", pool: pool,
                    boundedSlack: ClassPolicy.usualSlack(throttleAt: 0.85),
                    rejectAt: clamp?.underPressure ?? false ? 0.90 : 1e9,
                    queue: queue, timeouts: timeouts,
                    targets: targets.map {
                        TargetPolicy(firstToken: $0.firstToken, betweenTokens: $0.perToken)
                    }, clamp: clamp)
            ],
            tenants: (0..<max(1, tenants)).map { place in
                TenantPolicy(
                    id: TenantID(place), name: "\(place)", keys: [], classes: [ClassID(0)],
                    models: [model.id], weight: place < weights.count ? weights[place] : 1)
            },
            anonymous: nil, throttleHistory: 0)
    }
}
