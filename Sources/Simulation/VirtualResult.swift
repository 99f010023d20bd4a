// SPDX-License-Identifier: Apache-2.0

package import Units

/// What a request has to meet to count as good.
package struct LatencyTargets: Sendable, Equatable {
    package var firstToken: Duration
    /// Mean time per output token after the first.
    package var perToken: Duration

    package init(firstToken: Duration, perToken: Duration) {
        self.firstToken = firstToken
        self.perToken = perToken
    }
}

/// Three percentiles of the same samples.
package struct Percentiles: Sendable, Equatable {
    package var p50: Double
    package var p90: Double
    package var p99: Double

    package init(of samples: [Double]) {
        let sorted = samples.sorted()
        p50 = Self.percentile(50, ofSorted: sorted)
        p90 = Self.percentile(90, ofSorted: sorted)
        p99 = Self.percentile(99, ofSorted: sorted)
    }

    /// The smallest sample that `share` percent do not exceed (nearest rank); not a number without
    /// samples.
    package static func percentile(_ share: Double, ofSorted samples: [Double]) -> Double {
        guard !samples.isEmpty else { return .nan }
        let rank = Int((share / 100 * Double(samples.count)).rounded(.up)) - 1
        return samples[min(samples.count - 1, max(0, rank))]
    }
}

/// What a virtual run gave.
package struct VirtualResult: Sendable {
    package let profile: EngineProfile
    /// To the last arrival.
    package let span: Duration
    /// In the order of the trace.
    package let outcomes: [VirtualOutcome]
    /// Per engine.
    package let engines: [EngineCounters]
    /// When the last request ended.
    package let end: Instant
    /// Whether all engines had all their blocks back at the end.
    package let blocksAreConserved: Bool

    /// The report on it under `targets`.
    package func report(_ targets: LatencyTargets) -> VirtualReport {
        VirtualReport(self, targets)
    }
}

/// Percentiles and rates of a virtual run.
package struct VirtualReport: Sendable, Equatable {
    package var requests: Int
    package var done: Int
    package var dropped: Int
    /// Requests that arrived a second.
    package var ratePerSecond: Double
    /// Milliseconds, the profile's request overhead included.
    package var ttft: Percentiles
    /// Milliseconds per output token after the first, of requests with more than one.
    package var tpot: Percentiles
    package var preemptions: Int
    /// Cached share of the prompt tokens looked up.
    package var hitRatio: Double
    /// Mean KV usage while a step ran.
    package var usage: Double
    /// Share of the time in which a step ran.
    package var busy: Double
    package var outputTokensPerSecond: Double
    /// Share of all requests that met both targets.
    package var good: Double
    package var goodPerSecond: Double
    /// Output tokens of the good ones, a second of arrivals.
    package var goodTokensPerSecond: Double

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
