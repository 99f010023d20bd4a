// SPDX-License-Identifier: Apache-2.0

import Synchronization
package import Units

/// How a request ended, as the metrics name it.
package enum Outcome: String, Sendable, CaseIterable {
    case completed, refused
    case clientLeft = "client_left"
    case engineFailed = "engine_failed"
    case timedOut = "timed_out"

    package var index: Int {
        switch self {
        case .completed: 0
        case .refused: 1
        case .clientLeft: 2
        case .engineFailed: 3
        case .timedOut: 4
        }
    }
}

/// What one request's end adds to the metrics.
package struct RequestRecord: Sendable {
    package var tenant: TenantID
    package var trafficClass: ClassID
    package var model: ModelID
    package var pool: PoolID
    package var outcome = Outcome.completed
    /// The dense number of the refusal's reason.
    package var refusal: Int?
    package var input = Tokens.zero
    package var cachedInput = Tokens.zero
    package var output = Tokens.zero
    package var cost = 0.0
    package var queueWait: Duration?
    package var timeToFirstToken: Duration?
    package var timePerOutputToken: Duration?
    package var overhead: Duration?
    /// Estimated over reported prompt tokens.
    package var estimateRatio: Double?

    package init(tenant: TenantID, trafficClass: ClassID, model: ModelID, pool: PoolID) {
        self.tenant = tenant
        self.trafficClass = trafficClass
        self.model = model
        self.pool = pool
    }
}

/// What a set of counters is kept for.
package struct RequestLabels: Hashable, Sendable, Comparable {
    package let tenant: TenantID
    package let trafficClass: ClassID
    package let model: ModelID

    package static func < (left: RequestLabels, right: RequestLabels) -> Bool {
        (left.tenant, left.trafficClass, left.model)
            < (right.tenant, right.trafficClass, right.model)
    }
}

/// The counters of one set of labels.
package struct RequestCounters: Sendable {
    /// By `Outcome.index`.
    package var outcomes: [5 of UInt64] = [0, 0, 0, 0, 0]
    /// By dense number of the reason.
    package var refusals: [UInt64]
    package var input: UInt64 = 0
    package var cachedInput: UInt64 = 0
    package var output: UInt64 = 0
    package var cost = 0.0

    init(reasons: Int) { refusals = Array(repeating: 0, count: reasons) }

    mutating func add(_ other: RequestCounters) {
        for place in 0..<5 { outcomes[place] += other.outcomes[place] }
        for place in refusals.indices { refusals[place] += other.refusals[place] }
        input += other.input
        cachedInput += other.cachedInput
        output += other.output
        cost += other.cost
    }
}

/// The histograms of one class.
package struct RequestHistograms: Sendable {
    package var queueWait = Histogram(bounds: Histogram.waits)
    package var timeToFirstToken = Histogram(bounds: Histogram.waits)
    package var timePerOutputToken = Histogram(bounds: Histogram.steps)
    package var estimateRatio = Histogram(bounds: Histogram.ratios)

    mutating func add(_ other: RequestHistograms) {
        queueWait.add(other.queueWait)
        timeToFirstToken.add(other.timeToFirstToken)
        timePerOutputToken.add(other.timePerOutputToken)
        estimateRatio.add(other.estimateRatio)
    }
}

/// Everything that one worker has counted.
package struct RequestTotals: Sendable {
    /// Ordered by labels only when read; written by position.
    package var places: [RequestLabels: Int] = [:]
    package var labels: [RequestLabels] = []
    package var counters: [RequestCounters] = []
    /// By class.
    package var histograms: [RequestHistograms] = []
    package var overhead = Histogram(bounds: Histogram.overheads)
    private let reasons: Int
    /// Different label sets kept; what comes later is counted under the last.
    private let limit: Int

    package init(reasons: Int, limit: Int) {
        self.reasons = reasons
        self.limit = max(1, limit)
    }

    package mutating func count(_ record: RequestRecord) {
        let place = self.place(
            RequestLabels(
                tenant: record.tenant, trafficClass: record.trafficClass, model: record.model))
        counters[place].outcomes[record.outcome.index] += 1
        if let refusal = record.refusal { counters[place].refusals[refusal] += 1 }
        counters[place].input += UInt64(record.input.count)
        counters[place].cachedInput += UInt64(record.cachedInput.count)
        counters[place].output += UInt64(record.output.count)
        counters[place].cost += record.cost
        let place2 = record.trafficClass.index
        while histograms.count <= place2 { histograms.append(RequestHistograms()) }
        if let wait = record.queueWait { histograms[place2].queueWait.observe(wait.seconds) }
        if let first = record.timeToFirstToken {
            histograms[place2].timeToFirstToken.observe(first.seconds)
        }
        if let step = record.timePerOutputToken {
            histograms[place2].timePerOutputToken.observe(step.seconds)
        }
        if let ratio = record.estimateRatio { histograms[place2].estimateRatio.observe(ratio) }
        if let overhead = record.overhead { self.overhead.observe(overhead.seconds) }
    }

    package mutating func add(_ other: RequestTotals) {
        for (place, labels) in other.labels.enumerated() {
            counters[self.place(labels)].add(other.counters[place])
        }
        while histograms.count < other.histograms.count { histograms.append(RequestHistograms()) }
        for place in other.histograms.indices { histograms[place].add(other.histograms[place]) }
        overhead.add(other.overhead)
    }

    private mutating func place(_ labels: RequestLabels) -> Int {
        if let place = places[labels] { return place }
        if self.labels.count >= limit { return self.labels.count - 1 }
        places[labels] = self.labels.count
        self.labels.append(labels)
        counters.append(RequestCounters(reasons: reasons))
        return self.labels.count - 1
    }
}

/// One worker's totals: it writes them once per request, a scrape copies them.
package final class RequestMetrics: Sendable {
    private let totals: Mutex<RequestTotals>

    package init(reasons: Int, limit: Int) {
        totals = Mutex(RequestTotals(reasons: reasons, limit: limit))
    }

    package func count(_ record: RequestRecord) {
        totals.withLock { $0.count(record) }
    }

    package func snapshot() -> RequestTotals { totals.withLock { $0 } }
}
