// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a request has to meet to count as good.
public struct LatencyTargets: Sendable, Equatable {
    public var firstToken: Duration
    /// Mean time per output token after the first.
    public var perToken: Duration

    public init(firstToken: Duration, perToken: Duration) {
        self.firstToken = firstToken
        self.perToken = perToken
    }
}

/// Three percentiles of the same samples.
public struct Percentiles: Sendable, Equatable {
    public var p50: Double
    public var p90: Double
    public var p99: Double

    public init(of samples: [Double]) {
        let sorted = samples.sorted()
        p50 = Self.percentile(50, ofSorted: sorted)
        p90 = Self.percentile(90, ofSorted: sorted)
        p99 = Self.percentile(99, ofSorted: sorted)
    }

    /// The smallest sample that `share` percent do not exceed (nearest rank); not a number without
    /// samples.
    public static func percentile(_ share: Double, ofSorted samples: [Double]) -> Double {
        guard !samples.isEmpty else { return .nan }
        let rank = Int((share / 100 * Double(samples.count)).rounded(.up)) - 1
        return samples[min(samples.count - 1, max(0, rank))]
    }
}

/// What a virtual run gave.
public struct VirtualResult: Sendable {
    public let profile: EngineProfile
    /// To the last arrival.
    public let span: Duration
    /// In the order of the trace.
    public let outcomes: [VirtualOutcome]
    /// Per engine.
    public let engines: [EngineCounters]
    /// When the last request ended.
    public let end: Instant
    /// Whether all engines had all their blocks back at the end.
    public let blocksAreConserved: Bool

    /// The report on it under `targets`.
    public func report(_ targets: LatencyTargets) -> VirtualReport {
        VirtualReport(self, targets)
    }
}

/// Percentiles and rates of a virtual run.
public struct VirtualReport: Sendable, Equatable {
    public var requests: Int
    public var done: Int
    public var dropped: Int
    /// Requests that arrived a second.
    public var ratePerSecond: Double
    /// Milliseconds, the profile's request overhead included.
    public var ttft: Percentiles
    /// Milliseconds per output token after the first, of requests with more than one.
    public var tpot: Percentiles
    public var preemptions: Int
    /// Cached share of the prompt tokens looked up.
    public var hitRatio: Double
    /// Mean KV usage while a step ran.
    public var usage: Double
    /// Share of the time in which a step ran.
    public var busy: Double
    public var outputTokensPerSecond: Double
    /// Share of all requests that met both targets.
    public var good: Double
    public var goodPerSecond: Double
    /// Output tokens of the good ones, a second of arrivals.
    public var goodTokensPerSecond: Double

    fileprivate init(_ result: VirtualResult, _ targets: LatencyTargets) {
        var ttft: [Double] = []
        var tpot: [Double] = []
        var (output, good, goodOutput) = (0, 0, 0)
        for outcome in result.outcomes where outcome.fate == .done {
            let first =
                (outcome.firstToken - outcome.arrival).seconds
                + result.profile.requestOverhead.seconds
            ttft.append(1e3 * first)
            output += outcome.output.count
            var isGood = first <= targets.firstToken.seconds
            if outcome.output > Tokens(1) {
                let each =
                    (outcome.end - outcome.firstToken).seconds / Double(outcome.output.count - 1)
                tpot.append(1e3 * each)
                isGood = isGood && each <= targets.perToken.seconds
            }
            if isGood {
                good += 1
                goodOutput += outcome.output.count
            }
        }
        requests = result.outcomes.count
        done = ttft.count
        dropped = requests - done
        let span = max(result.span.seconds, 1e-9)
        let end = max((result.end - Instant(nanoseconds: 0)).seconds, 1e-9)
        let busySeconds = result.engines.reduce(0) { $0 + $1.busySeconds }
        ratePerSecond = Double(requests) / span
        self.ttft = Percentiles(of: ttft)
        self.tpot = Percentiles(of: tpot)
        preemptions = result.engines.reduce(0) { $0 + $1.preemptions }
        hitRatio =
            Double(result.engines.reduce(0) { $0 + $1.prefixHits.count })
            / Double(max(1, result.engines.reduce(0) { $0 + $1.prefixQueries.count }))
        usage = result.engines.reduce(0) { $0 + $1.usageSeconds } / max(1e-9, busySeconds)
        busy = busySeconds / end / Double(max(1, result.engines.count))
        outputTokensPerSecond = Double(output) / end
        self.good = Double(good) / Double(max(1, requests))
        goodPerSecond = Double(good) / span
        goodTokensPerSecond = Double(goodOutput) / span
    }
}
