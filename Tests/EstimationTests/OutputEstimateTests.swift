// SPDX-License-Identifier: Apache-2.0

import Estimation
import Testing
import Units

private let model = ModelID(0)
private let tenant = TenantID(0)

extension OutputEstimate {
    fileprivate mutating func learn(
        _ produced: Int, times: Int, tenant: TenantID = tenant, bound: Tokens? = Tokens(1_000)
    ) {
        for _ in 0..<times {
            learn(model: model, tenant: tenant, bound: bound, produced: Tokens(produced))
        }
    }
    fileprivate func expected(_ tenant: TenantID = tenant, bound: Int? = 1_000) -> Int {
        expected(model: model, tenant: tenant, bound: bound.map { Tokens($0) }).count
    }
}

struct OutputEstimateTests {
    @Test func beforeAnythingIsLearntThePriorCounts() {
        let estimate = OutputEstimate(limit: 10)
        #expect(estimate.expected() == 256)
        #expect(estimate.expected(bound: nil) == 256)
    }

    @Test(arguments: [1, 17, 255, 256, 257])
    func theBoundIsNeverExceeded(bound: Int) {
        var estimate = OutputEstimate(limit: 10)
        #expect(estimate.expected(bound: bound) == min(bound, 256))
        estimate.learn(5_000, times: 50, bound: Tokens(bound))
        #expect(estimate.expected(bound: bound) == bound)
    }

    @Test func thirtyAnswersOutweighThePrior() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(50, times: 30)
        #expect(estimate.expected() == 50)
    }

    @Test func fewAnswersAreBlendedIn() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(50, times: 15)
        // The model's mean is half prior, half learnt; the cell's leans on that by half.
        let modelMean = (50.0 + 256.0) / 2
        let blended = (50.0 + modelMean) / 2
        #expect(estimate.expected() == Int(blended.rounded()))
    }

    @Test func aNewTenantGetsTheModelsMean() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(80, times: 40)
        #expect(estimate.expected(TenantID(7)) == 80)
        #expect(estimate.expected(bound: 100_000) == 80)
        let other = estimate.expected(model: ModelID(1), tenant: tenant, bound: nil)
        #expect(other == Tokens(256))
    }

    @Test func tenantsAndSizesOfBoundsAreKeptApart() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(20, times: 60)
        estimate.learn(400, times: 60, tenant: TenantID(1))
        estimate.learn(3_000, times: 60, bound: Tokens(8_000))
        #expect(estimate.expected() == 20)
        #expect(estimate.expected(TenantID(1)) == 400)
        #expect(estimate.expected(bound: 5_000) == 3_000)
        // 512 ... 1,023 is one bucket.
        #expect(estimate.expected(bound: 512) == 20)
        #expect(estimate.expected(bound: 1_023) == 20)
    }

    @Test func aFullTableFallsBackToTheModelsMean() {
        var estimate = OutputEstimate(limit: 2)
        estimate.learn(10, times: 40)
        estimate.learn(10, times: 40, tenant: TenantID(1))
        estimate.learn(700, times: 2_000, tenant: TenantID(2))
        #expect(estimate.expected() == 10)
        let fallback = estimate.expected(TenantID(2))
        #expect(fallback == estimate.expected(TenantID(9)))
        #expect(fallback > 300)
    }

    @Test func aTableWithoutRoomKnowsThePrior() {
        var estimate = OutputEstimate(limit: 0)
        estimate.learn(10, times: 100)
        #expect(estimate.expected() == 256)
    }

    @Test func oldAnswersAreForgotten() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(100, times: 5_000)
        estimate.learn(900, times: 5_000)
        #expect(estimate.expected() > 880)
    }

    @Test func absurdCountsAreHarmless() {
        var estimate = OutputEstimate(limit: 10)
        estimate.learn(Int.max, times: 100, bound: nil)
        estimate.learn(Int.min, times: 1, bound: Tokens(Int.min))
        #expect(estimate.expected(bound: nil) > 0)
        #expect(estimate.expected(bound: Int.min) == 1)
    }
}
