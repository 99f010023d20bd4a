// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// A configuration under construction: tables that a test changes before it makes a policy of them.
struct Plan {
    var models = [
        ModelPolicy(
            id: ModelID(0), name: "small", contextLength: Tokens(8_192),
            price: Price(
                inputPerMillion: 1, cachedInputPerMillion: 0.5, outputPerMillion: 2,
                currency: "USD")),
        ModelPolicy(id: ModelID(1), name: "large", contextLength: Tokens(1 << 30)),
    ]
    var pools: [PoolPolicy] = []
    var endpoints: [EndpointPolicy] = []
    var gpus: [GPUPolicy] = []
    var classes: [ClassPolicy] = []
    var tenants: [TenantPolicy] = [
        TenantPolicy(id: TenantID(0), name: "acme", keys: [], classes: [], models: []),
        TenantPolicy(
            id: TenantID(1), name: "capped", keys: [], classes: [], models: [],
            limits: TenantLimits(
                maxPromptTokens: Tokens(1_000), maxCompletionTokens: Tokens(200))),
    ]
    var upstream = UpstreamPolicy()
    var routing = RoutingPolicy()
    var generation = 1
    var requestHistory = 0

    /// One pool of `endpoints` engines with `kv` tokens each, and one class with it.
    init(endpoints count: Int = 1, kv: Int? = 10_000, maxWait: Duration = .seconds(2)) {
        addPool(endpoints: count, kv: kv)
        addClass(maxWait: maxWait)
    }

    mutating func addPool(endpoints count: Int, kv: Int?) {
        let id = PoolID(pools.count)
        pools.append(
            PoolPolicy(
                id: id, name: "pool\(id.index)", engine: .vllm, endpoints: [], models: [],
                kvTokens: kv.map { Tokens($0) }, ramp: RampPolicy(over: .zero)))
        for _ in 0..<count { addEndpoint(to: id) }
    }

    mutating func addEndpoint(to pool: PoolID = PoolID(0)) {
        let id = EndpointID(endpoints.count)
        let port = UInt16(8_000 + id.index)
        endpoints.append(
            EndpointPolicy(
                id: id, pool: pool, address: .ip(host: "10.0.0.1", port: port),
                authority: "10.0.0.1:\(port)"))
        pools[pool.index].endpoints.append(id)
    }

    mutating func addClass(
        pool: Int = 0, throttleAt: Double = 0.8, rejectAt: Double = 0.9,
        maxRequests: Int = 1_000, maxTokens: Int = 1_000_000, maxWait: Duration = .seconds(2)
    ) {
        var queue = QueuePolicy()
        queue.maxRequests = maxRequests
        queue.maxTokens = Tokens(maxTokens)
        queue.maxWait = maxWait
        let id = ClassID(classes.count)
        classes.append(
            ClassPolicy(
                id: id, name: "class\(id.index)", pool: PoolID(pool), throttleAt: throttleAt,
                rejectAt: rejectAt, queue: queue))
    }

    mutating func remove(endpoint: Int) {
        endpoints[endpoint].removed = true
        pools[endpoints[endpoint].pool.index].endpoints.removeAll { $0.index == endpoint }
    }

    mutating func restore(endpoint: Int) {
        endpoints[endpoint].removed = false
        pools[endpoints[endpoint].pool.index].endpoints.append(EndpointID(endpoint))
    }

    /// As a reload leaves a pool that the file does not name any more.
    mutating func remove(pool: Int) {
        for id in pools[pool].endpoints { endpoints[id.index].removed = true }
        pools[pool].endpoints = []
        pools[pool].removed = true
    }

    /// Without endpoints that were removed.
    private var presentGPUs: [GPUPolicy] {
        gpus.map { gpu in
            var gpu = gpu
            gpu.endpoints.removeAll { endpoints[$0.index].removed }
            return gpu
        }
    }

    var policy: Policy {
        Policy(
            generation: generation, http: HTTPPolicy(), upstream: upstream, routing: routing,
            models: models,
            pools: pools, endpoints: endpoints, gpus: presentGPUs, classes: classes,
            tenants: tenants, anonymous: nil, throttleHistory: 100,
            requestHistory: requestHistory)
    }
}
