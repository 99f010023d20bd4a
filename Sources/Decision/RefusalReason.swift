// SPDX-License-Identifier: Apache-2.0

/// Why a request is not served. One case is one status, one code in the error body, and one metric
/// label.
public enum RefusalReason: Int, Sendable, CaseIterable {
    case badRequest
    case invalidRequest
    case invalidAPIKey
    case modelNotAllowed
    case classNotAllowed
    case unknownClass
    case modelNotFound
    case notFound
    case methodNotAllowed
    case requestTooLarge
    case contextLengthExceeded
    case requestExceedsLimit
    case headerTooLarge
    case tokensPerMinute
    case inputTokensPerMinute
    case outputTokensPerMinute
    case requestsPerMinute
    case concurrentRequests
    case tokensPerDay
    case costPerMonth
    case kvCachePressure
    case queueFull
    case queueWaitTooLong
    case noHealthyEndpoint
    case budgetStoreUnavailable
    case ledgerUnavailable
    case gatewayOverloaded
    case draining
    case upstreamFailed
    case deadlineExceeded

    /// The HTTP status of the answer.
    public var status: Int {
        switch self {
        case .badRequest, .invalidRequest, .unknownClass, .contextLengthExceeded,
            .requestExceedsLimit:
            400
        case .invalidAPIKey: 401
        case .modelNotAllowed, .classNotAllowed: 403
        case .modelNotFound, .notFound: 404
        case .methodNotAllowed: 405
        case .requestTooLarge: 413
        case .headerTooLarge: 431
        case .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute,
            .requestsPerMinute, .concurrentRequests, .tokensPerDay, .costPerMonth:
            429
        case .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .budgetStoreUnavailable, .ledgerUnavailable, .gatewayOverloaded, .draining:
            503
        case .upstreamFailed: 502
        case .deadlineExceeded: 504
        }
    }

    /// The error code in the answer's body, and the label of the metrics.
    public var code: String {
        switch self {
        case .badRequest: "bad_request"
        case .invalidRequest, .unknownClass: "invalid_request"
        case .invalidAPIKey: "invalid_api_key"
        case .modelNotAllowed: "model_not_allowed"
        case .classNotAllowed: "class_not_allowed"
        case .modelNotFound: "model_not_found"
        case .notFound: "not_found"
        case .methodNotAllowed: "method_not_allowed"
        case .requestTooLarge: "request_too_large"
        case .contextLengthExceeded: "context_length_exceeded"
        case .requestExceedsLimit: "request_exceeds_limit"
        case .headerTooLarge: "header_too_large"
        case .tokensPerMinute: "tokens_per_minute_exceeded"
        case .inputTokensPerMinute: "input_tokens_per_minute_exceeded"
        case .outputTokensPerMinute: "output_tokens_per_minute_exceeded"
        case .requestsPerMinute: "requests_per_minute_exceeded"
        case .concurrentRequests: "concurrent_requests_exceeded"
        case .tokensPerDay: "tokens_per_day_exceeded"
        case .costPerMonth: "cost_per_month_exceeded"
        case .kvCachePressure: "kv_cache_pressure"
        case .queueFull: "queue_full"
        case .queueWaitTooLong: "queue_wait_too_long"
        case .noHealthyEndpoint: "no_healthy_endpoint"
        case .budgetStoreUnavailable: "budget_store_unavailable"
        case .ledgerUnavailable: "ledger_unavailable"
        case .gatewayOverloaded: "gateway_overloaded"
        case .draining: "draining"
        case .upstreamFailed: "upstream_failed"
        case .deadlineExceeded: "deadline_exceeded"
        }
    }

    /// The place of this reason in tables, the same as in `allCases`.
    public var number: Int { rawValue }

    /// The `type` of the OpenAI error body (client-facing convention).
    public var errorType: String {
        switch self {
        case .modelNotAllowed, .classNotAllowed: "permission_error"
        case .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute: "tokens"
        case .requestsPerMinute, .concurrentRequests: "requests"
        case .tokensPerDay, .costPerMonth: "insufficient_quota"
        case .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .budgetStoreUnavailable, .ledgerUnavailable, .gatewayOverloaded, .draining:
            "service_unavailable_error"
        case .upstreamFailed: "server_error"
        case .deadlineExceeded: "timeout_error"
        default: "invalid_request_error"
        }
    }

    /// Refused although nothing is wrong with the request: a throttling decision, which operators
    /// see.
    public var isThrottle: Bool { status == 429 || status == 503 }
}
