// SPDX-License-Identifier: Apache-2.0

import Scheduling
import Testing
import Units

private func tenant(_ place: Int) -> TenantID { TenantID(place) }

extension FairShare {
    fileprivate var turns: [Int] {
        var turns: [Int] = []
        each { tenant in
            turns.append(tenant.index)
            return true
        }
        return turns
    }

    fileprivate init(_ weights: [Double]) {
        self.init()
        configure(weights: weights)
    }
}

@Suite("FairShare")
struct FairShareTests {
    @Test("who was served least by its weight goes first")
    func least() {
        var fair = FairShare([1, 2])
        #expect(fair.first == nil && fair.waiting == 0)
        fair.waits(tenant(0))
        fair.waits(tenant(1))
        #expect(fair.turns == [0, 1])
        fair.dispatch(tenant(0), cost: 100)
        #expect(fair.turns == [1, 0])
        fair.dispatch(tenant(1), cost: 150)
        #expect(fair.turns == [1, 0])
        fair.charge(tenant(1), cost: 51)
        #expect(fair.turns == [0, 1])
        fair.charge(tenant(1), cost: -51)
        #expect(fair.turns == [1, 0])
        fair.rests(tenant(1))
        #expect(fair.turns == [0] && fair.first == tenant(0))
        #expect(fair.weight == 1)
    }

    @Test("idling saves nothing up")
    func lifted() {
        var fair = FairShare([1, 1, 1])
        fair.waits(tenant(0))
        fair.dispatch(tenant(0), cost: 1_000)
        fair.waits(tenant(1))
        #expect(fair.counter(of: tenant(1)) == fair.counter(of: tenant(0)))
        fair.rests(tenant(0))
        fair.rests(tenant(1))
        fair.dispatch(tenant(0), cost: 500)
        // Nobody waits: whoever had the last turn began it at 1,000.
        fair.lift(tenant(2))
        #expect(fair.counter(of: tenant(2)) == 1_000 * FairShare.unit)
    }

    @Test("what is charged and given back is the same to the last digit")
    func exact() {
        var fair = FairShare([0.3, 7, 1_000, 0.001])
        var random = SplitMix64(seed: 1)
        for place in 0..<4 {
            var open: [Int] = []
            for _ in 0..<10_000 {
                let cost = Int(random.next() % 100_000)
                fair.charge(tenant(place), cost: cost)
                open.append(cost)
            }
            while let cost = open.popLast() { fair.charge(tenant(place), cost: -cost) }
            #expect(fair.counter(of: tenant(place)) == 0)
        }
    }

    @Test("counters that grow without end keep their differences")
    func growth() {
        var fair = FairShare([0.001, 0.001])
        fair.waits(tenant(0))
        fair.waits(tenant(1))
        for _ in 0..<2_000 {
            for place in 0..<2 { fair.dispatch(tenant(place), cost: 1 << 34) }
        }
        fair.dispatch(tenant(0), cost: 1)
        let difference = fair.counter(of: tenant(0)) - fair.counter(of: tenant(1))
        #expect(difference == 65_536_000)
        #expect(fair.turns == [1, 0])
    }

    /// Over any interval in which all wait, services by weight differ by two turns at most.
    @Test("weights hold over any interval in which all wait", arguments: 0..<20 as Range<UInt64>)
    func weights(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let weights = (0..<5).map { _ in Double(1 + random.next() % 8) }
        var fair = FairShare(weights)
        for place in weights.indices { fair.waits(tenant(place)) }
        var served = [Double](repeating: 0, count: weights.count)
        let most = 1_000.0
        var lowest = 0.0
        var highest = 0.0
        for _ in 0..<5_000 {
            let next = try #require(fair.first)
            let cost = 1 + Int(random.next() % UInt64(most))
            // Half at first, the rest as it appears.
            fair.dispatch(next, cost: cost / 2)
            fair.charge(next, cost: cost - cost / 2)
            served[next.index] += Double(cost) / weights[next.index]
            let gap = served[0] - served[1]
            lowest = min(lowest, gap)
            highest = max(highest, gap)
            let spread = (served.max() ?? 0) - (served.min() ?? 0)
            #expect(spread <= most + 1)
        }
        #expect(highest - lowest <= 2 * most + 1)
    }

    @Test("it behaves like a sorted array", arguments: 0..<20 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var fair = FairShare([Double](repeating: 1, count: 12))
        var waiting: Set<Int> = []
        for _ in 0..<1_000 {
            let place = Int(random.next() % 12)
            let before = waiting.map { fair.counter(of: tenant($0)) }.min()
            switch random.next() % 4 {
            case 0:
                fair.waits(tenant(place))
                waiting.insert(place)
                if let before { #expect(fair.counter(of: tenant(place)) >= before) }
            case 1:
                fair.rests(tenant(place))
                waiting.remove(place)
            case 2: fair.dispatch(tenant(place), cost: Int(random.next() % 100))
            default: fair.charge(tenant(place), cost: Int(random.next() % 60) - 30)
            }
            let expected = waiting.sorted {
                (fair.counter(of: tenant($0)), $0) < (fair.counter(of: tenant($1)), $1)
            }
            #expect(fair.turns == expected)
            #expect(fair.waiting == expected.count && fair.weight == Double(expected.count))
        }
    }
}
