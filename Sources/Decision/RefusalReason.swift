// SPDX-License-Identifier: Apache-2.0

public import Policy

/// Why a request is not served. One case is one status, one code in the error body, and one metric
/// label.
public enum RefusalReason: Hashable, Sendable, CaseIterable {
    case badRequest
    case invalidRequest
    case invalidAPIKey
    /// A tenant's key that is not good any more.
    case apiKeyExpired
    case apiKeyNotYetValid
    /// What looks like a token is not one that is believed.
    case invalidToken
    case tokenExpired
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
    /// A body is packed in a way that is not read.
    case unsupportedEncoding
    /// A body is not what `Content-Encoding` says.
    case damagedEncoding
    /// A body unpacks to too many times its size.
    case bodyTooDense
    /// Somebody's limit of this kind has no room at present.
    case limit(LimitKind)
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
            .requestExceedsLimit, .damagedEncoding:
            400
        case .invalidAPIKey, .apiKeyExpired, .apiKeyNotYetValid, .invalidToken, .tokenExpired: 401
        case .modelNotAllowed, .classNotAllowed: 403
        case .modelNotFound, .notFound: 404
        case .methodNotAllowed: 405
        case .requestTooLarge, .bodyTooDense: 413
        case .unsupportedEncoding: 415
        case .headerTooLarge: 431
        case .limit: 429
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
        case .apiKeyExpired: "api_key_expired"
        case .apiKeyNotYetValid: "api_key_not_yet_valid"
        case .invalidToken: "invalid_token"
        case .tokenExpired: "token_expired"
        case .modelNotAllowed: "model_not_allowed"
        case .classNotAllowed: "class_not_allowed"
        case .modelNotFound: "model_not_found"
        case .notFound: "not_found"
        case .methodNotAllowed: "method_not_allowed"
        case .requestTooLarge: "request_too_large"
        case .bodyTooDense: "request_too_dense"
        case .damagedEncoding: "invalid_content_encoding"
        case .unsupportedEncoding: "unsupported_content_encoding"
        case .contextLengthExceeded: "context_length_exceeded"
        case .requestExceedsLimit: "request_exceeds_limit"
        case .headerTooLarge: "header_too_large"
        case .limit(let kind): Self.codes[kind.index]
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

    private static let codes = LimitKind.allCases.map { "\($0.rawValue)_exceeded" }

    private static let before: [RefusalReason] = [
        .badRequest, .invalidRequest, .invalidAPIKey, .modelNotAllowed, .classNotAllowed,
        .unknownClass, .modelNotFound, .notFound, .methodNotAllowed, .requestTooLarge,
        .contextLengthExceeded, .requestExceedsLimit, .headerTooLarge, .unsupportedEncoding,
        .damagedEncoding, .bodyTooDense, .apiKeyExpired, .apiKeyNotYetValid,
        .invalidToken, .tokenExpired,
    ]
    private static let behind: [RefusalReason] = [
        .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
        .budgetStoreUnavailable, .gatewayOverloaded, .draining, .upstreamFailed, .deadlineExceeded,
        .ledgerUnavailable,
    ]
    public static let allCases = before + LimitKind.allCases.map { .limit($0) } + behind

    /// The place of this reason in tables, the same as in `allCases`.
    public var number: Int {
        if case .limit(let kind) = self { return Self.before.count + kind.index }
        if let place = Self.before.firstIndex(of: self) { return place }
        let place = Self.behind.firstIndex(of: self) ?? 0
        return Self.before.count + LimitKind.count + place
    }

    /// The `type` of the OpenAI error body (client-facing convention).
    public var errorType: String {
        switch self {
        case .modelNotAllowed, .classNotAllowed: "permission_error"
        case .limit(let kind): Self.type(of: kind)
        case .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .budgetStoreUnavailable, .ledgerUnavailable, .gatewayOverloaded, .draining:
            "service_unavailable_error"
        case .upstreamFailed: "server_error"
        case .deadlineExceeded: "timeout_error"
        default: "invalid_request_error"
        }
    }

    /// The `type` of the Anthropic error body, which its SDKs tell errors apart by.
    public var anthropicErrorType: String {
        switch self {
        case .invalidAPIKey, .apiKeyExpired, .apiKeyNotYetValid, .invalidToken, .tokenExpired:
            "authentication_error"
        case .modelNotAllowed, .classNotAllowed: "permission_error"
        case .modelNotFound, .notFound: "not_found_error"
        case .requestTooLarge, .bodyTooDense: "request_too_large"
        case .limit: "rate_limit_error"
        case .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .gatewayOverloaded, .draining:
            "overloaded_error"
        case .budgetStoreUnavailable, .ledgerUnavailable, .upstreamFailed: "api_error"
        case .deadlineExceeded: "timeout_error"
        default: "invalid_request_error"
        }
    }

    /// The `error_type` of the Text Generation Inference server.
    public var textGenerationErrorType: String {
        switch self {
        case .limit, .kvCachePressure, .queueFull, .queueWaitTooLong, .noHealthyEndpoint,
            .budgetStoreUnavailable, .ledgerUnavailable, .gatewayOverloaded, .draining:
            "overloaded"
        case .upstreamFailed, .deadlineExceeded: "generation"
        default: "validation"
        }
    }

    /// Refused although nothing is wrong with the request: a throttling decision, which operators
    /// see.
    public var isThrottle: Bool { status == 429 || status == 503 }

    /// Clients wait for what comes back within the hour, and take the rest for used up.
    private static func type(of kind: LimitKind) -> String {
        switch (kind.quantity, kind.window) {
        case (.cost, _), (_, .day), (_, .week), (_, .month): "insufficient_quota"
        case (.requests, _), (.concurrent, _): "requests"
        default: "tokens"
        }
    }
}
