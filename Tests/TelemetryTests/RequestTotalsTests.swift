// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing
import Units

@Suite("RequestTotals")
struct RequestTotalsTests {
    private func record(
        tenant: Int = 0, trafficClass: Int = 0, model: Int = 0, outcome: Outcome = .completed,
        refusal: Int? = nil, input: Int = 0, output: Int = 0, cost: Double = 0
    ) -> RequestRecord {
        var record = RequestRecord(
            tenant: TenantID(tenant), trafficClass: ClassID(trafficClass), model: ModelID(model),
            pool: PoolID(0))
        record.outcome = outcome
        record.refusal = refusal
        record.input = Tokens(input)
        record.output = Tokens(output)
        record.cost = cost
        return record
    }

    private func counters(
        _ totals: RequestTotals, tenant: Int, trafficClass: Int = 0, model: Int = 0
    ) -> RequestCounters? {
        let labels = RequestLabels(
            tenant: TenantID(tenant), trafficClass: ClassID(trafficClass), model: ModelID(model))
        return totals.labels.firstIndex(of: labels).map { totals.counters[$0] }
    }

    @Test("each end counts under its own labels")
    func count() throws {
        var totals = RequestTotals(reasons: 4, limit: 10)
        totals.count(record(input: 100, output: 7, cost: 0.5))
        totals.count(record(input: 50, cost: 0.25))
        totals.count(record(tenant: 1, outcome: .refused, refusal: 3))
        totals.count(record(model: 2, outcome: .timedOut))
        let first = try #require(counters(totals, tenant: 0))
        #expect(first.outcomes[Outcome.completed.index] == 2)
        #expect(first.input == 150 && first.output == 7 && first.cost == 0.75)
        let refused = try #require(counters(totals, tenant: 1))
        #expect(refused.refusals == [0, 0, 0, 1])
        #expect(refused.outcomes[Outcome.refused.index] == 1)
        let other = try #require(counters(totals, tenant: 0, model: 2))
        #expect(other.outcomes[Outcome.timedOut.index] == 1)
        #expect(totals.labels.count == 3)
    }

    @Test("times are observed by class, and only where there are any")
    func times() {
        var totals = RequestTotals(reasons: 1, limit: 10)
        var record = record(trafficClass: 2)
        record.queueWait = .milliseconds(3)
        record.timeToFirstToken = .milliseconds(300)
        record.timePerOutputToken = .milliseconds(20)
        record.estimateRatio = 1.02
        record.overhead = .microseconds(80)
        totals.count(record)
        totals.count(self.record(trafficClass: 2))
        #expect(totals.histograms.count == 3)
        #expect(totals.histograms[0].queueWait.count == 0)
        #expect(totals.histograms[2].queueWait.sum == 0.003)
        #expect(totals.histograms[2].timeToFirstToken.sum == 0.3)
        #expect(totals.histograms[2].timePerOutputToken.sum == 0.02)
        #expect(totals.histograms[2].estimateRatio.sum == 1.02)
        #expect(totals.overhead.count == 1)
    }

    @Test("tenants past the limit are counted together, and as nobody else's")
    func limit() throws {
        var totals = RequestTotals(reasons: 1, limit: 2)
        for tenant in 0..<6 { totals.count(record(tenant: tenant, input: 10)) }
        totals.count(record(tenant: 9, model: 1, input: 1))
        // Who has a place keeps it.
        totals.count(record(tenant: 1, input: 5))
        #expect(counters(totals, tenant: 0)?.input == 10)
        #expect(counters(totals, tenant: 1)?.input == 15)
        #expect(counters(totals, tenant: 2) == nil)
        let others = RequestLabels.otherTenants.index
        #expect(counters(totals, tenant: others)?.input == 40)
        #expect(counters(totals, tenant: others, model: 1)?.input == 1)
        #expect(totals.labels.count == 4)
    }

    @Test("figures stay at the largest value rather than wrap or stop the process")
    func extremes() throws {
        var totals = RequestTotals(reasons: 1, limit: 2)
        for _ in 0..<3 { totals.count(record(input: Int.max, output: -5)) }
        let largest = try #require(counters(totals, tenant: 0))
        #expect(largest.input == UInt64.max)
        #expect(largest.output == 0)
        var other = totals
        other.add(totals)
        #expect(other.counters[0].input == UInt64.max)
    }

    @Test(
        "what several workers counted adds up to what one would have",
        arguments: 0..<20 as Range<UInt64>)
    func merge(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var workers = (0..<4).map { _ in RequestTotals(reasons: 5, limit: 1_000) }
        var all = RequestTotals(reasons: 5, limit: 1_000)
        for _ in 0..<500 {
            let outcome = Outcome.allCases[Int(random.next() % 5)]
            let record = record(
                tenant: Int(random.next() % 6), trafficClass: Int(random.next() % 3),
                model: Int(random.next() % 2), outcome: outcome,
                refusal: outcome == .refused ? Int(random.next() % 5) : nil,
                input: Int(random.next() % 1_000), output: Int(random.next() % 1_000),
                cost: Double(random.next() % 100))
            workers[Int(random.next() % 4)].count(record)
            all.count(record)
        }
        var merged = RequestTotals(reasons: 5, limit: 1_000)
        for worker in workers { merged.add(worker) }
        #expect(Set(merged.labels) == Set(all.labels))
        #expect(Set(merged.labels).count == merged.labels.count)
        for (place, labels) in all.labels.enumerated() {
            guard let other = merged.labels.firstIndex(of: labels) else { continue }
            let (expected, found) = (all.counters[place], merged.counters[other])
            #expect(found.refusals == expected.refusals)
            #expect(found.input == expected.input && found.output == expected.output)
            #expect(found.cost == expected.cost)
            for outcome in Outcome.allCases {
                #expect(found.outcomes[outcome.index] == expected.outcomes[outcome.index])
            }
        }
    }

    @Test("merging keeps within the limit, and the sums whole")
    func mergeLimit() {
        var merged = RequestTotals(reasons: 1, limit: 3)
        for worker in 0..<4 {
            var totals = RequestTotals(reasons: 1, limit: 3)
            for tenant in 0..<5 { totals.count(record(tenant: worker * 10 + tenant, input: 1)) }
            merged.add(totals)
        }
        #expect(merged.labels.count == 4)
        #expect(merged.counters.reduce(0) { $0 + $1.input } == 20)
    }

    @Test("labels are ordered by tenant, then class, then model")
    func order() {
        let labels = [(2, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0), (1, 9, 9)].map {
            RequestLabels(tenant: TenantID($0), trafficClass: ClassID($1), model: ModelID($2))
        }
        let ordered = labels.sorted().map {
            [$0.tenant.index, $0.trafficClass.index, $0.model.index]
        }
        #expect(ordered == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 9, 9], [2, 0, 0]])
        #expect(labels.allSatisfy { $0.tenant < RequestLabels.otherTenants })
    }

    @Test("outcomes have the places of their order")
    func outcomes() {
        #expect(Outcome.allCases.map(\.index) == Array(0..<5))
        let names = Outcome.allCases.map(\.rawValue)
        #expect(names == ["completed", "refused", "client_left", "engine_failed", "timed_out"])
    }

    @Test("a worker's snapshot does not change with what it counts afterwards")
    func snapshot() {
        let metrics = RequestMetrics(reasons: 1, limit: 4)
        metrics.count(record(input: 3))
        let snapshot = metrics.snapshot()
        metrics.count(record(input: 4))
        #expect(snapshot.counters[0].input == 3)
        #expect(metrics.snapshot().counters[0].input == 7)
    }
}
