// SPDX-License-Identifier: Apache-2.0

package import Units

/// What a client may cost: every size and time at the front door. Defaults are the promised ones.
package struct HTTPPolicy: Sendable, Equatable {
    /// The most that `maxConnections` can be. Tables are made for it, so that a reload may raise
    /// the number: they take no memory before they are used.
    package static let connectionsLimit = 1_000_000
    /// Client connections per worker. All that there is of requests is bounded by it.
    package var maxConnections = 20_000
    package var maxTarget = Bytes.kibi(8)
    package var maxHead = Bytes.kibi(32)
    package var maxFields = 128
    package var maxBody = Bytes.mebi(16)
    /// Request bodies held at once, per worker: over it, new requests with a body get 503.
    package var maxBufferedBodies = Bytes.mebi(256)
    package var maxTrailers = Bytes.kibi(8)
    package var maxChunkExtensions = Bytes.kibi(4)
    package var maxJSONDepth = 64
    /// Answer bytes held for one slow client before its engine is no longer read.
    package var streamBuffer = Bytes.kibi(64)
    /// From a connection's or request's first byte to its complete head.
    package var headTimeout = Duration.seconds(10)
    /// From the head to the complete body, plus a second for each `bodyFloor` bytes received.
    package var bodyTimeout = Duration.seconds(10)
    /// Bytes a second that a body must at least bring in the long run.
    package var bodyFloor = Bytes.kibi(1)
    /// Between two requests.
    package var idleTimeout = Duration.seconds(60)
    /// Without one byte of an answer taken by the client.
    package var writeTimeout = Duration.seconds(60)
    /// From SIGTERM to the end of what is still in flight.
    package var drainTimeout = Duration.seconds(30)

    package init() {}
}

/// How engines are connected to, scraped and judged.
package struct UpstreamPolicy: Sendable, Equatable {
    package var connectTimeout = Duration.seconds(2)
    /// Shorter than what engines allow (5 s), so that they seldom close under a request.
    package var idleTimeout = Duration.seconds(4)
    /// Kept idle connections, per endpoint and worker.
    package var maxIdle = 256
    package var scrapeInterval = Duration.seconds(1)
    package var scrapeTimeout = Duration.seconds(2)
    package var maxScrape = Bytes.mebi(4)
    /// Failed probes or connections in a row that take an endpoint out.
    package var unhealthyAfter = 2
    /// Good probes in a row that bring it back.
    package var healthyAfter = 1
    /// Between resolutions of a host name.
    package var resolveInterval = Duration.seconds(10)
    /// An answer's head; over it the engine's answer counts as malformed.
    package var maxHead = Bytes.kibi(64)
    /// An answer that is not a stream is buffered up to this size to read its usage.
    package var maxBufferedAnswer = Bytes.mebi(8)
    /// One server-sent event.
    package var maxEvent = Bytes.mebi(1)

    package init() {}
}
