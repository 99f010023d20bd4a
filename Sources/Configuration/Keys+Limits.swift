// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let client = HTTPPolicy()
    private static let engine = UpstreamPolicy()

    /// What a client may cost.
    static let http: [Key] = [
        Key("http", .section, .filled, .reloadable, "What one client may cost."),
        count(
            "http.max_connections", 1...HTTPPolicy.connectionsLimit, client.maxConnections,
            "connections",
            "Client connections per worker; over it a new one is closed at once."),
        count(
            "http.max_handshakes", 1...HTTPPolicy.handshakesLimit, client.maxHandshakes,
            "handshakes",
            "TLS handshakes under way at once, per worker; for one more the one that has taken "
                + "longest is closed. As many connections of proxies wait for their headers; one "
                + "more is closed."),
        count(
            "http.max_connections_per_address", 0...HTTPPolicy.connectionsLimit,
            client.maxConnectionsPerAddress, "connections",
            "Client connections of one address, of IPv6 of one /64, for all workers together; one "
                + "more is reset at once. 0: not bounded. Where a proxy of the PROXY protocol "
                + "stands in front, those that it names are counted."),
        Key(
            "http.trusted_proxies", .list(.addressRange, 0...256), .absent, .reloadable,
            "Proxies whose `X-Forwarded-For` is believed: the last address there that is none of "
                + "them is the client's. Their own connections are not bounded by "
                + "`max_connections_per_address`."),
        count(
            "http.max_compression_ratio", 1...1_032, client.maxCompressionRatio, "",
            "How many times its size a body may unpack to (`Content-Encoding: gzip`), beyond the "
                + "first 64 KiB; over it, as over `max_body` when unpacked, it gets 413."),
        size(
            "http.max_target", 256...65_536, client.maxTarget,
            "A request's target; a longer one gets 414."),
        size(
            "http.max_head", 1_024...1_048_576, client.maxHead,
            "A request's head; a larger one gets 431."),
        count(
            "http.max_fields", 8...4_096, client.maxFields, "fields",
            "Header fields of a request; more get 431."),
        size(
            "http.max_body", 1_024...1 << 30, client.maxBody,
            "A request's body; a larger one gets 413 before it is read."),
        size(
            "http.max_buffered_bodies", 1_024...1 << 40, client.maxBufferedBodies,
            "Request bodies held at once, per worker; over it a new request with a body gets 503."),
        size(
            "http.max_trailers", 0...1_048_576, client.maxTrailers,
            "The trailer section of a chunked body."),
        size(
            "http.max_chunk_extensions", 0...1_048_576, client.maxChunkExtensions,
            "Chunk extensions of a whole body."),
        count(
            "http.max_json_depth", 8...512, client.maxJSONDepth, "levels",
            "How deep a body's JSON may nest."),
        size(
            "http.stream_buffer", 4_096...1 << 24, client.streamBuffer,
            "Answer bytes held for one slow client before its engine is no longer read."),
        time(
            "http.handshake_timeout", 100...3_600_000, client.handshakeTimeout,
            "From the beginning of a connection to the end of its TLS handshake; before that to "
                + "the end of a proxy's header."),
        time(
            "http.head_timeout", 100...3_600_000, client.headTimeout,
            "From the first byte of a connection or request to its complete head."),
        time(
            "http.body_timeout", 100...3_600_000, client.bodyTimeout,
            "From the head to the complete body, plus a second for each `body_floor` received."),
        size(
            "http.body_floor", 1...1 << 30, client.bodyFloor,
            "What a body must at least bring each second in the long run."),
        time(
            "http.idle_timeout", 100...86_400_000, client.idleTimeout,
            "Between two requests of a connection."),
        time(
            "http.write_timeout", 100...86_400_000, client.writeTimeout,
            "Without one byte of an answer taken by the client."),
        time(
            "http.drain_timeout", 0...86_400_000, client.drainTimeout,
            "From SIGTERM to the end of what is still in flight."),
    ]

    private static let multiplexed = HTTP2Policy()

    /// What a client of HTTP/2 may cost beside that.
    static let http2: [Key] = [
        Key(
            "http2", .section, .filled, .reloadable,
            "What one HTTP/2 connection may cost, beside what `http` says of requests."),
        count(
            "http2.max_concurrent_streams", 1...10_000, multiplexed.maxConcurrentStreams,
            "requests", "Requests open at once on a connection; one more is refused unserved."),
        size(
            "http2.max_frame", 16_384...1 << 20, multiplexed.maxFrame,
            "The largest frame that a client may send."),
        size(
            "http2.stream_window", 16_384...1 << 28, multiplexed.streamWindow,
            "What a client may send of one body before it is told that this was accepted."),
        size(
            "http2.connection_window", 65_536...1 << 30, multiplexed.connectionWindow,
            "The same for all bodies of a connection; at least `stream_window`."),
        count(
            "http2.max_resets", 1...1_000_000, multiplexed.maxResets, "streams/s",
            "Streams a second that a client may reset, or have reset by its faults; over it, as "
                + "over the bounds that follow, the connection ends with ENHANCE_YOUR_CALM."),
        count(
            "http2.max_idle_frames", 1...1_000_000, multiplexed.maxIdleFrames, "frames/s",
            "Frames a second that bring nothing: PING, SETTINGS, PRIORITY, empty DATA, unknown "
                + "ones, WINDOW_UPDATE beyond what was sent."),
        count(
            "http2.max_continuations", 1...1_000, multiplexed.maxContinuations, "frames",
            "CONTINUATION frames of one header block."),
        count(
            "http2.max_pending_acks", 1...100_000, multiplexed.maxPendingAcks, "frames",
            "PING and SETTINGS frames whose acknowledgements a client has not taken."),
    ]

    /// How engines are treated.
    static let upstream: [Key] = [
        Key(
            "upstream", .section, .filled, .reloadable,
            "How engines are connected to, scraped and judged."),
        time(
            "upstream.connect_timeout", 10...60_000, engine.connectTimeout,
            "To establish a connection."),
        time(
            "upstream.idle_timeout", 100...3_600_000, engine.idleTimeout,
            "How long an idle connection is kept; shorter than the engine's own, which is often 5s."
        ),
        count(
            "upstream.max_idle", 0...65_536, engine.maxIdle, "connections",
            "Idle connections kept, per endpoint and worker."),
        time(
            "upstream.scrape_interval", 100...60_000, engine.scrapeInterval,
            "Between two readings of an engine's metrics."),
        time(
            "upstream.scrape_timeout", 10...60_000, engine.scrapeTimeout,
            "How long one reading may take."),
        size(
            "upstream.max_scrape", 1_024...1 << 28, engine.maxScrape,
            "An engine's metrics page; a larger one counts as failed."),
        count(
            "upstream.unhealthy_after", 1...100, engine.unhealthyAfter, "failures",
            "Failed probes or connections in a row that take an endpoint out."),
        count(
            "upstream.healthy_after", 1...100, engine.healthyAfter, "probes",
            "Good probes in a row that bring it back."),
        Key(
            "upstream.retry_ratio", .scalar(.decimal(0...1, unit: "share")),
            .value(.decimal(engine.retryRatio)), .reloadable,
            "Requests that an engine did not take and that may go to another, as a share of those "
                + "of the last ten seconds."),
        count(
            "upstream.retry_reserve", 0...10_000, engine.retryReserve, "requests/s",
            "Such requests that may go to another engine beside that share."),
        time(
            "upstream.resolve_interval", 1_000...3_600_000, engine.resolveInterval,
            "Between two resolutions of an engine's host name."),
        size(
            "upstream.max_head", 1_024...1_048_576, engine.maxHead,
            "An answer's head; a larger one counts as malformed."),
        size(
            "upstream.max_buffered_answer", 1_024...1 << 30, engine.maxBufferedAnswer,
            "An answer that is not a stream is held back up to this size until it is whole; of a "
                + "larger one what comes passes through, and its usage is not read."),
        size(
            "upstream.max_event", 1_024...1 << 28, engine.maxEvent,
            "One server-sent event."),
    ]

    private static let choice = RoutingPolicy()

    /// How an endpoint is chosen.
    static let routing: [Key] = [
        Key(
            "routing", .section, .filled, .reloadable,
            "How an endpoint is chosen among those of a pool that have room."),
        Key(
            "routing.prefix_blocks", .scalar(.integer(0...4_194_304, unit: "blocks")),
            .value(.integer(choice.prefixBlocks)), .fixed,
            "Blocks of 512 bytes of prompt text that are remembered with the endpoints that have "
                + "them cached, 40 bytes of memory each; 0 sends each prompt to the least loaded."),
        size(
            "routing.max_prefix", 512...1 << 24, choice.maxPrefix,
            "So much of a prompt's text is looked at for that."),
        Key(
            "routing.prefix_gate",
            .scalar(.duration(.milliseconds(0) ... .milliseconds(600_000))), .absent, .reloadable,
            "A prompt stays where its beginning is cached until it would wait so much longer there "
                + "than elsewhere. Not given: its class's `targets.first_token`, or 1s."),
    ]

    private static func count(
        _ path: String, _ bounds: ClosedRange<Int>, _ standard: Int, _ unit: String,
        _ meaning: String
    ) -> Key {
        Key(
            path, .scalar(.integer(bounds, unit: unit)), .value(.integer(standard)), .reloadable,
            meaning)
    }

    private static func size(
        _ path: String, _ bounds: ClosedRange<Int>, _ standard: Bytes, _ meaning: String
    ) -> Key {
        let range = Bytes(bounds.lowerBound)...Bytes(bounds.upperBound)
        return Key(path, .scalar(.size(range)), .value(.size(standard)), .reloadable, meaning)
    }

    /// Bounds in milliseconds.
    private static func time(
        _ path: String, _ bounds: ClosedRange<Int>, _ standard: Duration, _ meaning: String
    ) -> Key {
        let range = Duration.milliseconds(bounds.lowerBound) ... .milliseconds(bounds.upperBound)
        return Key(
            path, .scalar(.duration(range)), .value(.duration(standard)), .reloadable, meaning)
    }
}
