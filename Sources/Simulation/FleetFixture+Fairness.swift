// SPDX-License-Identifier: Apache-2.0

import Units

/// The workloads of the fairness fixture: those of VTC (OSDI'24; Ying1123/VTC-artifact:
/// fair_bench/exp_suite.py, Apache-2.0).
enum FairnessWorkload: String, CaseIterable {
    case overload
    case overloadMulti = "overload-multi"
    case overloadWeighted = "overload-weighted"
    case proportional
    case increase
    case onOffLess = "on_off_less"
    case poissonShortLong = "poisson_short_long"
    case poissonShortLong2 = "poisson_short_long_2"

    var seconds: Double {
        switch self {
        case .overload, .overloadMulti, .overloadWeighted: 360
        case .poissonShortLong2: 300
        case .proportional, .increase, .onOffLess, .poissonShortLong: 600
        }
    }

    var weights: [Double] { self == .overloadWeighted ? [1, 2, 3, 4] : [] }

    /// One for each tenant.
    var streams: [Workload.Stream] {
        let steady = { (rate: Double) in Workload.Stream(rate: rate) }
        switch self {
        case .overload: return [steady(1.5), steady(3)]
        case .overloadMulti:
            return Array(repeating: steady(0.4), count: 3)
                + Array(repeating: steady(0.6), count: 5)
        case .overloadWeighted: return [0.8, 0.8, 1.2, 1.6].map(steady)
        case .proportional: return [0.25, 0.5, 1.5].map(steady)
        case .increase: return [steady(0.5), Workload.Stream(rate: 0.2, lastRate: 2)]
        case .onOffLess: return [Workload.Stream(rate: 0.5, period: 60), steady(2)]
        case .poissonShortLong: return Self.short(64, 64, long: 256, 256)
        case .poissonShortLong2: return Self.short(512, 32, long: 32, 512)
        }
    }

    private static func short(
        _ prompt: Int, _ output: Int, long longPrompt: Int, _ longOutput: Int
    ) -> [Workload.Stream] {
        [
            Workload.Stream(rate: 8, prompt: prompt, output: output, isPoisson: true),
            Workload.Stream(rate: 1.5, prompt: longPrompt, output: longOutput, isPoisson: true),
        ]
    }

    /// What the core has to reach with one gateway.
    var bars: [FixtureBar] {
        let throughput = FixtureBar(
            column: .tokens, direction: .atLeast, bound: .ofRule("fcfs", times: 0.99))
        switch self {
        case .overload: return [.atMost(.gap, 3_000), throughput]
        case .overloadWeighted:
            return [.atMost(.gap, 2_000), .atMost(.shareError, 0.02), throughput]
        case .poissonShortLong: return [.atMost(.gap, 6_000), throughput]
        case .poissonShortLong2: return [.atMost(.gap, 10_000)]
        case .proportional: return [.atMost(.lightTTFT, 5)]
        case .overloadMulti, .increase, .onOffLess: return []
        }
    }
}

extension FleetFixture {
    static func fairnessCases(_ choice: FixtureChoice) -> [FixtureCase] {
        var cases: [FixtureCase] = []
        for workload in FairnessWorkload.allCases where choice.wants(workload.rawValue) {
            for rule in FleetFixture.fairness.rules(
                choice, else: ["fcfs", "round_robin", "vtc", "penstock"])
            {
                let own = workload.bars.isEmpty ? [1] : [1, 4]
                for (gateways, scrape) in choice.fleets(rule == .penstock ? own : [1]) {
                    var setup = FleetSetup(profile: .fixtureB, endpoints: choice.endpoints ?? 1)
                    setup.gateways = gateways
                    setup.scrapeInterval = scrape
                    setup.rule = rule
                    setup.maxWait = .seconds(36_000)
                    setup.sampling = .seconds(1)
                    var made = FixtureCase([("workload", workload.rawValue)], setup) {
                        .streams(
                            workload.streams, seconds: workload.seconds,
                            weights: workload.weights, seed: $0)
                    }
                    if rule == .penstock { made.bars = bars(of: workload, gateways) }
                    cases.append(made)
                }
            }
        }
        return cases
    }

    private static func bars(of workload: FairnessWorkload, _ gateways: Int) -> [FixtureBar] {
        guard gateways > 1 else { return workload.bars }
        return workload.bars.filter { $0.column == .gap }.map { _ in
            FixtureBar(column: .gap, direction: .atMost, bound: .ofOneGateway(times: 1.5))
        }
    }
}
