// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a set of counters is kept for.
public struct RequestLabels: Hashable, Sendable, Comparable {
    /// Stands for all tenants that found no place: no policy has a tenant of this place.
    public static let otherTenants = TenantID(Int(UInt32.max))
    /// Stands for the model of a request that was refused before it was known: no policy has a
    /// model of this place.
    public static let noModel = ModelID(Int(UInt32.max))

    /// Whose requests, or `otherTenants`.
    public let tenant: TenantID
    /// The class that they were served in.
    public let trafficClass: ClassID
    /// The model that they asked for, or `noModel`.
    public let model: ModelID

    /// Of three, each by its place in the policy.
    public init(tenant: TenantID, trafficClass: ClassID, model: ModelID) {
        self.tenant = tenant
        self.trafficClass = trafficClass
        self.model = model
    }

    /// By tenant, then class, then model.
    public static func < (left: RequestLabels, right: RequestLabels) -> Bool {
        (left.tenant, left.trafficClass, left.model)
            < (right.tenant, right.trafficClass, right.model)
    }
}

/// The counters of one set of labels. They stay at their largest value rather than wrap: what
/// engines report is summed here.
public struct RequestCounters: Sendable {
    /// By `Outcome.index`.
    public private(set) var outcomes: [5 of UInt64] = [0, 0, 0, 0, 0]
    /// By dense number of the reason.
    public private(set) var refusals: [UInt64]
    /// Prompt tokens, cached ones included.
    public private(set) var input: UInt64 = 0
    /// Of these, those that the engine had in its cache.
    public private(set) var cachedInput: UInt64 = 0
    /// Generated tokens.
    public private(set) var output: UInt64 = 0
    /// In the model's currency.
    public private(set) var cost = 0.0

    init(reasons: Int) { refusals = Array(repeating: 0, count: reasons) }

    mutating func count(_ record: RequestRecord) {
        outcomes[record.outcome.index] += 1
        if let refusal = record.refusal { refusals[refusal] += 1 }
        Self.add(record.input, to: &input)
        Self.add(record.cachedInput, to: &cachedInput)
        Self.add(record.output, to: &output)
        cost += record.cost
    }

    private static func add(_ tokens: Tokens, to sum: inout UInt64) {
        add(UInt64(max(0, tokens.count)), to: &sum)
    }

    private static func add(_ more: UInt64, to sum: inout UInt64) {
        let (total, isOver) = sum.addingReportingOverflow(more)
        sum = isOver ? .max : total
    }

    mutating func add(_ other: RequestCounters) {
        for place in outcomes.indices { outcomes[place] += other.outcomes[place] }
        for place in refusals.indices { refusals[place] += other.refusals[place] }
        Self.add(other.input, to: &input)
        Self.add(other.cachedInput, to: &cachedInput)
        Self.add(other.output, to: &output)
        cost += other.cost
    }
}

/// The histograms of one class.
public struct RequestHistograms: Sendable {
    /// Seconds until it was forwarded.
    public private(set) var queueWait = Histogram(bounds: Histogram.waits)
    /// Seconds to the first token of a stream.
    public private(set) var timeToFirstToken = Histogram(bounds: Histogram.waits)
    /// Mean seconds between the tokens of a stream.
    public private(set) var timePerOutputToken = Histogram(bounds: Histogram.steps)
    /// Estimated over reported prompt tokens.
    public private(set) var estimateRatio = Histogram(bounds: Histogram.ratios)

    mutating func count(_ record: RequestRecord) {
        if let wait = record.queueWait { queueWait.observe(wait.seconds) }
        if let first = record.timeToFirstToken { timeToFirstToken.observe(first.seconds) }
        if let step = record.timePerOutputToken { timePerOutputToken.observe(step.seconds) }
        if let ratio = record.estimateRatio { estimateRatio.observe(ratio) }
    }

    mutating func add(_ other: RequestHistograms) {
        queueWait.add(other.queueWait)
        timeToFirstToken.add(other.timeToFirstToken)
        timePerOutputToken.add(other.timePerOutputToken)
        estimateRatio.add(other.estimateRatio)
    }
}

/// Everything that one worker has counted.
///
/// Sets of labels are bounded: when there is no place for one more tenant, its requests are counted
/// under `RequestLabels.otherTenants`, class and model as they are. So no tenant's figures ever
/// hold another's, and the sums over all stay right.
public struct RequestTotals: Sendable {
    /// In the order in which they first occurred; `counters` stand at the same places.
    public private(set) var labels: [RequestLabels] = []
    /// Of the labels at the same places.
    public private(set) var counters: [RequestCounters] = []
    /// By class.
    public private(set) var histograms: [RequestHistograms] = []
    /// Of all requests.
    public private(set) var overhead = Histogram(bounds: Histogram.overheads)
    /// Only ever asked for one set; nothing depends on its order.
    private var places: [RequestLabels: Int] = [:]
    /// Where the last request was counted: often the next one is like it.
    private var last = 0
    private let reasons: Int
    private let limit: Int

    /// `reasons`: how many reasons of refusal there are. `limit`: sets of labels kept for named
    /// tenants.
    public init(reasons: Int, limit: Int) {
        self.reasons = reasons
        self.limit = max(1, limit)
    }

    /// Counts the end of one request.
    public mutating func count(_ record: RequestRecord) {
        let labels = RequestLabels(
            tenant: record.tenant, trafficClass: record.trafficClass, model: record.model)
        if last >= self.labels.count || self.labels[last] != labels { last = place(labels) }
        counters[last].count(record)
        let trafficClass = record.trafficClass.index
        while histograms.count <= trafficClass { histograms.append(RequestHistograms()) }
        histograms[trafficClass].count(record)
        if let overhead = record.overhead { self.overhead.observe(overhead.seconds) }
    }

    /// Adds what another worker has counted, for the same reasons.
    public mutating func add(_ other: RequestTotals) {
        for (place, labels) in other.labels.enumerated() {
            counters[self.place(labels)].add(other.counters[place])
        }
        while histograms.count < other.histograms.count { histograms.append(RequestHistograms()) }
        for place in other.histograms.indices { histograms[place].add(other.histograms[place]) }
        overhead.add(other.overhead)
    }

    private mutating func place(_ wanted: RequestLabels) -> Int {
        if let place = places[wanted] { return place }
        var labels = wanted
        if self.labels.count >= limit {
            labels = RequestLabels(
                tenant: RequestLabels.otherTenants, trafficClass: wanted.trafficClass,
                model: wanted.model)
            if let place = places[labels] { return place }
        }
        places[labels] = self.labels.count
        self.labels.append(labels)
        counters.append(RequestCounters(reasons: reasons))
        return self.labels.count - 1
    }
}
