// SPDX-License-Identifier: Apache-2.0

/// The field names that Penstock gives meaning to, recognised while a head is parsed; case does not
/// matter. Everything else is `other`.
public enum FieldName: UInt8, Sendable {
    case other
    case host
    case connection
    case contentLength
    case transferEncoding
    case te
    case trailer
    case upgrade
    case expect
    case keepAlive
    case proxyConnection
    case proxyAuthorization
    case proxyAuthenticate
    case authorization
    /// `api-key`
    case apiKey
    /// `x-api-key`
    case xAPIKey
    case contentType
    case contentEncoding
    case accept
    case acceptEncoding
    case userAgent
    case date
    case server
    case xRequestID
    /// `request-id`
    case requestID
    case xTrafficClass
    case xPenstockDeadlineMS
    /// Any other `x-penstock-…`
    case anyXPenstock
    case traceparent
    case tracestate
    case retryAfter
    case retryAfterMS
    case xShouldRetry
    /// Any `x-ratelimit-…`
    case xRateLimit
    /// Any `anthropic-ratelimit-…`
    case anthropicRateLimit
    case rateLimit
    case rateLimitPolicy
    case openAIOrganization
    case openAIProject
    case xStainlessReadTimeout
    case xStainlessRetryCount
    case xForwardedFor
    case xForwardedProto
    case xForwardedHost
    /// Any other `x-forwarded-…`
    case anyXForwarded
    /// `x-real-ip`
    case xRealIP
    case forwarded
    case via
    case cookie
    case endpointLoadMetrics
    case endpointLoadMetricsFormat
    case xDataParallelRank
    case xAccelBuffering
    case cacheControl
    case location
    case lastEventID
    case anthropicVersion

    /// The name that the token bytes of `range` spell.
    public init(_ bytes: RawSpan, _ range: ByteRange) {
        self = FieldNameTable.shared.find(FieldNameKey(bytes, range))
    }
}
