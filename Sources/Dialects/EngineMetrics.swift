// SPDX-License-Identifier: Apache-2.0

public import Units
public import Wire

/// An engine's load under one set of names; nil is what it does not show.
public struct EngineMetrics: Sendable, Equatable {
    /// Sequences that the engine works on.
    public var running: Int?
    /// Requests that it has accepted and not begun, or pushed out again.
    public var waiting: Int?
    /// Share of the KV cache that running sequences hold, 0 ... 1; the fullest rank's where there
    /// are several. Cached prefixes that nobody uses count as free.
    public var kvUsage: Double?
    /// Tokens that running sequences hold.
    public var kvUsedTokens: Tokens?
    /// Tokens that the cache can hold.
    public var kvCapacityTokens: Tokens?
    /// Prompt tokens since its start, cached ones included.
    public var promptTokensTotal: Int?
    /// Generated tokens since its start.
    public var generationTokensTotal: Int?
    /// Sequences pushed out of the KV cache since its start.
    public var preemptionsTotal: Int?
    /// It answers, but will not generate; nil when it cannot sleep or does not say.
    public var isSleeping: Bool?

    /// Nothing known.
    public init() {}

    /// Reads a scrape in the Prometheus text format.
    ///
    /// Malformed lines, and values that are negative or no numbers, are passed over: half a scrape
    /// is better than none. A text without any known metric gives nil.
    public init?(scrape text: RawSpan, of family: EngineFamily, limits: PrometheusLimits = .init())
    {
        var tally = MetricTally(family)
        var reader = PrometheusText(limits: limits)
        var sample = PrometheusSample()
        while true {
            do {
                guard try reader.next(text, into: &sample) else { break }
                tally.take(sample, text)
            } catch { continue }
        }
        guard let metrics = tally.metrics else { return nil }
        self = metrics
    }
}
