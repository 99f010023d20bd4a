// SPDX-License-Identifier: Apache-2.0

import Estimation
import Testing
import Units

private let model = ModelID(0)

@Suite("OutputEstimate: what nine of ten answers do not exceed")
struct OutputShareTests {
    private enum Shape: CaseIterable {
        case even, short, twoSorts, growing

        func length(_ step: Int, _ random: inout SplitMix64) -> Int {
            let unit = random.unit()
            switch self {
            case .even: return 1 + Int(unit * 1_000)
            // Few are long: 1 / unit has no mean.
            case .short: return min(Int(20 / max(unit, 1e-4)), 20_000)
            case .twoSorts: return random.unit() < 0.8 ? 5 + Int(unit * 20) : 700 + Int(unit * 600)
            case .growing: return 50 + step / 10 + Int(unit * 200)
            }
        }
    }

    /// How many answers were within what was said before each of them.
    private func covered(_ shapes: [Shape], seed: UInt64, answers: Int = 6_000) -> Double {
        var estimate = OutputEstimate(limit: 100)
        var random = SplitMix64(seed: seed)
        var within = 0
        for step in 0..<answers {
            let tenant = TenantID(Int(random.next() % UInt64(shapes.count)))
            let length = shapes[tenant.index].length(step, &random)
            let high = estimate.high(model: model, tenant: tenant, bound: nil)
            if length <= high.count { within += 1 }
            estimate.learn(model: model, tenant: tenant, bound: nil, produced: Tokens(length))
        }
        return Double(within) / Double(answers)
    }

    @Test("so it is, whatever lengths are like", arguments: 0..<8 as Range<UInt64>)
    func covers(seed: UInt64) {
        for shape in Shape.allCases {
            let share = covered([shape], seed: seed)
            #expect((0.88...0.92).contains(share), "\(shape), seed \(seed): \(share)")
        }
        let mixed = covered(Shape.allCases, seed: seed)
        #expect((0.88...0.92).contains(mixed), "all, seed \(seed): \(mixed)")
    }

    @Test("before anything was learnt it is twice what is expected, and never over the bound")
    func unknown() {
        let estimate = OutputEstimate(limit: 10)
        let tenant = TenantID(0)
        #expect(estimate.high(model: model, tenant: tenant, bound: nil) == Tokens(512))
        #expect(estimate.high(model: model, tenant: tenant, bound: Tokens(300)) == Tokens(300))
        #expect(estimate.high(model: model, tenant: tenant, bound: Tokens(0)) == Tokens(1))
    }

    @Test("a tenant that was not heard of has its model's")
    func fallsBack() {
        var estimate = OutputEstimate(limit: 10)
        for _ in 0..<200 {
            estimate.learn(model: model, tenant: TenantID(1), bound: nil, produced: Tokens(40))
        }
        let high = estimate.high(model: model, tenant: TenantID(2), bound: nil)
        #expect((40...44).contains(high.count))
    }

    @Test("absurd lengths are harmless")
    func absurd() {
        var estimate = OutputEstimate(limit: 10)
        for length in [Int.max, Int.min, 0, 1 << 40] {
            estimate.learn(model: model, tenant: TenantID(0), bound: nil, produced: Tokens(length))
        }
        for _ in 0..<20 {
            estimate.learn(model: model, tenant: TenantID(0), bound: nil, produced: Tokens(3))
        }
        #expect(estimate.high(model: model, tenant: TenantID(0), bound: nil).count >= 3)
    }
}
