// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

/// What holds on every history. A failing seed repeats itself.
@Suite("Budget properties")
struct BudgetProperties {
    /// A request that was admitted, and what it is counted with.
    private struct Admitted {
        let id: ReservationID
        let at: Int64
        let reserved: Int
        /// Until its settlement what it reserved; then what it used, at most that.
        var counted: Int
        var isOpen = true
    }

    @Test(
        "over any time, requests use at most limit × (1 + t ÷ 60 s)",
        arguments: 0..<60 as Range<UInt64>)
    func bound(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let limit = 1 + Int(random.next() % 5_000)
        var budget = Fixture([.tokensPerMinute: Double(limit)], lease: .seconds(100_000))
        var admitted: [Admitted] = []
        var now: Int64 = 0
        // Some seeds hurry, so that reservations live less than a minute, and some dawdle.
        let pace = 10_000 + random.next() % 4_000_000
        for _ in 0..<400 {
            now += Int64(random.next() % pace)
            if random.next() % 3 != 0 {
                let size = Int(random.next() % UInt64(limit)) / (1 + Int(random.next() % 8))
                let (outcome, id) = budget.reserve(tokens(size), at: now)
                if outcome.isReserved {
                    admitted.append(Admitted(id: id, at: now, reserved: size, counted: size))
                }
            } else if let place = open(admitted, &random) {
                let actual = Int(random.next() % UInt64(admitted[place].reserved + 1))
                budget.settle(admitted[place].id, .used(tokens(actual)), at: now)
                admitted[place].counted = actual
                admitted[place].isOpen = false
            }
        }
        // Every window that begins and ends with an admission.
        for first in admitted.indices {
            var sum = 0.0
            for last in first..<admitted.count {
                sum += Double(admitted[last].counted)
                let span = Double(admitted[last].at - admitted[first].at)
                let most = Double(limit) * (1 + span / 60e6)
                if sum > most * (1 + 1e-9) {
                    Issue.record("seed \(seed): \(sum) over \(most), \(first)...\(last)")
                    return
                }
            }
        }
    }

    @Test(
        "a refused request is admitted after the wait and not a millisecond before",
        arguments: 0..<200 as Range<UInt64>)
    func exactWait(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        // Nobody knows when a concurrent request ends.
        var rates = rates(&random)
        rates[.concurrentRequests] = nil
        var budget = Fixture(rates)
        var open: [ReservationID] = []
        var now = Int64(random.next() % 2_592_000_000_000)
        var refused = 0
        for _ in 0..<200 {
            now += Int64(random.next() % 3_000_000)
            let demand = demand(&random)
            let (outcome, id) = budget.reserve(demand, at: now)
            switch outcome {
            case .reserved: open.append(id)
            case .refused(let refusal):
                refused += 1
                let wait = refusal.wait.nanoseconds / 1_000
                #expect(wait > 0)
                var later = budget
                #expect(later.reserve(demand, at: now + wait).0.isReserved, "seed \(seed)")
                var early = budget
                let before = early.reserve(demand, at: now + max(0, wait - 1_000)).0
                #expect(!before.isReserved, "seed \(seed)")
            default: break
            }
            if random.next() % 4 == 0, !open.isEmpty {
                let id = open.remove(at: Int(random.next() % UInt64(open.count)))
                budget.settle(id, .used(self.demand(&random)), at: now)
            }
        }
        #expect(refused > 0)
    }

    @Test("refused and impossible requests change nothing", arguments: 0..<100 as Range<UInt64>)
    func allOrNothing(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var budget = Fixture(rates(&random))
        var now: Int64 = 0
        for _ in 0..<200 {
            now += Int64(random.next() % 1_000_000)
            let before = budget.standing(at: now)
            let (outcome, id) = budget.reserve(demand(&random), at: now)
            let after = budget.standing(at: now)
            switch outcome {
            case .reserved(let snapshot):
                #expect(snapshot == after)
                if random.next() % 2 == 0 { budget.settle(id, .nothing, at: now) }
            case .refused(let refusal):
                #expect(before == after)
                #expect(refusal.snapshot == before)
            default: #expect(before == after)
            }
        }
    }

    @Test("open reservations and settled ones always add up", arguments: 0..<50 as Range<UInt64>)
    func bookkeeping(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var budget = Fixture([.concurrentRequests: 20, .tokensPerDay: 1e9], lease: .seconds(5))
        var open: [(ReservationID, leaseEnd: Int64, size: Int)] = []
        var settled = 0
        var now: Int64 = 0
        for _ in 0..<500 {
            now += Int64(random.next() % 500_000)
            switch random.next() % 5 {
            case 0...2:
                let size = Int(random.next() % 1_000)
                let (outcome, id) = budget.reserve(tokens(size), at: now)
                #expect(outcome.isReserved == (leased(open, now) < 20))
                if outcome.isReserved { open.append((id, now + seconds(5), size)) }
            case 3 where !open.isEmpty:
                let gone = open.remove(at: Int(random.next() % UInt64(open.count)))
                #expect(budget.settle(gone.0, .used(tokens(gone.size / 2)), at: now) == .done)
                settled += gone.size / 2
            case 4 where !open.isEmpty:
                let place = Int(random.next() % UInt64(open.count))
                open[place].leaseEnd = now + seconds(5)
                let outcome = budget.budgets.renew(
                    open[place].0, limits: budget.limits, wall: Fixture.wall(now))
                #expect(outcome == .done)
            default: break
            }
            #expect(budget.budgets.openCount == open.count)
            #expect(Int(budget.used(.concurrentRequests, at: now)) == leased(open, now))
            // What has lapsed has returned.
            let held = open.filter { $0.leaseEnd > now }
            let expected = settled + held.reduce(0) { $0 + $1.size }
            #expect(Int(budget.used(.tokensPerDay, at: now)) == expected)
        }
    }

    @Test(
        "of many open reservations each is found again, in any order",
        arguments: 0..<4 as Range<UInt64>)
    func manyOpen(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var budget = Fixture([.concurrentRequests: 1e6], maxReservations: 20_000)
        var open: [ReservationID] = []
        for step in 0..<12_000 {
            if random.next() % 3 != 0 || open.isEmpty {
                // Some names are one worker's in a row, some of no order at all.
                let id =
                    random.next() % 4 == 0
                    ? ReservationID(nonce: random.next(), number: random.next() % 4)
                    : budget.naming.next()
                #expect(budget.reserve(id, tokens(1), at: Int64(step)).isReserved)
                open.append(id)
            } else {
                let id = open.remove(at: Int(random.next() % UInt64(open.count)))
                #expect(budget.settle(id, .nothing, at: Int64(step)) == .done)
                #expect(budget.settle(id, .nothing, at: Int64(step)) == .unknown)
            }
        }
        #expect(budget.budgets.openCount == open.count)
        for id in open { #expect(budget.settle(id, .nothing, at: 12_000) == .done) }
        #expect(budget.budgets.openCount == 0)
        #expect(budget.used(.concurrentRequests, at: 12_000) == 0)
    }

    private func leased(
        _ open: [(ReservationID, leaseEnd: Int64, size: Int)], _ now: Int64
    ) -> Int {
        open.count { $0.leaseEnd > now }
    }

    private func open(_ admitted: [Admitted], _ random: inout SplitMix64) -> Int? {
        let open = admitted.indices.filter { admitted[$0].isOpen }
        return open.isEmpty ? nil : open[Int(random.next() % UInt64(open.count))]
    }

    private func rates(_ random: inout SplitMix64) -> [LimitKind: Double] {
        var rates: [LimitKind: Double] = [:]
        for kind in usualKinds where random.next() % 2 == 0 {
            rates[kind] =
                switch kind {
                case .concurrentRequests: Double(1 + random.next() % 40)
                case .requestsPerMinute: Double(1 + random.next() % 100)
                case .costPerMonth: random.unit() * 20 + 0.5
                default: Double(500 + random.next() % 20_000)
                }
        }
        rates[.tokensPerMinute] = Double(500 + random.next() % 4_000)
        return rates
    }

    private func demand(_ random: inout SplitMix64) -> Demand {
        tokens(
            Int(random.next() % 400), Int(random.next() % 300), cost: random.unit() / 4)
    }
}
