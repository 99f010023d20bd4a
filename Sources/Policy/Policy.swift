// SPDX-License-Identifier: Apache-2.0

public import Tokenization
public import Units

/// The replaceable part of the configuration, validated: a reload swaps it as a whole, and a
/// request keeps the one that admitted it.
///
/// Tables are indexed by the dense identifiers; the tables of a later policy contain all earlier
/// names at the same places, with `removed` set on those that left.
public final class Policy: Sendable {
    /// Counts up with every reload.
    public let generation: Int
    public let http: HTTPPolicy
    public let http2: HTTP2Policy
    public let upstream: UpstreamPolicy
    public let routing: RoutingPolicy
    /// Whose tokens are believed.
    public let identity: IdentityPolicy
    public let models: [ModelPolicy]
    public let pools: [PoolPolicy]
    public let endpoints: [EndpointPolicy]
    /// What several endpoints share; replaced as a whole, so that places mean nothing over reloads.
    public let gpus: [GPUPolicy]
    public let classes: [ClassPolicy]
    public let tenants: [TenantPolicy]
    /// Organisations and their teams.
    public let groups: [GroupPolicy]
    /// The tenant of requests without a key, where there is one.
    public let anonymous: TenantID?
    /// Recent refusals kept for the admin endpoint.
    public let throttleHistory: Int
    /// Recent requests of which the decision trace is kept for the admin endpoint; none where zero.
    public let requestHistory: Int
    /// By endpoint.
    private let gpuPlaces: [Int?]
    /// Of all models, where they have one and the same.
    public let onlyFamily: TokenizerFamily?
    /// What `Lookup.swift` reads.
    let index: PolicyIndex

    public init(
        generation: Int, http: HTTPPolicy, http2: HTTP2Policy = HTTP2Policy(),
        upstream: UpstreamPolicy,
        routing: RoutingPolicy = RoutingPolicy(),
        identity: IdentityPolicy = IdentityPolicy(), models: [ModelPolicy],
        pools: [PoolPolicy], endpoints: [EndpointPolicy], gpus: [GPUPolicy] = [],
        classes: [ClassPolicy], tenants: [TenantPolicy], groups: [GroupPolicy] = [],
        anonymous: TenantID?,
        throttleHistory: Int, requestHistory: Int = 0
    ) {
        self.generation = generation
        self.http = http
        self.http2 = http2
        self.upstream = upstream
        self.routing = routing
        self.identity = identity
        self.models = models
        self.pools = pools
        self.endpoints = endpoints
        self.gpus = gpus
        self.classes = classes
        self.tenants = tenants
        self.groups = groups
        self.anonymous = anonymous
        self.throttleHistory = throttleHistory
        self.requestHistory = requestHistory
        var places = [Int?](repeating: nil, count: endpoints.count)
        for (place, gpu) in gpus.enumerated() {
            for id in gpu.endpoints { places[id.index] = place }
        }
        gpuPlaces = places
        let family = models.first?.family ?? .llama3
        onlyFamily = models.allSatisfy { $0.family == family } ? family : nil
        index = PolicyIndex(models: models, classes: classes, tenants: tenants)
    }
}

public struct ModelPolicy: Sendable, Equatable {
    public var id: ModelID
    public var name: String
    public var aliases: [String]
    public var contextLength: Tokens
    /// Whose tokens its prompts are estimated in.
    public var family: TokenizerFamily
    public var price: Price?
    /// Counts prompts exactly; nil: they are estimated.
    public var tokenizer: Tokenizer?
    public var removed: Bool

    /// Without a `family`, the one that the name tells.
    public init(
        id: ModelID, name: String, aliases: [String] = [], contextLength: Tokens,
        family: TokenizerFamily? = nil, price: Price? = nil, tokenizer: Tokenizer? = nil,
        removed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.aliases = aliases
        self.contextLength = contextLength
        self.family = family ?? TokenizerFamily(model: name)
        self.price = price
        self.tokenizer = tokenizer
        self.removed = removed
    }
}

/// Whose HTTP dialect, metrics and manners an endpoint has.
public enum EngineKind: String, Sendable, CaseIterable {
    case vllm, sglang, trtllm, triton, llamacpp, tgi, openai
}

public struct PoolPolicy: Sendable, Equatable {
    public var id: PoolID
    public var name: String
    public var engine: EngineKind
    public var endpoints: [EndpointID]
    public var models: [ModelID]
    /// Sent to the engine in place of the client's key.
    public var key: Secret?
    /// Per endpoint, where an operator has measured it.
    public var prefillTokensPerSecond: Double?
    public var decodeTokensPerSecond: Double?
    /// KV tokens of an endpoint whose metrics do not tell.
    public var kvTokens: Tokens?
    /// Bytes that one token takes in the KV cache; without it KV is told in tokens alone.
    public var kvBytesPerToken: Int?
    /// Its engines take a request's place in their own order.
    public var takesPriority: Bool
    /// How an engine begins that is new in it.
    public var ramp: RampPolicy
    /// How prompts are bounded where no class of it has targets; nil: they are not.
    public var phases: PhasePolicy?
    /// What is spoken with its engines.
    public var speaks: HTTPProtocol
    /// For its engines behind TLS; nil: what the system trusts.
    public var tls: PoolTLSPolicy?
    public var removed: Bool

    public init(
        id: PoolID, name: String, engine: EngineKind, endpoints: [EndpointID], models: [ModelID],
        key: Secret? = nil, prefillTokensPerSecond: Double? = nil,
        decodeTokensPerSecond: Double? = nil, kvTokens: Tokens? = nil, kvBytesPerToken: Int? = nil,
        takesPriority: Bool = false, ramp: RampPolicy = RampPolicy(),
        phases: PhasePolicy? = nil, speaks: HTTPProtocol = .http1, tls: PoolTLSPolicy? = nil,
        removed: Bool = false
    ) {
        self.tls = tls
        self.speaks = speaks
        self.id = id
        self.name = name
        self.engine = engine
        self.endpoints = endpoints
        self.models = models
        self.key = key
        self.prefillTokensPerSecond = prefillTokensPerSecond
        self.decodeTokensPerSecond = decodeTokensPerSecond
        self.kvTokens = kvTokens
        self.kvBytesPerToken = kvBytesPerToken
        self.takesPriority = takesPriority
        self.ramp = ramp
        self.phases = phases
        self.removed = removed
    }
}

public struct EndpointPolicy: Sendable, Equatable {
    public var id: EndpointID
    public var pool: PoolID
    public var address: Address
    /// The `Host` that the engine is sent, and the name that people see: `10.0.0.11:8000`.
    public var authority: String
    /// Through TLS.
    public var isSecure: Bool
    public var removed: Bool

    public init(
        id: EndpointID, pool: PoolID, address: Address, authority: String,
        isSecure: Bool = false, removed: Bool = false
    ) {
        self.isSecure = isSecure
        self.id = id
        self.pool = pool
        self.address = address
        self.authority = authority
        self.removed = removed
    }
}

public struct ClassPolicy: Sendable, Equatable {
    public var id: ClassID
    public var name: String
    public var pool: PoolID
    /// Its place in the configuration: who waits in a class of a lower one goes first. The table's
    /// own order is that of the names' first appearance, which a reload does not change.
    public var rank: Int
    /// Share of an endpoint's KV capacity above which requests wait.
    public var throttleAt: Double
    /// So much above `throttleAt` a request is let in all the same where everybody's output bound
    /// fits: no answer can be longer than expected then.
    public var boundedSlack: Double
    /// Share above which they are refused.
    public var rejectAt: Double
    public var queue: QueuePolicy
    public var timeouts: TimeoutPolicy
    /// What its answers are to keep to; nil: nothing is asked.
    public var targets: TargetPolicy?
    /// When its requests get lower output bounds than they ask for; nil: never.
    public var clamp: ClampPolicy?
    /// How large its requests may be; nil: as large as any.
    public var caps: CapPolicy?
    /// Its requests' place in the order of engines that take one, -10 ... 10: more goes first.
    public var priority: Int
    public var removed: Bool

    /// The slack of a class that is told none.
    public static func usualSlack(throttleAt: Double) -> Double {
        max(0, min(0.1, 0.98 - throttleAt))
    }

    /// Without a `rank` the table's order counts.
    public init(
        id: ClassID, name: String, pool: PoolID, rank: Int? = nil, throttleAt: Double = 0.85,
        boundedSlack: Double = 0, rejectAt: Double = 0.90, queue: QueuePolicy = QueuePolicy(),
        timeouts: TimeoutPolicy = TimeoutPolicy(), targets: TargetPolicy? = nil,
        clamp: ClampPolicy? = nil, caps: CapPolicy? = nil, priority: Int = 0,
        removed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.pool = pool
        self.rank = rank ?? id.index
        self.throttleAt = throttleAt
        self.boundedSlack = boundedSlack
        self.rejectAt = rejectAt
        self.queue = queue
        self.timeouts = timeouts
        self.targets = targets
        self.clamp = clamp
        self.caps = caps
        self.priority = priority
        self.removed = removed
    }
}

public struct QueuePolicy: Sendable, Equatable {
    public var maxRequests = 1_000
    /// Estimated tokens, input and expected output.
    public var maxTokens = Tokens(2_000_000)
    public var maxWait = Duration.seconds(2)

    public init() {}
}

public struct TimeoutPolicy: Sendable, Equatable {
    /// From forwarding to the first token.
    public var firstToken = Duration.seconds(30)
    public var betweenTokens = Duration.seconds(30)
    /// From arrival to the last byte.
    public var total = Duration.seconds(600)
    /// Between two signs of life that a stream's client gets before the first token; nil: none.
    public var keepAlive: Duration? = .seconds(15)

    public init() {}
}

/// What the answers of a class are to keep to. Not limits of an answer: those are its timeouts.
public struct TargetPolicy: Sendable, Equatable {
    /// From arrival to the first token.
    public var firstToken: Duration
    /// Between two tokens of a stream, in the mean.
    public var betweenTokens: Duration

    public init(
        firstToken: Duration = .seconds(2), betweenTokens: Duration = .milliseconds(50)
    ) {
        self.firstToken = firstToken
        self.betweenTokens = betweenTokens
    }
}

extension Policy {
    /// The place in `gpus` of the one that an endpoint shares; nil where it shares none.
    public func gpu(of endpoint: EndpointID) -> Int? { gpuPlaces[endpoint.index] }

    /// The shortest time between two tokens that a class of the pool asks for; nil where none does.
    public func betweenTokens(of pool: PoolID) -> Duration? {
        var least: Duration?
        for item in classes where item.pool == pool && !item.removed {
            guard let target = item.targets?.betweenTokens else { continue }
            least = min(least ?? target, target)
        }
        return least
    }
}
