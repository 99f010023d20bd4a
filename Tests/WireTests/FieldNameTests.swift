// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

private func name(_ text: String) -> FieldName {
    let bytes = Array(text.utf8)
    return unsafe FieldName(bytes.span.bytes, ByteRange(0, bytes.count))
}

private let names: [(String, FieldName)] = [
    ("host", .host), ("connection", .connection), ("content-length", .contentLength),
    ("transfer-encoding", .transferEncoding), ("te", .te), ("trailer", .trailer),
    ("upgrade", .upgrade), ("expect", .expect), ("keep-alive", .keepAlive),
    ("proxy-connection", .proxyConnection), ("proxy-authorization", .proxyAuthorization),
    ("proxy-authenticate", .proxyAuthenticate), ("authorization", .authorization),
    ("api-key", .apiKey), ("x-api-key", .xAPIKey), ("content-type", .contentType),
    ("content-encoding", .contentEncoding), ("accept", .accept),
    ("accept-encoding", .acceptEncoding), ("user-agent", .userAgent), ("date", .date),
    ("server", .server), ("x-request-id", .xRequestID), ("request-id", .requestID),
    ("x-traffic-class", .xTrafficClass), ("x-penstock-deadline-ms", .xPenstockDeadlineMS),
    ("x-penstock-decision", .anyXPenstock), ("x-penstock-", .anyXPenstock),
    ("x-penstock-deadline-msx", .anyXPenstock), ("traceparent", .traceparent),
    ("tracestate", .tracestate), ("retry-after", .retryAfter), ("retry-after-ms", .retryAfterMS),
    ("x-should-retry", .xShouldRetry), ("x-ratelimit-limit-requests", .xRateLimit),
    ("x-ratelimit-remaining-tokens-for-longer-than-32-bytes", .xRateLimit),
    ("anthropic-ratelimit-requests-limit", .anthropicRateLimit),
    ("anthropic-ratelimit-", .anthropicRateLimit), ("ratelimit", .rateLimit),
    ("ratelimit-policy", .rateLimitPolicy), ("openai-organization", .openAIOrganization),
    ("openai-project", .openAIProject), ("x-stainless-read-timeout", .xStainlessReadTimeout),
    ("x-stainless-retry-count", .xStainlessRetryCount), ("x-forwarded-for", .xForwardedFor),
    ("x-forwarded-proto", .xForwardedProto), ("x-forwarded-host", .xForwardedHost),
    ("forwarded", .forwarded), ("x-real-ip", .xRealIP), ("x-forwarded-port", .anyXForwarded),
    ("x-forwarded-", .anyXForwarded), ("via", .via), ("cookie", .cookie),
    ("endpoint-load-metrics", .endpointLoadMetrics),
    ("endpoint-load-metrics-format", .endpointLoadMetricsFormat),
    ("x-data-parallel-rank", .xDataParallelRank), ("x-accel-buffering", .xAccelBuffering),
    ("cache-control", .cacheControl), ("location", .location), ("last-event-id", .lastEventID),
    ("anthropic-version", .anthropicVersion),
]

@Test(arguments: names)
func aKnownNameIsRecognisedInAnyCase(text: String, id: FieldName) {
    #expect(name(text) == id)
    #expect(name(text.uppercased()) == id)
    #expect(name(text.prefix(1).uppercased() + text.dropFirst()) == id)
}

@Test(arguments: names)
func aNameThatDiffersInOneByteIsAnother(text: String, id: FieldName) {
    let isFamily = [.anyXPenstock, .anyXForwarded, .xRateLimit, .anthropicRateLimit].contains(id)
    for index in text.utf8.indices where !isFamily {
        for replacement in ["_", "q", "^", "0"] as [Character] {
            var changed = text
            changed.replaceSubrange(index...index, with: [replacement])
            guard changed != text else { continue }
            #expect(name(changed) != id, "\(changed)")
        }
    }
    #expect(isFamily || name(text + "s") != id)
    #expect(
        text == "x-penstock-" || text == "anthropic-ratelimit-" || isFamily
            || name(String(text.dropLast())) != id)
}

@Test(arguments: [
    "", "x", "x-penstock", "x_penstock-a", "x-ratelimit", "x-ratelimits-a",
    "anthropic-ratelimit", "anthropic-rate-limit-a", "hosts", "\u{0}ost", "hos\u{14}",
    "a-name-of-exactly-thirty-two-byt", "content-length-content-length-con",
])
func anUnknownNameIsOther(text: String) {
    #expect(name(text) == .other)
}

@Test func everyNameIsCovered() {
    let covered = Set(names.map(\.1.rawValue))
    var raw: UInt8 = 1
    while FieldName(rawValue: raw) != nil {
        #expect(covered.contains(raw), "\(String(describing: FieldName(rawValue: raw)))")
        raw += 1
    }
    #expect(raw == 57)
}
