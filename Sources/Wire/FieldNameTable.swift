// SPDX-License-Identifier: Apache-2.0

/// A field name of at most 32 bytes as four lowercase words, zeros behind.
struct FieldNameKey: Sendable {
    /// Longer names are not known by more than their beginning.
    static let maxLength = 32

    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64
    private let length: Int

    /// `range` holds token bytes: on those, setting bit 5 makes capitals small and maps nothing
    /// else onto a letter, digit or hyphen.
    @inline(__always)
    init(_ bytes: RawSpan, _ range: ByteRange) {
        let start = Int(range.start)
        let count = range.count
        length = count
        first = bytes.foldedWord(start, count: count, folding: Self.folding)
        second =
            count > 8 ? bytes.foldedWord(start + 8, count: count - 8, folding: Self.folding) : 0
        third =
            count > 16 ? bytes.foldedWord(start + 16, count: count - 16, folding: Self.folding) : 0
        fourth =
            count > 24 ? bytes.foldedWord(start + 24, count: count - 24, folding: Self.folding) : 0
    }
    private static let folding: UInt64 = 0x2020_2020_2020_2020

    @inline(__always)
    static func == (left: FieldNameKey, right: FieldNameKey) -> Bool {
        left.length == right.length && left.first == right.first && left.second == right.second
            && left.third == right.third && left.fourth == right.fourth
    }

    /// A slot below 2^`bits`.
    @inline(__always)
    func slot(bits: Int) -> Int {
        let mixed = (first ^ second &* 31 ^ third &* 131 ^ fourth) &+ UInt64(length)
        return Int(truncatingIfNeeded: (mixed &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - bits))
    }

    /// The family that a name belongs to by how it begins, for names that are not known whole.
    @inline(__always)
    var family: FieldName {
        if first == Self.penstock, second & 0xFF_FFFF == Self.penstockRest { return .anyXPenstock }
        if first == Self.forwarded, second & 0xFFFF_FFFF == Self.forwardedRest {
            return .anyXForwarded
        }
        if first == Self.rateLimit, second & 0xFFFF_FFFF == Self.rateLimitRest {
            return .xRateLimit
        }
        if first == Self.anthropic, second == Self.anthropicRest, third & 0xFFFF_FFFF == Self.limit
        {
            return .anthropicRateLimit
        }
        return .other
    }
    private static let penstock = word("x-pensto")
    private static let penstockRest = word("ck-")
    private static let forwarded = word("x-forwar")
    private static let forwardedRest = word("ded-")
    private static let rateLimit = word("x-rateli")
    private static let rateLimitRest = word("mit-")
    private static let anthropic = word("anthropi")
    private static let anthropicRest = word("c-rateli")
    private static let limit = word("mit-")
}

/// All known names under a fixed hash. Names from outside are only looked up, never put in, so they
/// cannot make it slow.
struct FieldNameTable: Sendable {
    static let shared = FieldNameTable()

    private static let bits = 7
    private struct Entry: Sendable {
        let key: FieldNameKey
        let id: FieldName
    }
    /// Open addressing; a free slot follows every run.
    private let slots: [Entry?]

    private init() {
        var slots = [Entry?](repeating: nil, count: 1 << Self.bits)
        for (text, id) in Self.names {
            let key = Self.key(text)
            var slot = key.slot(bits: Self.bits)
            while slots[slot] != nil { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Entry(key: key, id: id)
        }
        self.slots = slots
    }

    @inline(__always)
    func find(_ key: FieldNameKey) -> FieldName {
        var slot = key.slot(bits: Self.bits)
        while let entry = slots[slot] {
            if entry.key == key { return entry.id }
            slot = (slot + 1) & (slots.count - 1)
        }
        return key.family
    }

    private static func key(_ text: StaticString) -> FieldNameKey {
        let count = text.utf8CodeUnitCount
        let bytes = unsafe RawSpan(_unsafeStart: text.utf8Start, byteCount: count)
        return FieldNameKey(bytes, ByteRange(0, count))
    }

    private static let names: [(StaticString, FieldName)] = [
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
        ("traceparent", .traceparent), ("tracestate", .tracestate), ("retry-after", .retryAfter),
        ("retry-after-ms", .retryAfterMS), ("x-should-retry", .xShouldRetry),
        ("ratelimit", .rateLimit), ("ratelimit-policy", .rateLimitPolicy),
        ("openai-organization", .openAIOrganization), ("openai-project", .openAIProject),
        ("x-stainless-read-timeout", .xStainlessReadTimeout),
        ("x-stainless-retry-count", .xStainlessRetryCount), ("x-forwarded-for", .xForwardedFor),
        ("x-forwarded-proto", .xForwardedProto), ("x-forwarded-host", .xForwardedHost),
        ("forwarded", .forwarded), ("x-real-ip", .xRealIP), ("via", .via), ("cookie", .cookie),
        ("endpoint-load-metrics", .endpointLoadMetrics),
        ("endpoint-load-metrics-format", .endpointLoadMetricsFormat),
        ("x-data-parallel-rank", .xDataParallelRank), ("x-accel-buffering", .xAccelBuffering),
        ("cache-control", .cacheControl), ("location", .location),
        ("last-event-id", .lastEventID), ("anthropic-version", .anthropicVersion),
    ]
}
