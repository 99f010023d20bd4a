// SPDX-License-Identifier: Apache-2.0

package import Units

/// How a request ended, as the metrics name it.
package enum Outcome: String, Sendable, CaseIterable {
    case completed
    case refused
    case clientLeft = "client_left"
    case engineFailed = "engine_failed"
    case timedOut = "timed_out"

    /// Its place in tables, the same as in `allCases`.
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
    /// Whose request it was.
    package var tenant: TenantID
    /// The class that it was served in.
    package var trafficClass: ClassID
    /// The model that it asked for, or `RequestLabels.noModel`.
    package var model: ModelID
    /// The pool of its class.
    package var pool: PoolID
    /// How it ended.
    package var outcome = Outcome.completed
    /// The dense number of the refusal's reason.
    package var refusal: Int?
    /// Prompt tokens, cached ones included.
    package var input = Tokens.zero
    /// Of the prompt tokens, those that the engine had in its cache.
    package var cachedInput = Tokens.zero
    /// Generated tokens, all choices.
    package var output = Tokens.zero
    /// In the model's currency.
    package var cost = 0.0
    /// Until it was forwarded; nil when it never was, as with the times below.
    package var queueWait: Duration?
    /// From its head to the first token of a stream.
    package var timeToFirstToken: Duration?
    /// Mean time between the tokens of a stream.
    package var timePerOutputToken: Duration?
    /// The gateway's own share of the time.
    package var overhead: Duration?
    /// Estimated over reported prompt tokens.
    package var estimateRatio: Double?

    /// A completed request that used nothing.
    package init(tenant: TenantID, trafficClass: ClassID, model: ModelID, pool: PoolID) {
        self.tenant = tenant
        self.trafficClass = trafficClass
        self.model = model
        self.pool = pool
    }
}
