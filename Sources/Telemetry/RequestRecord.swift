// SPDX-License-Identifier: Apache-2.0

public import Units

/// How a request ended, as the metrics name it.
public enum Outcome: String, Sendable, CaseIterable {
    case completed
    case refused
    case clientLeft = "client_left"
    case engineFailed = "engine_failed"
    case timedOut = "timed_out"

    /// Its place in tables, the same as in `allCases`.
    public var index: Int {
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
public struct RequestRecord: Sendable {
    /// Whose request it was.
    public var tenant: TenantID
    /// The class that it was served in.
    public var trafficClass: ClassID
    /// The model that it asked for, or `RequestLabels.noModel`.
    public var model: ModelID
    /// The pool of its class.
    public var pool: PoolID
    /// How it ended.
    public var outcome = Outcome.completed
    /// The dense number of the refusal's reason.
    public var refusal: Int?
    /// Prompt tokens, cached ones included.
    public var input = Tokens.zero
    /// Of the prompt tokens, those that the engine had in its cache.
    public var cachedInput = Tokens.zero
    /// Generated tokens, all choices.
    public var output = Tokens.zero
    /// In the model's currency.
    public var cost = 0.0
    /// Until it was forwarded; nil when it never was, as with the times below.
    public var queueWait: Duration?
    /// From its head to the first token of a stream.
    public var timeToFirstToken: Duration?
    /// Mean time between the tokens of a stream.
    public var timePerOutputToken: Duration?
    /// The gateway's own share of the time.
    public var overhead: Duration?
    /// Estimated over reported prompt tokens.
    public var estimateRatio: Double?

    /// A completed request that used nothing.
    public init(tenant: TenantID, trafficClass: ClassID, model: ModelID, pool: PoolID) {
        self.tenant = tenant
        self.trafficClass = trafficClass
        self.model = model
        self.pool = pool
    }
}
