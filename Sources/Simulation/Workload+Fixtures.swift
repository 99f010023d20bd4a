// SPDX-License-Identifier: Apache-2.0

import Units

/// The workloads of the fixtures, made from a seed.
extension Workload {
    /// Fixture A: log-normal prompts (μ 6.6, σ 0.9, at most 6,000 tokens) and outputs (5.6, 0.9, at
    /// most 2,048), Poisson arrivals at `rate` a second, and bursts of 250 requests within a second
    /// at 40, 120 and 200 s. Clients say `max_tokens` 2,048.
    public static func bursts(requests: Int = 2_400, rate: Double = 8, seed: UInt64) -> Workload {
        var random = SplitMix64(seed: seed)
        var arrivals: [Double] = []
        var time = 0.0
        for _ in 0..<requests {
            time += random.gap(rate: rate)
            arrivals.append(time)
        }
        for start in [40.0, 120, 200] {
            for _ in 0..<250 { arrivals.append(start + random.unit()) }
        }
        let made = arrivals.sorted().map { arrival in
            request(
                at: arrival, random.tokens(6.6, 0.9, most: 6_000),
                random.tokens(5.6, 0.9, most: 2_048))
        }
        return Workload(trace: Trace(requests: made), told: .bound(Tokens(2_048)))
    }

    /// `count` requests like those of fixture A, Poisson at `rate` a second, without bursts.
    public static func steady(requests count: Int, rate: Double, seed: UInt64) -> Workload {
        var random = SplitMix64(seed: seed)
        var time = 0.0
        let made = (0..<count).map { _ in
            time += random.gap(rate: rate)
            return request(
                at: time, random.tokens(6.6, 0.9, most: 6_000), random.tokens(5.6, 0.9, most: 2_048)
            )
        }
        return Workload(trace: Trace(requests: made), told: .bound(Tokens(2_048)))
    }

    /// A client of the fairness fixture.
    struct Stream {
        var rate: Double
        /// The rate at the end, where it changes.
        var lastRate: Double?
        var prompt = 256
        var output = 256
        /// Seconds on, then as many off; zero: always on.
        var period = 0.0
        var isPoisson = false
    }

    /// Streams of like requests, each its own tenant, for so many seconds.
    static func streams(
        _ streams: [Stream], seconds: Double, weights: [Double], seed: UInt64
    ) -> Workload {
        var random = SplitMix64(seed: seed)
        var made: [(at: Double, tenant: Int)] = []
        for (tenant, stream) in streams.enumerated() {
            var time = random.unit() / stream.rate
            while time < seconds {
                let isOff = stream.period > 0 && Int(time / stream.period) % 2 == 1
                if !isOff { made.append((time, tenant)) }
                let rate =
                    stream.rate + ((stream.lastRate ?? stream.rate) - stream.rate) * time / seconds
                time += stream.isPoisson ? random.gap(rate: rate) : 1 / rate
            }
        }
        made.sort { $0.at < $1.at }
        let requests = made.map { entry in
            let stream = streams[entry.tenant]
            var request = request(at: entry.at, Tokens(stream.prompt), Tokens(stream.output))
            request.tenant = entry.tenant
            return request
        }
        return Workload(trace: Trace(requests: requests), told: .length, weights: weights)
    }

    /// Fixture C: four tenants with shares of 40, 30, 20 and 10 %, heavy-tailed lengths as in
    /// fixture A, estimates off by a log-normal factor with σ = 0.5. `bursts`: seconds at which 60
    /// requests more come within a second.
    static func heavyTailed(
        rate: Double, seconds: Double, bursts: [Double], seed: UInt64
    ) -> Workload {
        var random = SplitMix64(seed: seed)
        var arrivals: [Double] = []
        var time = random.gap(rate: rate)
        while time < seconds {
            arrivals.append(time)
            time += random.gap(rate: rate)
        }
        for start in bursts {
            for _ in 0..<60 { arrivals.append(start + random.unit()) }
        }
        var estimates: [Tokens] = []
        let requests = arrivals.sorted().map { arrival in
            var made = request(
                at: arrival, random.tokens(6.6, 0.9, most: 6_000),
                random.tokens(5.6, 0.9, most: 2_048))
            let draw = random.unit()
            made.tenant = draw < 0.4 ? 0 : draw < 0.7 ? 1 : draw < 0.9 ? 2 : 3
            let guess = Double(made.output.count) * random.logNormal(0, 0.5)
            estimates.append(Tokens(max(1, Int(guess))))
            return made
        }
        return Workload(trace: Trace(requests: requests), told: .estimates(estimates))
    }

    /// Fixture D: groups that share a system prompt of 6,000 tokens, users in each with a question
    /// of 1,200, answers of 1,000, Poisson. One prefix hash stands for `prefixUnit` tokens.
    /// `hotShare`: of the traffic, what goes to the first group; the rest is spread evenly.
    static func sharedPrefixes(
        rate: Double, seconds: Double, hotShare: Double = 0, seed: UInt64
    ) -> Workload {
        let (groups, users) = (150, 5)
        var random = SplitMix64(seed: seed)
        var requests: [TraceRequest] = []
        var time = random.gap(rate: rate)
        while time < seconds {
            var group = Int(random.next() % UInt64(groups))
            if random.unit() < hotShare { group = 0 }
            let user = Int(random.next() % UInt64(users))
            var made = request(at: time, Tokens(7_200), Tokens(1_000))
            for unit in 0..<15 { made.prefixes.append(UInt64(1 + group * 16 + unit)) }
            for unit in 0..<3 {
                made.prefixes.append(UInt64(1 << 32 + (group * users + user) * 4 + unit))
            }
            requests.append(made)
            time += random.gap(rate: rate)
        }
        return Workload(trace: Trace(requests: requests), told: .bound(Tokens(1_000)))
    }

    private static func request(at seconds: Double, _ prompt: Tokens, _ output: Tokens)
        -> TraceRequest
    {
        TraceRequest(arrival: .seconds(seconds), prompt: prompt, output: output)
    }

    /// The same with the requests of `tenant` multiplied by `factor`: whole copies close to the
    /// original, and of the fraction each with its chance.
    public func scaled(tenant: Int, by factor: Double, seed: UInt64) -> Workload {
        var random = SplitMix64(seed: seed)
        var made: [(request: TraceRequest, estimate: Tokens?)] = []
        let spread = 2 * trace.span.seconds / Double(max(1, trace.requests.count))
        for (place, request) in trace.requests.enumerated() {
            var estimate: Tokens?
            if case .estimates(let all) = told { estimate = all[place] }
            guard request.tenant == tenant else {
                made.append((request, estimate))
                continue
            }
            let whole = factor.rounded(.down)
            let copies = Int(whole) + (random.unit() < factor - whole ? 1 : 0)
            for copy in 0..<copies {
                var twin = request
                if copy > 0 { twin.arrival = twin.arrival + .seconds(random.unit() * spread) }
                made.append((twin, estimate))
            }
        }
        made.sort { $0.request.arrival < $1.request.arrival }
        var scaled = self
        scaled.trace.requests = made.map(\.request)
        if case .estimates = told { scaled.told = .estimates(made.compactMap(\.estimate)) }
        return scaled
    }
}
