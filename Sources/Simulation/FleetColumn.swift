// SPDX-License-Identifier: Apache-2.0

/// A figure of a report; the raw value is its name in JSON, with its unit.
public enum FleetColumn: String, Sendable, CaseIterable {
    case requests
    case preemptions
    /// The largest share of a KV cache that sequences ever held.
    case kvPeak = "kv_peak"
    /// Mean share while a step ran.
    case kvMean = "kv_mean"
    case ttftMean = "ttft_mean_s"
    case ttftP50 = "ttft_p50_s"
    case ttftP90 = "ttft_p90_s"
    case ttftP95 = "ttft_p95_s"
    case ttftP99 = "ttft_p99_s"
    case ttftMax = "ttft_max_s"
    case tpotP50 = "tpot_p50_ms"
    case tpotP99 = "tpot_p99_ms"
    /// From the first arrival to the last end.
    case makespan = "makespan_s"
    /// Requests that were never served.
    case shed
    case shedRatio = "shed_ratio"
    /// Answers that a lower output bound has cut short.
    case cut
    /// Refusals, those to clients that came back included.
    case refusals
    /// Of them, those after waiting.
    case lateRefusals = "late_refusals"
    /// Share of the refused clients that came back, and were let in then.
    case firstReturn = "admitted_at_first_return"
    /// What came back in the fullest ten seconds, over what was finished in as many on average
    /// while clients came back: tokens in and out.
    case returnPeak = "returns_over_drain"
    /// Requests a second that met both targets.
    case goodput
    /// Share of all requests that met both targets.
    case metTargets = "met_slo"
    /// Output tokens of requests that met both targets, a second of arrivals.
    case goodTokens = "good_tokens_per_s"
    /// Tokens in and out of finished requests, a second to the last end.
    case tokens = "tokens_per_s"
    case hitRatio = "hit_ratio"
    /// Share of the computed prompt tokens that were computed for nothing.
    case wastedPrefill = "wasted_prefill"
    /// Preemptions for each request.
    case preemptionRatio = "preemption_ratio"
    /// The busiest endpoint's requests over the mean.
    case loadSkew = "load_max_over_mean"
    /// The largest growth of the weighted difference in service between two tenants in any
    /// interval in which all wait.
    case gap = "joint_gap"
    /// The largest distance of a tenant's share of service from its weight's, while all wait.
    case shareError = "share_error"
    /// Median of the tenants below the largest.
    case lightTTFT = "light_ttft_p50_s"

    /// What engines that joined found in their prefix caches, from a minute after that on, over the
    /// same of the others; and the shares themselves.
    case joinedHits = "joined_over_pool_hits"
    case joinedHitRatio = "joined_hit_ratio"
    case poolHitRatio = "pool_hit_ratio"
    /// The 99th percentile of the time to the first token of requests that came in the half minute
    /// before engines joined, and in the one after.
    case ttftBeforeJoin = "ttft_p99_before_join_s"
    case ttftAfterJoin = "ttft_p99_after_join_s"
    /// The latter over the former.
    case joinSpike = "ttft_p99_join_spike"
    /// Tokens of the requests that engines which joined got in the half minute after that, over an
    /// equal share.
    case joinedShare = "joined_share"

    /// It counts: whole numbers.
    public var isCount: Bool {
        switch self {
        case .requests, .preemptions, .shed, .cut, .refusals, .lateRefusals: true
        default: false
        }
    }

    /// Digits behind the point that are worth reading.
    public var digits: Int {
        switch self {
        case .requests, .preemptions, .shed, .cut, .refusals, .lateRefusals, .tokens, .goodTokens,
            .gap:
            0
        case .ttftMean, .ttftP50, .ttftP90, .ttftP95, .ttftP99, .ttftMax, .lightTTFT,
            .ttftBeforeJoin, .ttftAfterJoin:
            2
        case .tpotP50, .tpotP99, .makespan: 1
        case .kvPeak, .kvMean, .firstReturn, .returnPeak, .goodput, .loadSkew, .joinedHits,
            .joinSpike, .joinedShare:
            2
        case .joinedHitRatio, .poolHitRatio: 3
        case .shedRatio, .metTargets, .hitRatio, .wastedPrefill, .preemptionRatio, .shareError: 3
        }
    }
}
