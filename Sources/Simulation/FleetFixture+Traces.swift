// SPDX-License-Identifier: Apache-2.0

import Units

/// The traces of fixture E, by the names of their files.
public enum FixtureTrace: String, Sendable, CaseIterable {
    case azure2023Conv = "azure2023_conv"
    case azure2023Code = "azure2023_code"
    case servegenMLarge = "servegen_mlarge"
    case servegenReason = "servegen_reason"
    case servegenImage = "servegen_image"
    case mooncakeConv = "mooncake_conv"
    case mooncakeSynthetic = "mooncake_synthetic"

    var hasPrefixes: Bool { self == .mooncakeConv || self == .mooncakeSynthetic }

    /// Llama-3.1-70B FP8 on two H100, on four for the long prompts of Mooncake.
    public var profile: EngineProfile? {
        EngineProfile.named("llama70b-h100-tp\(hasPrefixes ? 4 : 2)-fp8")
    }

    public var targets: LatencyTargets {
        hasPrefixes
            ? LatencyTargets(firstToken: .seconds(10), perToken: .milliseconds(100))
            : LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))
    }

    /// The share of requests that has to meet both targets, by load.
    private var toReach: [Double: Double] {
        switch self {
        case .azure2023Conv: [1.0: 0.75, 1.2: 0.65]
        case .servegenMLarge: [1.0: 0.65, 1.2: 0.56]
        case .servegenReason: [1.0: 0.68, 1.2: 0.56]
        case .servegenImage: [1.0: 0.52, 1.2: 0.44]
        case .mooncakeConv: [0.8: 0.90, 1.0: 0.68]
        case .mooncakeSynthetic: [0.8: 0.91, 1.0: 0.76]
        case .azure2023Code: [:]
        }
    }

    func bars(load: Double) -> [FixtureBar] {
        var bars: [FixtureBar] = []
        if let share = toReach[load] { bars.append(.atLeast(.metTargets, share)) }
        if load == 0.6 {
            bars.append(
                FixtureBar(
                    column: .metTargets, direction: .atLeast,
                    bound: .ofBest(times: 1, plus: -0.01)))
        }
        bars.append(
            FixtureBar(
                column: .goodTokens, direction: .atLeast, bound: .ofBest(times: 0.97, plus: 0)))
        if load == 1.2 { bars.append(.atMost(.preemptionRatio, 0.01)) }
        if load == 0.8, hasPrefixes {
            bars.append(.atLeast(.hitRatio, self == .mooncakeConv ? 0.16 : 0.36))
        }
        return bars
    }
}

extension FleetFixture {
    static func traceCases(
        _ choice: FixtureChoice, _ traces: [FixtureTrace: Trace]
    ) -> [FixtureCase] {
        var cases: [FixtureCase] = []
        for name in FixtureTrace.allCases where choice.wants(name.rawValue) {
            guard let trace = traces[name], let profile = name.profile else { continue }
            let endpoints = choice.endpoints ?? 4
            let capacity = VirtualRun.capacity(of: trace, on: profile, engines: endpoints)
            let usual =
                ["round_robin", "least_requests", "rate:0.9", "work:0.7"]
                + (name.hasPrefixes ? ["prefix"] : []) + ["penstock"]
            for load in choice.loads ?? [0.6, 0.8, 1.0, 1.2] {
                let stretched = trace.stretched(toRate: load * capacity)
                for rule in FleetFixture.traces.rules(choice, else: usual) {
                    for (gateways, scrape) in choice.fleets([1]) {
                        var setup = FleetSetup(profile: profile, endpoints: endpoints)
                        setup.gateways = gateways
                        setup.scrapeInterval = scrape
                        setup.rule = rule
                        setup.maxWait = name.targets.firstToken
                        setup.targets = name.targets
                        setup.capacity = capacity
                        var made = FixtureCase(
                            [("trace", name.rawValue), ("load", "\(load)")], setup,
                            targets: name.targets
                        ) { _ in Workload(trace: stretched) }
                        if rule == .penstock { made.bars = name.bars(load: load) }
                        cases.append(made)
                    }
                }
            }
        }
        return cases
    }
}
