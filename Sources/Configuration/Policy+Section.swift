// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

// From checked sections to the policy's smaller values.

extension HTTPPolicy {
    init(_ section: Section) {
        self.init()
        maxConnections = checked(section.integer("max_connections"))
        maxHandshakes = checked(section.integer("max_handshakes"))
        maxConnectionsPerAddress = checked(section.integer("max_connections_per_address"))
        trustedProxies = section.ranges("trusted_proxies")
        maxCompressionRatio = checked(section.integer("max_compression_ratio"))
        handshakeTimeout = checked(section.duration("handshake_timeout"))
        maxTarget = checked(section.size("max_target"))
        maxHead = checked(section.size("max_head"))
        maxFields = checked(section.integer("max_fields"))
        maxBody = checked(section.size("max_body"))
        maxBufferedBodies = checked(section.size("max_buffered_bodies"))
        maxTrailers = checked(section.size("max_trailers"))
        maxChunkExtensions = checked(section.size("max_chunk_extensions"))
        maxJSONDepth = checked(section.integer("max_json_depth"))
        streamBuffer = checked(section.size("stream_buffer"))
        headTimeout = checked(section.duration("head_timeout"))
        bodyTimeout = checked(section.duration("body_timeout"))
        bodyFloor = checked(section.size("body_floor"))
        idleTimeout = checked(section.duration("idle_timeout"))
        writeTimeout = checked(section.duration("write_timeout"))
        drainTimeout = checked(section.duration("drain_timeout"))
    }
}

extension HTTP2Policy {
    init(_ section: Section) {
        self.init()
        maxConcurrentStreams = checked(section.integer("max_concurrent_streams"))
        maxFrame = checked(section.size("max_frame"))
        streamWindow = checked(section.size("stream_window"))
        connectionWindow = checked(section.size("connection_window"))
        maxResets = checked(section.integer("max_resets"))
        maxIdleFrames = checked(section.integer("max_idle_frames"))
        maxContinuations = checked(section.integer("max_continuations"))
        maxPendingAcks = checked(section.integer("max_pending_acks"))
    }
}

extension UpstreamPolicy {
    init(_ section: Section) {
        self.init()
        connectTimeout = checked(section.duration("connect_timeout"))
        idleTimeout = checked(section.duration("idle_timeout"))
        maxIdle = checked(section.integer("max_idle"))
        scrapeInterval = checked(section.duration("scrape_interval"))
        scrapeTimeout = checked(section.duration("scrape_timeout"))
        maxScrape = checked(section.size("max_scrape"))
        unhealthyAfter = checked(section.integer("unhealthy_after"))
        healthyAfter = checked(section.integer("healthy_after"))
        retryRatio = checked(section.decimal("retry_ratio"))
        retryReserve = checked(section.integer("retry_reserve"))
        resolveInterval = checked(section.duration("resolve_interval"))
        maxHead = checked(section.size("max_head"))
        maxBufferedAnswer = checked(section.size("max_buffered_answer"))
        maxEvent = checked(section.size("max_event"))
    }
}

extension RoutingPolicy {
    init(_ section: Section) {
        self.init()
        prefixBlocks = checked(section.integer("prefix_blocks"))
        maxPrefix = checked(section.size("max_prefix"))
        prefixGate = section.duration("prefix_gate")
    }
}

extension RampPolicy {
    init(_ section: Section) {
        self.init(
            from: checked(section.decimal("from")), over: checked(section.duration("over")))
    }
}

extension PhasePolicy {
    init(_ section: Section) {
        self.init(
            share: checked(section.decimal("prefill_share")),
            least: checked(section.decimal("min_prefill_share")),
            most: checked(section.decimal("max_prefill_share")))
    }
}

extension QueuePolicy {
    init(_ section: Section) {
        self.init()
        maxRequests = checked(section.integer("max_requests"))
        maxTokens = checked(section.tokens("max_tokens"))
        maxWait = checked(section.duration("max_wait"))
    }
}

extension TimeoutPolicy {
    init(_ section: Section) {
        self.init()
        firstToken = checked(section.duration("first_token"))
        betweenTokens = checked(section.duration("between_tokens"))
        let interval = checked(section.duration("keepalive"))
        keepAlive = interval > .zero ? interval : nil
        total = checked(section.duration("total"))
    }
}

extension TargetPolicy {
    init(_ section: Section) {
        self.init(
            firstToken: checked(section.duration("first_token")),
            betweenTokens: checked(section.duration("between_tokens")))
    }
}

extension ClampPolicy {
    /// `isFirst`: of the first class, whose requests are worth more early than whole.
    init(_ section: Section, isFirst: Bool) {
        self.init(
            underPressure: section.boolean("under_pressure") ?? isFirst,
            minTokens: checked(section.tokens("min_tokens")),
            prefillQueue: section.tokens("prefill_queue"),
            prefillMaxTokens: checked(section.tokens("prefill_max_tokens")))
    }
}

extension CapPolicy {
    init(_ section: Section) {
        self.init(
            maxPrompt: section.tokens("max_prompt_tokens"),
            maxEstimated: section.tokens("max_estimated_tokens"))
    }
}

extension Price {
    init(_ section: Section) {
        self.init(
            inputPerMillion: checked(section.decimal("input_per_million")),
            cachedInputPerMillion: checked(section.decimal("cached_input_per_million")),
            outputPerMillion: checked(section.decimal("output_per_million")),
            currency: checked(section.text("currency")))
    }
}

extension TenantLimits {
    init(_ section: Section) {
        self.init(
            rates: section.limits, maxPromptTokens: section.tokens("max_prompt_tokens"),
            maxCompletionTokens: section.tokens("max_completion_tokens"),
            minCompletionTokens: section.tokens("min_completion_tokens"),
            overCap: checked(OverCap(rawValue: checked(section.text("over_interactive")))),
            overlongPrompt: checked(
                OverlongPrompt(rawValue: checked(section.text("overlong_prompt")))),
            reservedOutput: checked(
                ReservedOutput(rawValue: checked(section.text("reserve_output")))))
    }
}

extension Section {
    /// Ranges of addresses.
    func ranges(_ name: String) -> [AddressRange] {
        texts(name).map { item in checked((try? AddressParser.range(item.text))?.range) }
    }
}
