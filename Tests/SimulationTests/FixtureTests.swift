// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

/// The named fixtures against what their sources say.
@Suite struct FixtureTests {
    private func rows(
        _ fixture: FleetFixture, _ rules: [String], _ variants: [String]?
    ) -> [FixtureRow] {
        var choice = FixtureChoice()
        choice.rules = rules
        choice.variants = variants
        choice.gateways = [1]
        return fixture.cases(choice).map {
            FixtureRow(of: $0, runs: [(seed: 1, report: $0.report(seed: 1))])
        }
    }

    /// VTC's artifact has 8,062 for its own order on `overload`, and 893 tokens a second; FCFS
    /// falls apart in proportion to the rates.
    @Test func virtualCountersAreAsFairAsTheirPaperSays() {
        let found = rows(.fairness, ["fcfs", "vtc"], ["overload"]).map(\.mean)
        #expect((390_000...430_000).contains(found[0][.gap]))
        #expect((5_000...10_000).contains(found[1][.gap]))
        for report in found { #expect((850...900).contains(report[.tokens])) }
        #expect(abs(found[0].shares[1] - 2.0 / 3) < 0.01)
    }

    @Test func tenantsAreServedByTheirWeights() {
        let found = rows(.fairness, ["penstock"], ["overload", "overload-weighted"]).map(\.mean)
        #expect(found[0][.gap] <= 3_000)
        #expect(found[1][.gap] <= 2_000)
        for report in found {
            #expect(report[.shareError] <= 0.02)
            #expect(report[.preemptions] == 0)
            #expect(report[.tokens] >= 830)
        }
    }

    @Test func everyFixtureHasRowsForEveryRule() {
        for fixture in FleetFixture.allCases where fixture != .traces {
            #expect(!fixture.cases(FixtureChoice()).isEmpty)
            for name in FleetRule.names {
                let rule = name.hasSuffix(":") ? name + "0.5" : name
                var choice = FixtureChoice()
                choice.rules = [rule]
                choice.variants = fixture.variants.map { [$0[0]] }
                let made = fixture.cases(choice)
                #expect(!made.isEmpty, "\(fixture) \(rule)")
                #expect(made.allSatisfy { "\($0.setup.rule)" == rule })
            }
        }
    }

    @Test(arguments: ["", "nobody", "rate", "rate:", "rate:0", "work:-1", "work:x", "none:1"])
    func aRuleThatIsNotThereIsNil(name: String) {
        #expect(FleetRule.named(name, in: .routing) == nil)
    }

    @Test func hyphensAreAsGoodAsUnderscores() {
        #expect(
            FleetRule.named("round-robin", in: .routing)
                == FleetRule.named("round_robin", in: .routing))
    }

    @Test func aBarIsMetOrMissedAgainstANumberAndAgainstAnotherRow() throws {
        let table = rows(.kv, ["none", "penstock"], nil)
        let own = try #require(table.last { $0.of.setup.rule == .penstock })
        let verdicts = own.of.bars.map { own.verdict($0, in: table) }
        let preemptions = try #require(verdicts.first { $0.bar.column == .preemptions })
        #expect(preemptions.isKnown && preemptions.isMet)
        let makespan = try #require(verdicts.first { $0.bar.column == .makespan })
        #expect(makespan.isKnown)
        #expect(makespan.bound > 300)
        let alone = own.verdict(makespan.bar, in: [own])
        #expect(!alone.isKnown)
    }

    @Test func theKneeIsTheLastRateBeforeTheFirstThatIsTooMuch() {
        let table = rows(.prefix, ["round_robin"], ["3", "10", "14"])
        let knees = FleetFixture.knees(table)
        #expect(knees.map(\.knee) == [10])
        #expect(FleetFixture.missedKnees(table).isEmpty, "only the own rule has a bar")
    }

    @Test func aTraceOfFixtureEIsStretchedToItsLoad() throws {
        var choice = FixtureChoice()
        choice.rules = ["least_requests", "work:0.7"]
        choice.loads = [1.2]
        let trace = try Fixture.trace("azure2023_conv")
        let made = FleetFixture.traces.cases(choice, traces: [.azure2023Conv: trace])
        #expect(made.count == 2)
        let reports = made.map { $0.report(seed: 1) }
        for report in reports { #expect(report[.requests] == 2_000) }
        // Whoever refuses in time serves more within the targets.
        #expect(reports[1][.metTargets] > 4 * reports[0][.metTargets])
    }
}
