// SPDX-License-Identifier: Apache-2.0

import Policy
import Simulation
import Testing
import Units

/// Whole fleets in virtual time.
@Suite struct FleetTests {
    private func setup(_ rule: String, gateways: Int = 1) throws -> FleetSetup {
        var setup = FleetSetup(profile: .fixtureA, endpoints: 4)
        setup.rule = try #require(FleetRule.named(rule, in: .routing))
        setup.gateways = gateways
        setup.maxWait = .seconds(300)
        return setup
    }

    private let targets = LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))

    @Test(arguments: ["penstock", "none", "reactive", "reserve", "fcfs", "vtc", "bounded_hash"])
    func everyRequestEndsAndNothingIsLeftBehind(rule: String) throws {
        let workload = Workload.bursts(requests: 300, seed: 3)
        let result = Fleet.run(workload, try setup(rule))
        #expect(result.outcomes.count == 1_050)
        #expect(result.outcomes.allSatisfy { $0.fate == .done })
        #expect(result.blocksAreConserved)
        let made = result.engines.reduce(0) { $0 + $1.generationTokens.count }
        #expect(made == workload.trace.requests.reduce(0) { $0 + $1.output.count })
    }

    @Test(arguments: ["penstock", "reactive"])
    func theSameSeedGivesTheSameRunAndAnotherOneDoesNot(rule: String) throws {
        var setup = try setup(rule, gateways: 3)
        let runs = (0..<2).map { _ in
            Fleet.run(Workload.bursts(requests: 200, seed: 5), setup).outcomes
        }
        #expect(runs[0] == runs[1])
        setup.seed = 2
        #expect(Fleet.run(Workload.bursts(requests: 200, seed: 5), setup).outcomes != runs[0])
    }

    @Test(arguments: [("none", VirtualRouter.leastRequests), ("round_robin", .roundRobin)])
    func aBaselineGivesWhatTheYardstickWithoutAGatewayGives(
        rule: String, router: VirtualRouter
    ) throws {
        let trace = try Fixture.trace("mooncake_conv").stretched(by: 0.5)
        let profile = try #require(EngineProfile.named("llama70b-h100-tp4-fp8"))
        var setup = FleetSetup(profile: profile, endpoints: 3)
        setup.rule = try #require(FleetRule.named(rule, in: .routing))
        let fleet = Fleet.run(Workload(trace: trace), setup)
        let run = VirtualRun.replay(trace, on: profile, engines: 3, router: router)
        #expect(fleet.outcomes.map(\.end) == run.outcomes.map(\.end))
        #expect(
            fleet.outcomes.map { $0.firstToken ?? $0.end } == run.outcomes.map(\.firstToken))
    }

    @Test func oneGatewayKeepsTheCachesFromOverflowing() throws {
        let workload = Workload.bursts(seed: 1)
        let none = FleetReport(Fleet.run(workload, try setup("none")), targets)
        let own = FleetReport(Fleet.run(workload, try setup("penstock")), targets)
        #expect(none[.preemptions] > 200)
        #expect(none[.kvPeak] == 1)
        #expect(own[.preemptions] == 0)
        #expect(own[.kvPeak] <= 0.86)
        #expect(own[.makespan] <= 1.02 * none[.makespan])
    }

    @Test(arguments: ["penstock", "none", "reserve"])
    func whatALostEndpointHadBegunFailsAndTheRestGoesElsewhere(rule: String) throws {
        var setup = try setup(rule)
        setup.losses = [FleetLoss(endpoints: 1, after: .seconds(41))]
        let result = Fleet.run(.bursts(requests: 300, seed: 3), setup)
        let failed = result.outcomes.count { $0.fate == .failed }
        #expect(failed > 0)
        #expect(result.outcomes.count { $0.fate == .done } + failed == 1_050)
        #expect(result.blocksAreConserved)
    }

    @Test(arguments: ["penstock", "reactive", "fcfs"])
    func whatAKilledGatewayHadBegunFailsAndTheRestGoesToTheOthers(rule: String) throws {
        var setup = try setup(rule, gateways: 4)
        setup.losses = [FleetLoss(gateways: 2, after: .milliseconds(40_500))]
        let result = Fleet.run(.bursts(requests: 300, seed: 3), setup)
        let failed = result.outcomes.count { $0.fate == .failed }
        #expect(failed > 0)
        #expect(result.outcomes.count { $0.fate == .done } + failed == 1_050)
        #expect(result.blocksAreConserved)
    }

    @Test func refusedClientsThatObeyComeBackAndAreServed() throws {
        var setup = try setup("penstock")
        setup.maxWait = .seconds(1)
        let workload = Workload.bursts(requests: 300, seed: 3)
        let shed = FleetReport(Fleet.run(workload, setup), targets)[.shed]
        #expect(shed > 50)
        setup.patience = .obeys(returns: 100)
        let report = FleetReport(Fleet.run(workload, setup), targets)
        #expect(report[.shed] == 0)
        #expect(report[.refusals] > 0.9 * shed)
        #expect(report[.firstReturn] > 0.5)
    }

    @Test func aTenantsLimitHoldsInVirtualTime() throws {
        var setup = try setup("penstock")
        setup.policy = limited(requestsPerMinute: 30)
        let workload = Workload.steady(requests: 1_200, rate: 10, seed: 1)
        let done = Fleet.run(workload, setup).outcomes.count { $0.fate == .done }
        // Two minutes at 30 a minute, and a bucket that was full at the start.
        #expect((60...120).contains(done), "\(done)")
    }

    private func limited(requestsPerMinute: Double) -> Policy {
        let model = ModelPolicy(id: ModelID(0), name: "m", contextLength: Tokens(1 << 20))
        let limit = Limit(kind: .requestsPerMinute, amount: requestsPerMinute)
        let plain = Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: [model],
            pools: [
                PoolPolicy(
                    id: PoolID(0), name: "p", engine: .vllm, endpoints: [], models: [model.id])
            ],
            endpoints: [], classes: [ClassPolicy(id: ClassID(0), name: "c", pool: PoolID(0))],
            tenants: [
                TenantPolicy(
                    id: TenantID(0), name: "t", keys: [], classes: [ClassID(0)],
                    models: [model.id], limits: TenantLimits(rates: [limit]))
            ],
            anonymous: nil, throttleHistory: 0)
        return plain.simulated(pool: PoolID(0), endpoints: 4, of: .fixtureA)
    }

    @Test func aScaledTenantSendsSoManyTimesAsMuchAndTheOthersDoNot() throws {
        let workload = Workload(trace: try Fixture.trace("servegen_reason"))
        let tenant = workload.trace.requests[0].tenant
        let count = { (workload: Workload, own: Bool) in
            workload.trace.requests.count { ($0.tenant == tenant) == own }
        }
        let scaled = workload.scaled(tenant: tenant, by: 2.5, seed: 1)
        #expect(count(scaled, false) == count(workload, false))
        let factor = Double(count(scaled, true)) / Double(count(workload, true))
        #expect((2.2...2.8).contains(factor))
        let arrivals = scaled.trace.requests.map(\.arrival)
        #expect(arrivals == arrivals.sorted())
        #expect(count(workload.scaled(tenant: tenant, by: 0, seed: 1), true) == 0)
    }

    @Test func lengthsAreLogNormal() {
        let prompts = Workload.steady(requests: 20_000, rate: 1, seed: 7).trace.requests
            .map { Double($0.prompt.count) }.sorted()
        // e^6.6, and the 16th and 84th percent a deviation of 0.9 away.
        #expect(abs(prompts[10_000] / 735 - 1) < 0.03)
        #expect(abs(prompts[3_173] / 299 - 1) < 0.04)
        #expect(abs(prompts[16_827] / 1_808 - 1) < 0.04)
    }

    @Test func arrivalsArePoisson() {
        let arrivals = Workload.steady(requests: 20_000, rate: 4, seed: 7).trace.requests
            .map(\.arrival.seconds)
        #expect(abs((arrivals.last ?? 0) / 5_000 - 1) < 0.03)
        let gaps = zip(arrivals, arrivals.dropFirst()).map { $1 - $0 }
        let square = gaps.reduce(0) { $0 + $1 * $1 } / Double(gaps.count)
        #expect(abs(square / 0.125 - 1) < 0.05, "the second moment of an exponential")
    }
}
