// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Policy
import Simulation
import Units

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs the gateway's decisions in virtual time against simulated engines.",
        discussion: """
            Either a fixture (--fixture A to E), whose table is printed with the bars it is held \
            against, or a what-if: a trace (--trace) or made traffic (--requests, --rate) through \
            a fleet of engines. The same options give the same figures on every machine.
            """)

    private static let usualTraces = "traces"
    private static let usualProfile = "llama70b-h100-tp2-fp8"

    @Option(name: .long, help: "A KV cache, B fairness, C order, D prefixes, E traces.")
    var fixture: String?

    @Option(name: .long, help: "CSV with t_ms, in and out, plain or gzip'd.")
    var trace: String?

    @Option(name: .long, help: "The folder of the traces of fixture E.")
    var traces = Self.usualTraces

    @Option(name: .long, help: "A gateway's configuration: tenants, limits, classes, thresholds.")
    var config: String?

    @Option(name: .customLong("class"), help: "With --config, the class that requests come in.")
    var trafficClass: String?

    @Option(
        name: [.customLong("rule"), .customLong("policy")],
        help: "Who decides; repeat it for more: \(FleetRule.names.joined(separator: ", ")).")
    var rules: [String] = []

    @Option(name: .long, help: "Gateways; repeat it for more rows.")
    var gateways: [Int] = []

    @Option(name: .long, help: "How often engines are scraped, 50ms or 1s; repeat it for more.")
    var scrape: [SimulatedSpan] = []

    @Option(name: .long, help: "Engines.")
    var endpoints: Int?

    @Option(
        name: .long,
        help: """
            The engines' cost model, also of fixture D; see penstock engine --help. \
            (default: \(Self.usualProfile))
            """)
    var profile: String?

    @Option(name: .long, help: "The first seed.")
    var seed: UInt64 = 1

    @Option(name: .long, help: "How many seeds a row is the mean of.")
    var seeds: Int?

    @Option(
        name: [.customLong("workload"), .customLong("name"), .customLong("variant")],
        help: "One of fixture B's workloads, D's rates or E's traces; repeat it for more.")
    var variants: [String] = []

    @Option(
        name: .long,
        help: "Fixture C: near, burst, overload or returns. A trace: the share of the capacity.")
    var load: [String] = []

    @Option(
        name: .long,
        help: "What a good request meets, ttft=2s,tpot=50ms; without --config the class's targets.")
    var slo: SimulatedTargets?

    @Option(name: .long, help: "A what-if: tenant=factor multiplies its requests; repeatable.")
    var scale: [SimulatedScale] = []

    @Option(name: .long, help: "A what-if: N@30s loses N endpoints at that time; repeatable.")
    var lose: [SimulatedLoss] = []

    @Option(name: .long, help: "A what-if: N@60s lets N endpoints join at that time; repeatable.")
    var join: [SimulatedLoss] = []

    @Option(name: .customLong("lose-gateways"), help: "The same with gateways.")
    var loseGateways: [SimulatedLoss] = []

    @Option(
        name: .customLong("lose-store"),
        help: "A what-if: @30s loses the store that the gateways share, for good.")
    var loseStore: SimulatedMoment?

    @Option(name: .long, help: "Of traces, only what arrives from then on: 20m.")
    var from: SimulatedSpan?

    @Option(name: .long, help: "Of traces, only what arrives before then.")
    var to: SimulatedSpan?

    @Option(name: .long, help: "Only the first requests of the trace, or so many made ones.")
    var requests: Int?

    @Option(name: .long, help: "Made requests a second, with lengths as in fixture A.")
    var rate: Double?

    @Option(name: .customLong("max-wait"), help: "How long a request may queue without --config.")
    var maxWait: SimulatedSpan?

    @Flag(name: .customLong("obey-retry-after"), help: "Refused clients come back when told.")
    var obeyRetryAfter = false

    @Flag(name: .long, help: "Without --config: output bounds are lowered under pressure.")
    var clamp = false

    @Option(
        name: .customLong("prompt-bias"),
        help: "What gateways take prompts for, as a multiple of what they are: 1.15.")
    var promptBias = 1.0

    @Flag(name: .long, help: "Without --config: prompts are bounded by a controlled share.")
    var phases = false

    @Flag(name: .customLong("no-targets"), help: "Fixture E: gateways know of no targets.")
    var noTargets = false

    @Flag(name: .customLong("no-learning"), help: "Estimates of prompts learn nothing.")
    var noLearning = false

    @Flag(name: .customLong("no-give-back"), help: "Accounts stay, whatever caches lack of them.")
    var noGiveBack = false

    @Flag(name: .long, help: "Exit code 1 where a bar of the fixture is missed.")
    var check = false

    @Flag(
        name: .customLong("print-trace"),
        help: "Prints fixture A's trace for --seed as CSV, for penstock replay, and runs nothing.")
    var printTrace = false

    @Flag(name: .long, help: "Prints one JSON document.")
    var json = false

    func validate() throws {
        let kinds = [fixture != nil, trace != nil, rate != nil].count { $0 }
        guard kinds == 1 else {
            throw ValidationError("one of --fixture, --trace and --rate is needed")
        }
        for (name, value) in [("seeds", seeds), ("endpoints", endpoints), ("requests", requests)] {
            guard value.map({ $0 > 0 && $0 <= 4_000_000 }) ?? true else {
                throw ValidationError("--\(name) is between 1 and 4000000")
            }
        }
        guard gateways.allSatisfy({ (1...256).contains($0) }), endpoints ?? 1 <= 4_096 else {
            throw ValidationError("--gateways is between 1 and 256, --endpoints at most 4096")
        }
        guard (0.1...10).contains(promptBias) else {
            throw ValidationError("--prompt-bias is between 0.1 and 10")
        }
        guard EngineProfile.named(profileName) != nil else {
            throw ValidationError("--profile \(profileName): there is none of that name")
        }
        guard rate.map({ $0 > 0 && $0.isFinite }) ?? true else {
            throw ValidationError("--rate is above zero")
        }
        for rule in rules where FleetRule.named(rule, in: .routing) == nil {
            throw ValidationError(
                "--rule \(rule): there is none of that name; there are "
                    + FleetRule.names.joined(separator: ", "))
        }
        let hasTraces = trace != nil || fixture?.uppercased() == FleetFixture.traces.rawValue
        guard hasTraces || from == nil && to == nil
        else { throw ValidationError("--from and --to go with --trace and with --fixture E") }
        if let to, to.span <= from?.span ?? .zero {
            throw ValidationError("--to is not after --from")
        }
        guard !printTrace || fixture?.uppercased() == FleetFixture.kv.rawValue else {
            throw ValidationError("--print-trace goes with --fixture A")
        }
        if let fixture { try validate(fixture) } else { try validateWhatIf() }
    }

    private func validate(_ name: String) throws {
        guard let fixture = FleetFixture(rawValue: name.uppercased()) else {
            throw ValidationError("--fixture \(name): there are A, B, C, D and E")
        }
        guard config == nil, scale.isEmpty, lose.isEmpty, join.isEmpty, loseGateways.isEmpty,
            loseStore == nil, requests == nil, maxWait == nil, !obeyRetryAfter, slo == nil
        else {
            throw ValidationError(
                "--config, --scale, --lose, --join, --lose-gateways, --lose-store, --requests, "
                    + "--max-wait, --slo and --obey-retry-after go with --trace or --rate")
        }
        guard profile == nil || fixture == .prefix else {
            throw ValidationError("--profile goes with --trace, --rate and --fixture D")
        }
        let named = variants + (fixture == .order ? load : [])
        for variant in named where !(fixture.variants ?? []).contains(variant) {
            throw ValidationError(
                "\(variant): fixture \(fixture.rawValue) has "
                    + (fixture.variants?.joined(separator: ", ") ?? "only one workload"))
        }
        if fixture == .traces { _ = try shares() }
    }

    private func validateWhatIf() throws {
        guard variants.isEmpty, traces == Self.usualTraces, !check else {
            throw ValidationError("--workload, --traces and --check go with --fixture")
        }
        guard config != nil || trafficClass == nil else {
            throw ValidationError("--class goes with --config")
        }
        let lost = lose.reduce(0) { $0 + min($1.count, 4_096) }
        guard config != nil || lost < endpoints ?? 4 else {
            throw ValidationError("--lose leaves no endpoint")
        }
        guard join.reduce(0, { $0 + min($1.count, 4_096) }) <= 4_096 else {
            throw ValidationError("--join lets at most 4096 endpoints join")
        }
        let lostGateways = loseGateways.reduce(0) { $0 + min($1.count, 4_096) }
        guard lostGateways == 0 || lostGateways < gateways.min() ?? 1 else {
            throw ValidationError("--lose-gateways leaves no gateway")
        }
        _ = try shares()
    }

    func run() throws {
        if printTrace {
            for line in Workload.bursts(seed: seed).trace.csvLines { StandardOutput.line(line) }
            return
        }
        let table: SimulatedTable
        if let fixture = fixture.flatMap({ FleetFixture(rawValue: $0.uppercased()) }) {
            table = SimulatedTable(fixture, rows(of: try cases(fixture), fixture.seeds))
        } else {
            let whatIf = try WhatIf(self)
            table = SimulatedTable(
                nil, rows(of: try whatIf.cases(), 1), tenants: whatIf.tenantNames)
        }
        if json {
            StandardOutput.line(table.json)
        } else {
            for line in table.lines { StandardOutput.line(line) }
        }
        if check, table.missesABar { throw ExitCode(1) }
    }

    private func rows(of cases: [FixtureCase], _ usual: Int) -> [FixtureRow] {
        cases.map { made in
            var made = made
            if clamp { made.setup.clamp = ClampPolicy() }
            made.setup.promptBias = promptBias
            if phases { made.setup.phases = PhasePolicy() }
            if noTargets { made.setup.targets = nil }
            made.setup.learnsPrompts = !noLearning
            made.setup.givesBack = !noGiveBack
            let count = UInt64(seeds ?? usual)
            return FixtureRow(
                of: made, runs: (0..<count).map { (seed &+ $0, made.report(seed: seed &+ $0)) })
        }
    }

    private func cases(_ fixture: FleetFixture) throws -> [FixtureCase] {
        var choice = FixtureChoice()
        choice.rules = rules.isEmpty ? nil : rules
        choice.gateways = gateways.isEmpty ? nil : gateways
        choice.scrapes = scrape.isEmpty ? nil : scrape.map(\.span)
        choice.endpoints = endpoints
        choice.profile = profile.flatMap(EngineProfile.named)
        let named = variants + (fixture == .order ? load : [])
        choice.variants = named.isEmpty ? nil : named
        guard fixture == .traces else { return fixture.cases(choice) }
        choice.loads = load.isEmpty ? nil : try shares()
        var found: [FixtureTrace: Trace] = [:]
        for name in FixtureTrace.allCases
        where choice.variants?.contains(name.rawValue) ?? true {
            let path = "\(traces)/\(name.rawValue).csv.gz"
            found[name] = try window(SimulatedTrace.read(path, limit: nil), of: path)
        }
        return fixture.cases(choice, traces: found)
    }

    /// What `--from` and `--to` leave of a trace, which must be something.
    func window(_ trace: Trace, of path: String) throws -> Trace {
        guard from != nil || to != nil else { return trace }
        let window = trace.window(
            from: from?.span ?? .zero, to: to?.span ?? trace.span + .seconds(1))
        guard !window.requests.isEmpty else {
            throw Failure.input(["\(path): no request arrives between --from and --to"])
        }
        return window
    }

    /// What `--profile` names, or the usual one.
    var profileName: String { profile ?? Self.usualProfile }

    /// `--load` as shares of capacity.
    func shares() throws -> [Double] {
        try load.map { text in
            guard let share = Double(text), share > 0, share.isFinite else {
                throw ValidationError("--load \(text): a share of the capacity, such as 0.8")
            }
            return share
        }
    }
}
