// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Testing

@Suite("Refusals")
struct RefusalTests {
    @Test("reasons are numbered as they stand")
    func numbers() {
        #expect(
            RefusalReason.allCases.map(\.number) == Array(0..<RefusalReason.allCases.count))
    }

    @Test("no two reasons share a code, but for the unknown class")
    func codes() {
        let named = RefusalReason.allCases.filter { $0 != .unknownClass }
        #expect(Set(named.map(\.code)).count == named.count)
        #expect(RefusalReason.unknownClass.code == "invalid_request")
    }

    @Test(
        "a reason has its status, its code and its type",
        arguments: [
            (RefusalReason.badRequest, 400, "bad_request", "invalid_request_error"),
            (.invalidRequest, 400, "invalid_request", "invalid_request_error"),
            (.invalidAPIKey, 401, "invalid_api_key", "invalid_request_error"),
            (.apiKeyExpired, 401, "api_key_expired", "invalid_request_error"),
            (.apiKeyNotYetValid, 401, "api_key_not_yet_valid", "invalid_request_error"),
            (.invalidToken, 401, "invalid_token", "invalid_request_error"),
            (.tokenExpired, 401, "token_expired", "invalid_request_error"),
            (.modelNotAllowed, 403, "model_not_allowed", "permission_error"),
            (.classNotAllowed, 403, "class_not_allowed", "permission_error"),
            (.unknownClass, 400, "invalid_request", "invalid_request_error"),
            (.modelNotFound, 404, "model_not_found", "invalid_request_error"),
            (.notFound, 404, "not_found", "invalid_request_error"),
            (.methodNotAllowed, 405, "method_not_allowed", "invalid_request_error"),
            (.requestTooLarge, 413, "request_too_large", "invalid_request_error"),
            (.contextLengthExceeded, 400, "context_length_exceeded", "invalid_request_error"),
            (.requestExceedsLimit, 400, "request_exceeds_limit", "invalid_request_error"),
            (.headerTooLarge, 431, "header_too_large", "invalid_request_error"),
            (
                .unsupportedEncoding, 415, "unsupported_content_encoding",
                "invalid_request_error"
            ),
            (.damagedEncoding, 400, "invalid_content_encoding", "invalid_request_error"),
            (.bodyTooDense, 413, "request_too_dense", "invalid_request_error"),
            (.limit(.tokensPerMinute), 429, "tokens_per_minute_exceeded", "tokens"),
            (.limit(.inputTokensPerMinute), 429, "input_tokens_per_minute_exceeded", "tokens"),
            (.limit(.outputTokensPerMinute), 429, "output_tokens_per_minute_exceeded", "tokens"),
            (.limit(.requestsPerMinute), 429, "requests_per_minute_exceeded", "requests"),
            (.limit(.concurrentRequests), 429, "concurrent_requests_exceeded", "requests"),
            (.limit(.tokensPerDay), 429, "tokens_per_day_exceeded", "insufficient_quota"),
            (.limit(.costPerMonth), 429, "cost_per_month_exceeded", "insufficient_quota"),
            (.kvCachePressure, 503, "kv_cache_pressure", "service_unavailable_error"),
            (.queueFull, 503, "queue_full", "service_unavailable_error"),
            (.queueWaitTooLong, 503, "queue_wait_too_long", "service_unavailable_error"),
            (.noHealthyEndpoint, 503, "no_healthy_endpoint", "service_unavailable_error"),
            (
                .budgetStoreUnavailable, 503, "budget_store_unavailable",
                "service_unavailable_error"
            ),
            (.gatewayOverloaded, 503, "gateway_overloaded", "service_unavailable_error"),
            (.draining, 503, "draining", "service_unavailable_error"),
            (.upstreamFailed, 502, "upstream_failed", "server_error"),
            (.deadlineExceeded, 504, "deadline_exceeded", "timeout_error"),
        ])
    func table(reason: RefusalReason, status: Int, code: String, type: String) {
        #expect(reason.status == status)
        #expect(reason.code == code)
        #expect(reason.errorType == type)
        #expect(reason.isThrottle == (status == 429 || status == 503))
    }
}
