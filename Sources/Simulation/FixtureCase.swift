// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a figure has to be for a row of a fixture to be as good as it should.
public struct FixtureBar: Sendable, Equatable {
    /// What the figure is held against.
    public enum Bound: Sendable, Equatable {
        case number(Double)
        /// So many times the same figure of another rule in the same case, and so much more.
        case ofRule(String, times: Double)
        /// The same of the best of the baselines of the same case.
        case ofBest(times: Double, plus: Double)
        /// The same rule with one gateway.
        case ofOneGateway(times: Double)
    }
    public enum Direction: Sendable, Equatable { case atMost, atLeast }

    public var column: FleetColumn
    public var direction: Direction
    public var bound: Bound

    static func atMost(_ column: FleetColumn, _ bound: Double) -> FixtureBar {
        FixtureBar(column: column, direction: .atMost, bound: .number(bound))
    }
    static func atLeast(_ column: FleetColumn, _ bound: Double) -> FixtureBar {
        FixtureBar(column: column, direction: .atLeast, bound: .number(bound))
    }
}

/// One row of a fixture's table: the same fleet and rule, run over several seeds.
public struct FixtureCase: Sendable {
    /// What tells it from the other rows: name and value, rule, gateways and scrapes left out.
    public var labels: [Label]
    /// Its seed is set by each run.
    public var setup: FleetSetup
    public var targets: LatencyTargets
    public var warmUp = Duration.zero
    public var bars: [FixtureBar] = []
    var make: @Sendable (UInt64) -> Workload

    public struct Label: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    init(
        _ labels: [(String, String)], _ setup: FleetSetup,
        targets: LatencyTargets = LatencyTargets(
            firstToken: .seconds(2), perToken: .milliseconds(50)),
        make: @escaping @Sendable (UInt64) -> Workload
    ) {
        self.labels = labels.map { Label(name: $0.0, value: $0.1) }
        self.setup = setup
        self.targets = targets
        self.make = make
    }

    /// One run.
    public func report(seed: UInt64) -> FleetReport {
        var setup = setup
        setup.seed = seed
        return FleetReport(Fleet.run(make(seed), setup), targets, warmUp: warmUp)
    }
}

/// A row with its figures: one report of each seed, and their mean.
public struct FixtureRow: Sendable {
    public let of: FixtureCase
    public let runs: [(seed: UInt64, report: FleetReport)]
    public let mean: FleetReport

    public init(of: FixtureCase, runs: [(seed: UInt64, report: FleetReport)]) {
        self.of = of
        self.runs = runs
        mean = FleetReport(meanOf: runs.map(\.report))
    }

    /// How this row stands to one of its bars, with the other rows of the table to look at.
    public func verdict(_ bar: FixtureBar, in table: [FixtureRow]) -> FixtureVerdict {
        let found = mean[bar.column]
        let peers = table.filter { $0.of.labels == of.labels }
        var bound = Double.nan
        switch bar.bound {
        case .number(let number): bound = number
        case .ofRule(let name, let times):
            let other = peers.first { $0.of.setup.rule.description == name }
            bound = times * (other?.mean[bar.column] ?? .nan)
        case .ofBest(let times, let plus):
            let others = peers.filter { $0.of.setup.rule != .penstock }.map { $0.mean[bar.column] }
            let best = bar.direction == .atLeast ? others.max() : others.min()
            bound = times * (best ?? .nan) + plus
        case .ofOneGateway(let times):
            let one = peers.first {
                $0.of.setup.rule == of.setup.rule && $0.of.setup.gateways == 1
            }
            bound = times * (one?.mean[bar.column] ?? .nan)
        }
        let isMet = bar.direction == .atMost ? found <= bound : found >= bound
        return FixtureVerdict(
            bar: bar, found: found, bound: bound, isKnown: !bound.isNaN, isMet: isMet)
    }
}

/// A figure beside its bar.
public struct FixtureVerdict: Sendable {
    public let bar: FixtureBar
    public let found: Double
    public let bound: Double
    /// The row that it is held against was run too.
    public let isKnown: Bool
    public let isMet: Bool
}
