// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

@Suite struct VirtualRunTests {
    private func burst(_ count: Int, prompt: Int = 100, output: Int = 4) -> Trace {
        Trace(
            requests: (0..<count).map { _ in
                TraceRequest(arrival: .zero, prompt: Tokens(prompt), output: Tokens(output))
            })
    }

    @Test func theSameRunTwiceIsTheSame() throws {
        let trace = try Fixture.trace("mooncake_conv").first(200).stretched(by: 0.2)
        let profile = try #require(EngineProfile.named("llama70b-h100-tp4-fp8"))
        let runs = (0..<2).map { _ in
            VirtualRun.replay(trace, on: profile, engines: 3, router: .leastTokens)
        }
        #expect(runs[0].outcomes == runs[1].outcomes)
        #expect(runs[0].engines == runs[1].engines)
    }

    @Test func roundRobinTakesTurnsAndLeastRequestsFillsTheEmptiest() throws {
        for router in VirtualRouter.allCases {
            let result = VirtualRun.replay(
                burst(6), on: .fixtureA, engines: 3, router: router)
            #expect(result.engines.map(\.promptTokens) == [Tokens(200), Tokens(200), Tokens(200)])
        }
    }

    @Test func whatCanNeverFitIsDroppedAndTheRestIsDone() throws {
        var trace = burst(3)
        trace.requests[1].prompt = Tokens(70_000)
        let result = VirtualRun.replay(trace, on: .fixtureA, engines: 1, router: .roundRobin)
        #expect(result.outcomes.map(\.fate) == [.done, .dropped, .done])
        let report = result.report(
            LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50)))
        #expect(report.requests == 3)
        #expect(report.done == 2)
        #expect(report.dropped == 1)
        #expect(abs(report.good - 2.0 / 3) < 1e-12)
    }

    @Test func anEmptyTraceGivesAnEmptyReport() {
        let result = VirtualRun.replay(
            Trace(requests: []), on: .fixtureA, engines: 2, router: .roundRobin)
        let report = result.report(
            LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50)))
        #expect(report.requests == 0)
        #expect(report.ttft.p50.isNaN)
        #expect(report.good == 0)
        #expect(
            VirtualRun.capacity(of: Trace(requests: []), on: .fixtureA, engines: 2) == 0)
    }

    @Test func theRequestOverheadBelongsToTheTimeToFirstToken() throws {
        let profile = try #require(EngineProfile.named("llama8b-h100-tp1-fp8"))
        let targets = LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))
        let result = VirtualRun.replay(burst(1), on: profile, engines: 1, router: .roundRobin)
        let inside = (result.outcomes[0].firstToken - result.outcomes[0].arrival).seconds
        #expect(abs(result.report(targets).ttft.p50 - 1e3 * (inside + 0.012)) < 1e-9)
    }

    @Test func percentilesAreByNearestRank() {
        let percentiles = Percentiles(of: [4, 1, 3, 2])
        #expect(percentiles.p50 == 2)
        #expect(percentiles.p90 == 4)
        #expect(percentiles.p99 == 4)
        #expect(Percentiles.percentile(50, ofSorted: []).isNaN)
    }
}
