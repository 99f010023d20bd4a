// SPDX-License-Identifier: Apache-2.0

package import Units

/// The replaceable part of the configuration, validated: a reload swaps it as a whole, and a
/// request keeps the one that admitted it.
///
/// Tables are indexed by the dense identifiers; the tables of a later policy contain all earlier
/// names at the same places, with `removed` set on those that left.
package final class Policy: Sendable {
    /// Counts up with every reload.
    package let generation: Int
    package let http: HTTPPolicy
    package let upstream: UpstreamPolicy
    package let models: [ModelPolicy]
    package let pools: [PoolPolicy]
    package let endpoints: [EndpointPolicy]
    package let classes: [ClassPolicy]
    package let tenants: [TenantPolicy]
    /// The tenant of requests without a key, where there is one.
    package let anonymous: TenantID?
    /// Recent refusals kept for the admin endpoint.
    package let throttleHistory: Int
    /// What `Lookup.swift` reads.
    let index: PolicyIndex

    package init(
        generation: Int, http: HTTPPolicy, upstream: UpstreamPolicy, models: [ModelPolicy],
        pools: [PoolPolicy], endpoints: [EndpointPolicy], classes: [ClassPolicy],
        tenants: [TenantPolicy], anonymous: TenantID?, throttleHistory: Int
    ) {
        self.generation = generation
        self.http = http
        self.upstream = upstream
        self.models = models
        self.pools = pools
        self.endpoints = endpoints
        self.classes = classes
        self.tenants = tenants
        self.anonymous = anonymous
        self.throttleHistory = throttleHistory
        index = PolicyIndex(models: models, classes: classes, tenants: tenants)
    }
}

package struct ModelPolicy: Sendable, Equatable {
    package var id: ModelID
    package var name: String
    package var aliases: [String]
    package var contextLength: Tokens
    package var price: Price?
    package var removed: Bool

    package init(
        id: ModelID, name: String, aliases: [String] = [], contextLength: Tokens,
        price: Price? = nil, removed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.aliases = aliases
        self.contextLength = contextLength
        self.price = price
        self.removed = removed
    }
}

/// Money for a million tokens, in `currency`.
package struct Price: Sendable, Equatable {
    package var inputPerMillion: Double
    package var cachedInputPerMillion: Double
    package var outputPerMillion: Double
    package var currency: String

    package init(
        inputPerMillion: Double, cachedInputPerMillion: Double, outputPerMillion: Double,
        currency: String
    ) {
        self.inputPerMillion = inputPerMillion
        self.cachedInputPerMillion = cachedInputPerMillion
        self.outputPerMillion = outputPerMillion
        self.currency = currency
    }
}

/// Whose HTTP dialect, metrics and manners an endpoint has.
package enum EngineKind: String, Sendable, CaseIterable {
    case vllm, sglang, trtllm, triton, llamacpp, tgi, openai
}

package struct PoolPolicy: Sendable, Equatable {
    package var id: PoolID
    package var name: String
    package var engine: EngineKind
    package var endpoints: [EndpointID]
    package var models: [ModelID]
    /// Sent to the engine in place of the client's key.
    package var key: Secret?
    /// Per endpoint, where an operator has measured it.
    package var prefillTokensPerSecond: Double?
    package var decodeTokensPerSecond: Double?
    /// KV tokens of an endpoint whose metrics do not tell.
    package var kvTokens: Tokens?
    /// Bytes that one token takes in the KV cache; without it KV is told in tokens alone.
    package var kvBytesPerToken: Int?
    package var removed: Bool

    package init(
        id: PoolID, name: String, engine: EngineKind, endpoints: [EndpointID], models: [ModelID],
        key: Secret? = nil, prefillTokensPerSecond: Double? = nil,
        decodeTokensPerSecond: Double? = nil, kvTokens: Tokens? = nil, kvBytesPerToken: Int? = nil,
        removed: Bool = false
    ) {
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
        self.removed = removed
    }
}

package struct EndpointPolicy: Sendable, Equatable {
    package var id: EndpointID
    package var pool: PoolID
    package var address: Address
    /// The `Host` that the engine is sent, and the name that people see: `10.0.0.11:8000`.
    package var authority: String
    package var removed: Bool

    package init(
        id: EndpointID, pool: PoolID, address: Address, authority: String, removed: Bool = false
    ) {
        self.id = id
        self.pool = pool
        self.address = address
        self.authority = authority
        self.removed = removed
    }
}

package struct ClassPolicy: Sendable, Equatable {
    package var id: ClassID
    package var name: String
    package var pool: PoolID
    /// Share of an endpoint's KV capacity above which requests wait.
    package var throttleAt: Double
    /// Share above which they are refused.
    package var rejectAt: Double
    package var queue: QueuePolicy
    package var timeouts: TimeoutPolicy
    package var removed: Bool

    package init(
        id: ClassID, name: String, pool: PoolID, throttleAt: Double = 0.85,
        rejectAt: Double = 0.90, queue: QueuePolicy = QueuePolicy(),
        timeouts: TimeoutPolicy = TimeoutPolicy(), removed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.pool = pool
        self.throttleAt = throttleAt
        self.rejectAt = rejectAt
        self.queue = queue
        self.timeouts = timeouts
        self.removed = removed
    }
}

package struct QueuePolicy: Sendable, Equatable {
    package var maxRequests = 1_000
    /// Estimated tokens, input and expected output.
    package var maxTokens = Tokens(2_000_000)
    package var maxWait = Duration.seconds(2)

    package init() {}
}

package struct TimeoutPolicy: Sendable, Equatable {
    /// From forwarding to the first token.
    package var firstToken = Duration.seconds(30)
    package var betweenTokens = Duration.seconds(30)
    /// From arrival to the last byte.
    package var total = Duration.seconds(600)

    package init() {}
}
