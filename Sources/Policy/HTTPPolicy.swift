// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a client may cost: every size and time at the front door. Defaults are the promised ones.
public struct HTTPPolicy: Sendable, Equatable {
    /// The most that `maxConnections` can be. Tables are made for it, so that a reload may raise
    /// the number: they take no memory before they are used.
    public static let connectionsLimit = 1_000_000
    /// The most that `maxHandshakes` can be.
    public static let handshakesLimit = 65_536
    /// Client connections per worker. All that there is of requests is bounded by it.
    public var maxConnections = 20_000
    /// TLS handshakes under way at once, per worker.
    public var maxHandshakes = 512
    /// Client connections of one address, of IPv6 of one /64, for all workers together; zero:
    /// as many as there are.
    public var maxConnectionsPerAddress = 10_000
    /// Proxies whose `X-Forwarded-For` is believed, and whose connections are not counted by
    /// address.
    public var trustedProxies: [AddressRange] = []
    /// Bytes that a packed body may have for each byte that was sent.
    public var maxCompressionRatio = 100
    public var maxTarget = Bytes.kibi(8)
    public var maxHead = Bytes.kibi(32)
    public var maxFields = 128
    public var maxBody = Bytes.mebi(16)
    /// Request bodies held at once, per worker: over it, new requests with a body get 503.
    public var maxBufferedBodies = Bytes.mebi(256)
    public var maxTrailers = Bytes.kibi(8)
    public var maxChunkExtensions = Bytes.kibi(4)
    public var maxJSONDepth = 64
    /// Answer bytes held for one slow client before its engine is no longer read.
    public var streamBuffer = Bytes.kibi(64)
    /// From a connection's beginning to the end of a proxy's header, or of its TLS handshake.
    public var handshakeTimeout = Duration.seconds(10)
    /// From a connection's or request's first byte to its complete head.
    public var headTimeout = Duration.seconds(10)
    /// From the head to the complete body, plus a second for each `bodyFloor` bytes received.
    public var bodyTimeout = Duration.seconds(10)
    /// Bytes a second that a body must at least bring in the long run.
    public var bodyFloor = Bytes.kibi(1)
    /// Between two requests.
    public var idleTimeout = Duration.seconds(60)
    /// Without one byte of an answer taken by the client.
    public var writeTimeout = Duration.seconds(60)
    /// From SIGTERM to the end of what is still in flight.
    public var drainTimeout = Duration.seconds(30)

    public init() {}
}

/// How engines are connected to, scraped and judged.
public struct UpstreamPolicy: Sendable, Equatable {
    public var connectTimeout = Duration.seconds(2)
    /// Shorter than what engines allow (5 s), so that they seldom close under a request.
    public var idleTimeout = Duration.seconds(4)
    /// Kept idle connections, per endpoint and worker.
    public var maxIdle = 256
    public var scrapeInterval = Duration.seconds(1)
    public var scrapeTimeout = Duration.seconds(2)
    public var maxScrape = Bytes.mebi(4)
    /// Failed probes or connections in a row that take an endpoint out.
    public var unhealthyAfter = 2
    /// Good probes in a row that bring it back.
    public var healthyAfter = 1
    /// Requests that may be sent to another engine, as a share of those that were sent.
    public var retryRatio = 0.1
    /// The same beside that share, a second.
    public var retryReserve = 10
    /// Between resolutions of a host name.
    public var resolveInterval = Duration.seconds(10)
    /// An answer's head; over it the engine's answer counts as malformed.
    public var maxHead = Bytes.kibi(64)
    /// An answer that is not a stream is buffered up to this size to read its usage.
    public var maxBufferedAnswer = Bytes.mebi(8)
    /// One server-sent event.
    public var maxEvent = Bytes.mebi(1)

    public init() {}
}
