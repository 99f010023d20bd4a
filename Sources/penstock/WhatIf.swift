// SPDX-License-Identifier: Apache-2.0

import Configuration
import EventLoop
import Policy
import Simulation
import Units

/// A trace, or made traffic, through a fleet that the command line describes.
struct WhatIf {
    private let command: SimulateCommand
    private let profile: EngineProfile
    private let policy: Policy?
    private let trafficClass: Int
    private let endpoints: Int

    init(_ command: SimulateCommand) throws {
        self.command = command
        guard let profile = EngineProfile.named(command.profileName) else {
            throw Failure.input(["--profile \(command.profileName): there is none of that name"])
        }
        self.profile = profile
        guard let path = command.config else {
            policy = nil
            trafficClass = 0
            endpoints = command.endpoints ?? 4
            return
        }
        let policy = try Self.read(path)
        let place = try Self.place(of: command.trafficClass, in: policy, path)
        let pool = policy.pools[policy.classes[place].pool.index]
        let count = command.endpoints ?? pool.endpoints.count
        guard !policy.tenants.isEmpty else { throw Failure.input(["\(path): it has no tenants"]) }
        let lost = command.lose.reduce(0) { $0 + min($1.count, 4_096) }
        guard lost < count else {
            throw Failure.input(["--lose: the pool \(pool.name) has \(count) endpoints"])
        }
        let joining = command.join.reduce(0) { $0 + $1.count }
        self.policy = policy.simulated(pool: pool.id, endpoints: count + joining, of: profile)
        trafficClass = place
        endpoints = count
    }

    private static func read(_ path: String) throws -> Policy {
        do throws(ConfigurationFault) {
            return try ConfigurationFile.load(
                path: path, environment: { Terminal.environment($0) }, previous: nil
            ).policy
        } catch {
            throw Failure.input(error.mistakes.map { "\($0)" })
        }
    }

    private static func place(of name: String?, in policy: Policy, _ path: String) throws -> Int {
        guard let name else { return 0 }
        guard let found = policy.classes.firstIndex(where: { $0.name == name }) else {
            throw Failure.input(["--class \(name): \(path) has no class of that name"])
        }
        return found
    }

    /// What a good request meets.
    private var targets: LatencyTargets { (command.slo ?? SimulatedTargets()).targets }

    /// The tenants of the configuration, by the trace's numbers.
    var tenantNames: [String] { policy?.tenants.map(\.name) ?? [] }

    /// One for each rule, number of gateways, scrape interval and load.
    func cases() throws -> [FixtureCase] {
        let base = try command.trace.map { path in
            let isWindow = command.from != nil || command.to != nil
            let all = try SimulatedTrace.read(path, limit: isWindow ? nil : command.requests)
            let window = try command.window(all, of: path)
            return command.requests.map(window.first) ?? window
        }
        if let base, base.requests.isEmpty {
            throw Failure.input(["\(command.trace ?? ""): it has no requests"])
        }
        let scales = try command.scale.map { (try tenant($0.tenant), $0.factor) }
        let shares = try command.shares()
        let capacity = self.capacity(base, isNeeded: !shares.isEmpty)
        let loads: [Double?] = shares.isEmpty ? [nil] : shares
        var cases: [FixtureCase] = []
        for (load, kind) in loads.flatMap({ load in kinds.map { (load, $0) } }) {
            let scales = kind == .asIs ? [] : scales
            for setup in setups(capacity, kind) {
                var labels = load.map { [("load", "\($0)")] } ?? []
                if kinds.count > 1 { labels.append(("case", kind.rawValue)) }
                let made = FixtureCase.whatIf(labels, setup, targets) { seed in
                    var workload = self.workload(base, seed)
                    if let load {
                        workload.trace = workload.trace.stretched(toRate: load * capacity)
                    }
                    for (tenant, factor) in scales {
                        workload = workload.scaled(tenant: tenant, by: factor, seed: seed)
                    }
                    return workload
                }
                cases.append(made)
            }
        }
        return cases
    }

    /// What the fleet sustains of this traffic, where a load or a rule is told as a share of it.
    private func capacity(_ base: Trace?, isNeeded: Bool) -> Double {
        guard isNeeded || command.rules.contains(where: { $0.hasPrefix("rate:") }) else { return 0 }
        let traffic =
            base ?? Workload.steady(requests: 2_000, rate: 1, seed: command.seed).trace
        return VirtualRun.capacity(of: traffic, on: profile, engines: endpoints)
    }

    private func workload(_ base: Trace?, _ seed: UInt64) -> Workload {
        if let base { return Workload(trace: base, weights: policy?.tenants.map(\.weight) ?? []) }
        return .steady(
            requests: command.requests ?? 10_000, rate: command.rate ?? 1, seed: seed)
    }

    private enum Kind: String {
        case asIs = "as is"
        case whatIf = "what if"
    }

    private var losses: [FleetLoss] {
        command.lose.map { FleetLoss(endpoints: $0.count, after: $0.after) }
            + command.loseGateways.map { FleetLoss(gateways: $0.count, after: $0.after) }
            + (command.loseStore.map { [FleetLoss(storeAfter: $0.after)] } ?? [])
    }

    private var joins: [FleetJoin] {
        command.join.map { FleetJoin($0.count, after: $0.after) }
            .sorted { $0.after < $1.after }
    }

    /// A what-if stands below what it changes.
    private var kinds: [Kind] {
        command.scale.isEmpty && losses.isEmpty && joins.isEmpty ? [.asIs] : [.asIs, .whatIf]
    }

    private func setups(_ capacity: Double, _ kind: Kind) -> [FleetSetup] {
        var setups: [FleetSetup] = []
        let rules = command.rules.isEmpty ? ["penstock"] : command.rules
        for rule in rules.compactMap({ FleetRule.named($0, in: .routing) }) {
            for gateways in command.gateways.isEmpty ? [1] : command.gateways {
                for scrape in command.scrape.isEmpty ? [nil] : command.scrape.map(Optional.init) {
                    var setup = FleetSetup(profile: profile, endpoints: endpoints)
                    setup.gateways = gateways
                    setup.scrapeInterval =
                        scrape?.span ?? policy?.upstream.scrapeInterval ?? .seconds(1)
                    setup.rule = rule
                    setup.policy = policy
                    setup.trafficClass = trafficClass
                    setup.maxWait =
                        command.maxWait?.span ?? policy?.classes[trafficClass].queue.maxWait
                        ?? targets.firstToken
                    setup.targets = command.slo?.targets
                    setup.patience = command.obeyRetryAfter ? .obeys(returns: 10) : .none
                    setup.losses = kind == .asIs ? [] : losses
                    setup.joins = kind == .asIs ? [] : joins
                    setup.capacity = capacity
                    // The end is looked at always, and nothing here asks for more.
                    setup.sampling = .seconds(3_600)
                    setups.append(setup)
                }
            }
        }
        return setups
    }

    /// A tenant of the configuration by its name, of a trace by its number.
    private func tenant(_ name: String) throws -> Int {
        if let place = policy?.tenants.firstIndex(where: { $0.name == name }) { return place }
        guard let number = Int(name), (0..<SimulatedTrace.mostTenants).contains(number) else {
            throw Failure.input([
                "--scale \(name): neither a tenant of the configuration nor a number of the trace"
            ])
        }
        return number
    }
}
