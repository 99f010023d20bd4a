// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Units

/// The limits of a tenant as header fields, in OpenAI's form and in the IETF's
/// (draft-ietf-httpapi-ratelimit-headers-10): of each unit the limit that is nearest to exhaustion.
enum RateLimitFields {
    static func write(
        _ snapshot: LimitsSnapshot, refused: Refusal?, to fields: inout ByteBuffer
    ) {
        let requests = tighter(snapshot[.requestsPerMinute], snapshot[.concurrentRequests])
        let tokens = tighter(
            tighter(snapshot[.tokensPerMinute], snapshot[.inputTokensPerMinute]),
            tighter(snapshot[.outputTokensPerMinute], snapshot[.tokensPerDay]))
        if let requests { openAI(requests, .requests, to: &fields) }
        if let tokens { openAI(tokens, .tokens, to: &fields) }
        policies(requests, tokens, to: &fields)
        standings(requests, tokens, refused, to: &fields)
    }

    /// The one of which the smaller part remains; the first where both are equal.
    private static func tighter(_ first: LimitStanding?, _ second: LimitStanding?) -> LimitStanding?
    {
        guard let first, let second else { return first ?? second }
        return second.remaining * first.limit < first.remaining * second.limit ? second : first
    }

    /// What stands around the three numbers of one unit; as few pieces as there can be.
    private struct OpenAINames {
        var limit: StaticString
        var remaining: StaticString
        var reset: StaticString

        static let requests = OpenAINames(
            limit: "x-ratelimit-limit-requests: ",
            remaining: "\r\nx-ratelimit-remaining-requests: ",
            reset: "\r\nx-ratelimit-reset-requests: ")
        static let tokens = OpenAINames(
            limit: "x-ratelimit-limit-tokens: ", remaining: "\r\nx-ratelimit-remaining-tokens: ",
            reset: "\r\nx-ratelimit-reset-tokens: ")
    }

    private static func openAI(
        _ standing: LimitStanding, _ names: OpenAINames, to fields: inout ByteBuffer
    ) {
        fields.append(names.limit)
        fields.append(decimal: whole(standing.limit))
        fields.append(names.remaining)
        fields.append(decimal: whole(standing.remaining))
        fields.append(names.reset)
        span(standing.reset, to: &fields)
        fields.append("\r\n")
    }

    /// `RateLimit-Policy: "requests-per-minute";q=600;w=60,
    /// "tokens-per-minute";q=200000;qu="tokens";w=60`
    private static func policies(
        _ requests: LimitStanding?, _ tokens: LimitStanding?, to fields: inout ByteBuffer
    ) {
        guard requests != nil || tokens != nil else { return }
        fields.append("RateLimit-Policy: ")
        if let requests { policy(requests, to: &fields) }
        if requests != nil, tokens != nil { fields.append(", ") }
        if let tokens { policy(tokens, to: &fields) }
        fields.append("\r\n")
    }

    private static func policy(_ standing: LimitStanding, to fields: inout ByteBuffer) {
        fields.append(name(standing.kind))
        fields.append(";q=")
        fields.append(decimal: whole(standing.limit))
        switch standing.kind {
        case .concurrentRequests: fields.append(";qu=\"concurrent-requests\"")
        case .requestsPerMinute: fields.append(";w=60")
        case .tokensPerDay: fields.append(";qu=\"tokens\";w=86400")
        default: fields.append(";qu=\"tokens\";w=60")
        }
    }

    /// `RateLimit: "tokens-per-minute";r=37040;t=14`. On a refusal `t` is the time until the
    /// request fits.
    private static func standings(
        _ requests: LimitStanding?, _ tokens: LimitStanding?, _ refused: Refusal?,
        to fields: inout ByteBuffer
    ) {
        guard requests != nil || tokens != nil else { return }
        fields.append("RateLimit: ")
        if let requests { self.standing(requests, refused, to: &fields) }
        if requests != nil, tokens != nil { fields.append(", ") }
        if let tokens { self.standing(tokens, refused, to: &fields) }
        fields.append("\r\n")
    }

    private static func standing(
        _ standing: LimitStanding, _ refused: Refusal?, to fields: inout ByteBuffer
    ) {
        fields.append(name(standing.kind))
        fields.append(";r=")
        fields.append(decimal: whole(standing.remaining))
        var reset = standing.reset
        if let refused, refused.reason == standing.kind.refusal, let wait = refused.retryAfter {
            reset = wait
        }
        fields.append(";t=")
        fields.append(decimal: (reset.millisecondsRoundedUp + 999) / 1_000)
    }

    private static func name(_ kind: LimitKind) -> StaticString {
        switch kind {
        case .tokensPerMinute: "\"tokens-per-minute\""
        case .inputTokensPerMinute: "\"input-tokens-per-minute\""
        case .outputTokensPerMinute: "\"output-tokens-per-minute\""
        case .requestsPerMinute: "\"requests-per-minute\""
        case .concurrentRequests: "\"concurrent-requests\""
        case .tokensPerDay: "\"tokens-per-day\""
        case .costPerMonth: "\"cost-per-month\""
        }
    }

    private static func whole(_ value: Double) -> Int { Int(min(max(0, value), 9e15)) }

    /// OpenAI's form of a time: `12ms`, `1.574s`, `6m0s`, `1h2m3s`.
    static func span(_ duration: Duration, to fields: inout ByteBuffer) {
        let milliseconds = max(0, duration.millisecondsRoundedUp)
        if milliseconds < 1_000 {
            fields.append(decimal: milliseconds)
            return fields.append("ms")
        }
        if milliseconds < 60_000 {
            fields.append(decimal: milliseconds / 1_000)
            let rest = milliseconds % 1_000
            if rest > 0 {
                fields.append(".")
                fields.append(byte: UInt8(0x30 + rest / 100))
                fields.append(byte: UInt8(0x30 + rest / 10 % 10))
                fields.append(byte: UInt8(0x30 + rest % 10))
            }
            return fields.append("s")
        }
        let seconds = (milliseconds + 999) / 1_000
        if seconds >= 3_600 {
            fields.append(decimal: seconds / 3_600)
            fields.append("h")
        }
        fields.append(decimal: seconds / 60 % 60)
        fields.append("m")
        fields.append(decimal: seconds % 60)
        fields.append("s")
    }
}
