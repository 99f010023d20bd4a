// SPDX-License-Identifier: Apache-2.0

import Policy
public import Units

/// What of a fixture's table is wanted; nil: all of it, as the fixture has it.
public struct FixtureChoice: Sendable {
    /// Names as `FleetRule` knows them.
    public var rules: [String]?
    public var gateways: [Int]?
    public var scrapes: [Duration]?
    public var endpoints: Int?
    /// How fast the engines of D are; what their caches hold is the fixture's.
    public var profile: EngineProfile?
    /// The workload of B, the load of C, the rate of D, the trace of E.
    public var variants: [String]?
    /// Shares of capacity, of E.
    public var loads: [Double]?

    public init() {}

    /// Gateways and scrape intervals of the rows of one rule.
    func fleets(_ usual: [Int]) -> [(gateways: Int, scrape: Duration)] {
        (gateways ?? usual).flatMap { gateways in
            (scrapes ?? [.seconds(1)]).map { (gateways, $0) }
        }
    }

    func wants(_ variant: String) -> Bool { variants?.contains(variant) ?? true }
}

/// The named experiments that the core is judged by.
public enum FleetFixture: String, Sendable, CaseIterable {
    /// Bursts against KV caches.
    case kv = "A"
    /// Fairness between tenants.
    case fairness = "B"
    /// Order inside a queue.
    case order = "C"
    /// Prompts that share prefixes.
    case prefix = "D"
    /// Recorded traffic on engines of today.
    case traces = "E"

    /// Columns of its table for people.
    public var columns: [FleetColumn] {
        switch self {
        case .kv:
            [
                .preemptions, .kvPeak, .ttftP50, .ttftP99, .tpotP99, .makespan, .shed, .refusals,
                .goodput,
            ]
        case .fairness: [.gap, .shareError, .tokens, .lightTTFT, .preemptions, .makespan]
        case .order:
            [
                .ttftMean, .ttftP50, .ttftP99, .ttftMax, .shedRatio, .firstReturn, .returnPeak,
                .preemptions, .tokens,
            ]
        case .prefix: [.ttftP50, .ttftP90, .hitRatio, .loadSkew, .tpotP50, .shed, .preemptions]
        case .traces:
            [
                .ttftP50, .ttftP99, .tpotP50, .tpotP99, .preemptions, .hitRatio, .kvMean,
                .shedRatio, .metTargets, .goodTokens, .wastedPrefill,
            ]
        }
    }

    /// Whether names of baselines mean routers or queues here.
    public var setting: FleetRule.Setting {
        switch self {
        case .fairness: .queueing
        case .order: .ordering
        case .kv, .prefix, .traces: .routing
        }
    }

    /// Seeds that its table is the mean of.
    public var seeds: Int {
        switch self {
        case .kv, .fairness, .order: 3
        case .prefix, .traces: 1
        }
    }

    /// What `FixtureChoice.variants` may name; nil for fixtures without any.
    public var variants: [String]? {
        switch self {
        case .kv: ["bursts", "gateway_killed", "store_killed"]
        case .fairness: FairnessWorkload.allCases.map(\.rawValue)
        case .order: OrderLoad.allCases.map(\.rawValue)
        case .prefix: Self.prefixRates.map { "\($0)" } + ["hot", "join", "join_at_once"]
        case .traces: FixtureTrace.allCases.map(\.rawValue)
        }
    }

    /// The rows of its table. `traces`: what E is made of, by name; a trace that is not there is
    /// left out.
    public func cases(
        _ choice: FixtureChoice, traces: [FixtureTrace: Trace] = [:]
    ) -> [FixtureCase] {
        switch self {
        case .kv: Self.kvCases(choice)
        case .fairness: Self.fairnessCases(choice)
        case .order: Self.orderCases(choice)
        case .prefix: Self.prefixCases(choice)
        case .traces: Self.traceCases(choice, traces)
        }
    }

    /// The rules of a choice, or else those of the fixture, without those that do not exist.
    func rules(_ choice: FixtureChoice, else usual: [String]) -> [FleetRule] {
        (choice.rules ?? usual).compactMap { FleetRule.named($0, in: setting) }
    }
}

// MARK: - A

extension FleetFixture {
    private static func kvCases(_ choice: FixtureChoice) -> [FixtureCase] {
        var cases = choice.wants("bursts") ? burstCases(choice) : []
        let middle = Duration.milliseconds(40_500)
        let gateway = FleetLoss(gateways: 1, after: middle)
        cases += lossCases(choice, "gateway_killed", gateway, [.atMost(.preemptions, 0)])
        cases += lossCases(
            choice, "store_killed", FleetLoss(storeAfter: middle),
            [.atMost(.preemptions, 30), .atMost(.shed, 0)])
        return cases
    }

    private static func lossCases(
        _ choice: FixtureChoice, _ variant: String, _ loss: FleetLoss, _ bars: [FixtureBar]
    ) -> [FixtureCase] {
        guard choice.wants(variant) else { return [] }
        var cases: [FixtureCase] = []
        for rule in FleetFixture.kv.rules(choice, else: ["penstock"]) {
            for gateways in choice.gateways ?? [4, 8] where gateways > 1 {
                var setup = kvSetup(choice, rule)
                setup.gateways = gateways
                setup.scrapeInterval = choice.scrapes?.first ?? .seconds(1)
                setup.losses = [loss]
                var made = FixtureCase([("case", variant)], setup) { .bursts(seed: $0) }
                if rule == .penstock { made.bars = bars }
                cases.append(made)
            }
        }
        return cases
    }

    private static func kvSetup(_ choice: FixtureChoice, _ rule: FleetRule) -> FleetSetup {
        var setup = FleetSetup(profile: .fixtureA, endpoints: choice.endpoints ?? 4)
        setup.rule = rule
        setup.maxWait = .seconds(300)
        setup.patience = .obeys(returns: 100)
        return setup
    }

    private static func burstCases(_ choice: FixtureChoice) -> [FixtureCase] {
        var cases: [FixtureCase] = []
        for rule in FleetFixture.kv.rules(
            choice, else: ["none", "reactive", "reserve", "penstock"])
        {
            let isOwn = rule == .penstock
            let scrapes = [Duration.milliseconds(50), .seconds(1), .seconds(5)]
            let usualScrapes =
                isOwn || rule.description == "reactive" ? scrapes : [.seconds(1)]
            for gateways in choice.gateways ?? (isOwn ? [1, 4, 8] : [1]) {
                for scrape in choice.scrapes ?? usualScrapes {
                    var setup = kvSetup(choice, rule)
                    setup.gateways = gateways
                    setup.scrapeInterval = scrape
                    var made = FixtureCase([("case", "bursts")], setup) { .bursts(seed: $0) }
                    if isOwn { made.bars = kvBars }
                    cases.append(made)
                }
            }
        }
        return cases
    }

    private static let kvBars: [FixtureBar] = [
        .atMost(.preemptions, 0), .atMost(.kvPeak, 0.86), .atMost(.ttftP99, 14.5),
        .atMost(.tpotP99, 35), .atMost(.shed, 0),
        FixtureBar(column: .makespan, direction: .atMost, bound: .ofRule("none", times: 1.02)),
    ]
}

// MARK: - C

/// The loads of the fixture of order.
enum OrderLoad: String, CaseIterable {
    case near, burst, overload, returns

    /// How long a request may wait; those of `returns` come back when they were told to.
    var maxWait: Duration {
        switch self {
        case .near, .burst: .seconds(300)
        case .overload: .seconds(30)
        case .returns: .seconds(5)
        }
    }

    /// Requests for so many endpoints. The rates are those at which first come, first served has
    /// the tail that the bars name for it.
    func workload(_ endpoints: Double, seed: UInt64) -> Workload {
        switch self {
        case .near:
            .heavyTailed(rate: 2.95 * endpoints, seconds: 600, bursts: [], seed: seed)
        case .burst, .returns:
            .heavyTailed(rate: 1.6 * endpoints, seconds: 600, bursts: [100, 300], seed: seed)
        case .overload:
            .heavyTailed(rate: 7.4 * endpoints, seconds: 200, bursts: [], seed: seed)
        }
    }
}

extension FleetFixture {
    private static func orderCases(_ choice: FixtureChoice) -> [FixtureCase] {
        var cases: [FixtureCase] = []
        for load in OrderLoad.allCases where choice.wants(load.rawValue) {
            for rule in FleetFixture.order.rules(choice, else: ["fcfs", "vtc", "penstock"]) {
                for (gateways, scrape) in choice.fleets([1]) {
                    var setup = FleetSetup(profile: .fixtureA, endpoints: choice.endpoints ?? 1)
                    setup.gateways = gateways
                    setup.scrapeInterval = scrape
                    setup.rule = rule
                    setup.maxWait = load.maxWait
                    if load == .returns { setup.patience = .obeys(returns: 100) }
                    setup.sampling = .seconds(1)
                    let scale = Double(setup.endpoints)
                    var made = FixtureCase([("load", load.rawValue)], setup) {
                        load.workload(scale, seed: $0)
                    }
                    if rule == .penstock { made.bars = orderBars(load) }
                    cases.append(made)
                }
            }
        }
        return cases
    }

    private static func orderBars(_ load: OrderLoad) -> [FixtureBar] {
        switch load {
        case .near: [.atMost(.ttftP99, 10)]
        case .burst: []
        case .returns: [.atLeast(.firstReturn, 0.8), .atMost(.returnPeak, 1.3), .atMost(.shed, 0)]
        case .overload: [.atMost(.shedRatio, 0.28), .atMost(.ttftMean, 7)]
        }
    }
}

// MARK: - D

extension FleetFixture {
    /// Requests a second.
    static let prefixRates = [3, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 32, 40, 60]
    /// A target of the knee: the 90th percentile of the time to the first token.
    static let kneeTarget = 5.0

    /// One more engine after two minutes; `join_at_once`: without a ramp.
    private static func join(_ made: inout FixtureCase, _ variant: String) {
        made.setup.joins = [FleetJoin(1, after: .seconds(120))]
        if variant != "join" {
            made.setup.ramp = RampPolicy(over: .zero)
        } else if made.setup.rule == .penstock {
            made.bars = joinBars
        }
    }

    private static let joinBars: [FixtureBar] = [
        .atLeast(.joinedHits, 0.8), .atMost(.joinSpike, 1.5),
    ]

    private static func prefixCases(_ choice: FixtureChoice) -> [FixtureCase] {
        guard
            var profile = choice.profile
                ?? EngineProfile.derived(.qwen32b, on: .h100, gpus: 2, .fp8)
        else { return [] }
        profile.blocks = 307_328 / EngineProfile.blockTokens
        var cases: [FixtureCase] = []
        for variant in FleetFixture.prefix.variants ?? [] where choice.wants(variant) {
            for rule in FleetFixture.prefix.rules(
                choice,
                else: ["round_robin", "least_requests", "bounded_hash", "prefix", "penstock"])
            {
                // Baselines know no ramp.
                if variant == "join_at_once", rule != .penstock { continue }
                for (gateways, scrape) in choice.fleets(rule == .penstock ? [1, 4] : [1]) {
                    var setup = FleetSetup(profile: profile, endpoints: choice.endpoints ?? 8)
                    setup.gateways = gateways
                    setup.scrapeInterval = scrape
                    setup.rule = rule
                    setup.maxWait = .seconds(300)
                    setup.prefixUnit = Tokens(400)
                    let rate = Double(variant) ?? 12
                    let hot = variant == "hot" ? 0.6 : 0
                    var made = FixtureCase([("rate", variant)], setup) {
                        .sharedPrefixes(rate: rate, seconds: 240, hotShare: hot, seed: $0)
                    }
                    made.warmUp = .seconds(60)
                    if rule == .penstock, hot > 0 { made.bars = [.atMost(.loadSkew, 1.3)] }
                    if variant.hasPrefix("join") { join(&made, variant) }
                    cases.append(made)
                }
            }
        }
        return cases
    }

    /// The knees of the gateway's own rule that are too low: 24/s, with more gateways 0.9 of one
    /// gateway's. None where the rates that were run do not tell.
    public static func missedKnees(
        _ rows: [FixtureRow]
    ) -> [(rule: FleetRule, gateways: Int, knee: Int?, wanted: Double)] {
        let knees = knees(rows).filter { $0.rule == .penstock }
        let reached = rows.compactMap { $0.of.labels.first.flatMap { Int($0.value) } }.max() ?? 0
        let single = knees.first { $0.gateways == 1 }?.knee
        return knees.compactMap { entry in
            var wanted = 24.0
            if entry.gateways > 1 {
                guard let single else { return nil }
                wanted = 0.9 * Double(single)
            }
            guard Double(reached) >= wanted, Double(entry.knee ?? 0) < wanted else { return nil }
            return (entry.rule, entry.gateways, entry.knee, wanted)
        }
    }

    /// The highest rate up to which the 90th percentile of the time to the first token stays below
    /// 5 s, of each rule and number of gateways; nil where the first rate is too much.
    public static func knees(
        _ rows: [FixtureRow]
    ) -> [(rule: FleetRule, gateways: Int, knee: Int?)] {
        var knees: [(rule: FleetRule, gateways: Int, knee: Int?)] = []
        var isOver: [Bool] = []
        for row in rows {
            let setup = row.of.setup
            guard let rate = row.of.labels.first.flatMap({ Int($0.value) }) else { continue }
            let place =
                knees.firstIndex { $0.rule == setup.rule && $0.gateways == setup.gateways }
                ?? knees.count
            if place == knees.count {
                knees.append((setup.rule, setup.gateways, nil))
                isOver.append(false)
            }
            if row.mean[.ttftP90] >= kneeTarget { isOver[place] = true }
            if !isOver[place] { knees[place].knee = rate }
        }
        return knees
    }
}
