// SPDX-License-Identifier: Apache-2.0

public import Units

/// The figures of a fleet's run, by column.
public struct FleetReport: Sendable, Equatable {
    private var values: [Double]
    /// Each tenant's share of all service.
    public private(set) var shares: [Double]
    /// Each tenant that sent anything.
    public private(set) var tenants: [TenantFigures]

    /// Not a number where a run has nothing to say.
    public subscript(_ column: FleetColumn) -> Double {
        get { values[Self.place(column)] }
        set { values[Self.place(column)] = newValue }
    }

    private static func place(_ column: FleetColumn) -> Int {
        FleetColumn.allCases.firstIndex(of: column) ?? 0
    }

    /// The mean of several runs, column by column.
    public init(meanOf reports: [FleetReport]) {
        let count = Double(max(1, reports.count))
        values = FleetColumn.allCases.map { column in
            reports.reduce(0) { $0 + $1[column] } / count
        }
        tenants = TenantFigures.mean(of: reports.map(\.tenants))
        shares = (0..<(reports.map(\.shares.count).min() ?? 0)).map { place in
            reports.reduce(0) { $0 + $1.shares[place] } / count
        }
    }

    /// What `result` comes to. Requests that came in the first `warmUp` count for no percentile.
    public init(_ result: FleetResult, _ targets: LatencyTargets, warmUp: Duration = .zero) {
        values = Array(repeating: .nan, count: FleetColumn.allCases.count)
        shares = []
        tenants = TenantFigures.all(result, targets)
        latencies(result, warmUp)
        fates(result, targets)
        engines(result)
        fairness(result)
        joins(result)
    }

    private mutating func latencies(_ result: FleetResult, _ warmUp: Duration) {
        var first: [Double] = []
        var each: [Double] = []
        let begin = Instant(nanoseconds: 0) + warmUp
        for outcome in result.outcomes where outcome.fate == .done && outcome.arrival >= begin {
            if let seconds = outcome.firstTokenAfter(result) { first.append(seconds) }
            if let seconds = outcome.perToken { each.append(1e3 * seconds) }
        }
        first.sort()
        each.sort()
        let share = { Percentiles.percentile($0, ofSorted: $1) }
        self[.ttftMean] = first.reduce(0, +) / Double(max(1, first.count))
        self[.ttftP50] = share(50, first)
        self[.ttftP90] = share(90, first)
        self[.ttftP95] = share(95, first)
        self[.ttftP99] = share(99, first)
        self[.ttftMax] = first.last ?? .nan
        self[.tpotP50] = share(50, each)
        self[.tpotP99] = share(99, each)
    }

    private mutating func fates(_ result: FleetResult, _ targets: LatencyTargets) {
        let outcomes = result.outcomes
        let count = Double(max(1, outcomes.count))
        var (good, goodTokens, served) = (0, 0, 0)
        for outcome in outcomes where outcome.fate == .done {
            served += outcome.prompt.count + outcome.output.count
            guard outcome.firstTokenAfter(result) ?? .infinity <= targets.firstToken.seconds,
                outcome.perToken ?? 0 <= targets.perToken.seconds
            else { continue }
            good += 1
            goodTokens += outcome.output.count
        }
        let start = outcomes.first?.arrival ?? Instant(nanoseconds: 0)
        let last = outcomes.last?.arrival ?? start
        let span = max((last - Instant(nanoseconds: 0)).seconds, 1e-9)
        let makespan = max((result.end - start).seconds, 1e-9)
        let shed = outcomes.count { $0.fate != .done }
        self[.requests] = Double(outcomes.count)
        self[.makespan] = makespan
        self[.shed] = Double(shed)
        self[.shedRatio] = Double(shed) / count
        self[.cut] = Double(outcomes.count { $0.isCut })
        self[.refusals] = Double(outcomes.reduce(0) { $0 + $1.refusals })
        self[.lateRefusals] = Double(outcomes.reduce(0) { $0 + $1.lateRefusals })
        self[.firstReturn] =
            result.returned > 0
            ? Double(result.admittedAtFirstReturn) / Double(result.returned) : .nan
        self[.returnPeak] = result.returnPeak
        self[.goodput] = Double(good) / span
        self[.metTargets] = Double(good) / count
        self[.goodTokens] = Double(goodTokens) / span
        self[.tokens] = Double(served) / makespan
    }

    private mutating func engines(_ result: FleetResult) {
        let engines = result.engines
        let sum = { (value: (EngineCounters) -> Double) in
            engines.reduce(0) { $0 + value($1) }
        }
        self[.preemptions] = sum { Double($0.preemptions) }
        self[.preemptionRatio] = self[.preemptions] / max(1, self[.requests])
        let peak = engines.map(\.peakBlocks).max() ?? 0
        self[.kvPeak] = Double(peak) / Double(result.setup.profile.blocks)
        self[.kvMean] = sum { $0.usageSeconds } / max(1e-9, sum { $0.busySeconds })
        let asked = sum { Double($0.prefixQueries.count) }
        let found = sum { Double($0.prefixHits.count) }
        self[.hitRatio] = found / max(1, asked)
        self[.wastedPrefill] = Double(result.wastedPrefill.count) / max(1, asked - found)
        let mean = Double(result.forwarded.reduce(0, +)) / Double(max(1, engines.count))
        self[.loadSkew] = Double(result.forwarded.max() ?? 0) / max(1e-9, mean)
    }

    private mutating func fairness(_ result: FleetResult) {
        guard let last = result.samples.last else { return }
        let gap = ServiceGap(result.samples, weights: result.weights)
        self[.gap] = gap.growth
        self[.shareError] = gap.shareError
        let all = max(1, last.service.reduce(0, +))
        shares = last.service.map { $0 / all }
        guard let largest = last.service.max() else { return }
        let light = result.outcomes.filter {
            $0.fate == .done && last.service[$0.tenant] < largest
        }.compactMap { $0.firstTokenAfter(result) }
        self[.lightTTFT] = Percentiles.percentile(50, ofSorted: light.sorted())
    }
}

extension FleetOutcome {
    /// Seconds from its first arrival to its first token, the engine's request overhead included.
    func firstTokenAfter(_ result: FleetResult) -> Double? {
        firstToken.map { ($0 - arrival).seconds + result.setup.profile.requestOverhead.seconds }
    }

    /// Seconds per token after the first; nil for a single one.
    var perToken: Double? {
        guard let firstToken, output.count > 1 else { return nil }
        return (end - firstToken).seconds / Double(output.count - 1)
    }
}

extension FleetResult {
    /// See `FleetColumn.returnPeak`; not a number where nobody came back or nothing was finished.
    fileprivate var returnPeak: Double {
        guard let first = returns.first?.at, let last = returns.last?.at else { return .nan }
        let window = 10.0
        var (peak, sum, oldest) = (0, 0, 0)
        for back in returns {
            sum += back.tokens.count
            while (back.at - returns[oldest].at).seconds >= window {
                sum -= returns[oldest].tokens.count
                oldest += 1
            }
            peak = max(peak, sum)
        }
        let until = max(last, first + .seconds(window))
        let finished = outcomes.reduce(0) { sum, outcome in
            guard outcome.fate == .done, outcome.end >= first, outcome.end <= until else {
                return sum
            }
            return sum + outcome.prompt.count + outcome.output.count
        }
        let drain = Double(finished) / (until - first).seconds
        return drain > 0 ? Double(peak) / window / drain : .nan
    }
}
