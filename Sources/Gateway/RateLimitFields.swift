// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Units

/// The limits of a tenant as header fields, in OpenAI's form and in the IETF's
/// (draft-ietf-httpapi-ratelimit-headers-10): of each unit the limit that is nearest to exhaustion.
struct RateLimitFields {
    private let snapshot: LimitsSnapshot
    private let refused: Refusal?

    static func write(
        _ snapshot: LimitsSnapshot, refused: Refusal?, to fields: inout ByteBuffer
    ) {
        RateLimitFields(snapshot: snapshot, refused: refused).write(to: &fields)
    }

    private func write(to fields: inout ByteBuffer) {
        var requests = -1
        var tokens = -1
        for place in 0..<snapshot.count {
            switch snapshot.limits.limits[place].quantity {
            case .requests, .concurrent: tighten(&requests, place)
            case .tokens, .input, .output: tighten(&tokens, place)
            case .cost: continue
            }
        }
        guard requests >= 0 || tokens >= 0 else { return }
        let requestsNow = requests < 0 ? nil : snapshot.standing(requests)
        let tokensNow = tokens < 0 ? nil : snapshot.standing(tokens)
        if let requestsNow { Self.openAI(requestsNow, .requests, to: &fields) }
        if let tokensNow { Self.openAI(tokensNow, .tokens, to: &fields) }
        // `RateLimit-Policy: "requests-per-minute";q=600;w=60,
        // "tokens-per-minute";q=200000;qu="tokens";w=60`
        fields.append("RateLimit-Policy: ")
        if requests >= 0 { Self.append(snapshot.limits.texts[requests].policy, to: &fields) }
        if requests >= 0, tokens >= 0 { fields.append(", ") }
        if tokens >= 0 { Self.append(snapshot.limits.texts[tokens].policy, to: &fields) }
        // `RateLimit: "tokens-per-minute";r=37040;t=14`
        fields.append("\r\nRateLimit: ")
        if let requestsNow { append(requestsNow, requests, to: &fields) }
        if requests >= 0, tokens >= 0 { fields.append(", ") }
        if let tokensNow { append(tokensNow, tokens, to: &fields) }
        fields.append("\r\n")
    }

    /// Of the limits of a unit the one that refused; else the one of which the smallest part is
    /// left, the first where several are equal.
    private func tighten(_ best: inout Int, _ place: Int) {
        guard best >= 0 else {
            best = place
            return
        }
        if hasRefused(best) { return }
        if hasRefused(place) || snapshot.part(place) < snapshot.part(best) { best = place }
    }

    private func hasRefused(_ place: Int) -> Bool {
        guard let refused else { return false }
        let limit = snapshot.limits.limits[place]
        return refused.reason == .limit(limit.kind) && (refused.scope ?? .tenant) == limit.scope
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
        fields.append(decimal: LimitText.whole(standing.limit))
        fields.append(names.remaining)
        fields.append(decimal: LimitText.whole(standing.remaining))
        fields.append(names.reset)
        span(standing.reset, to: &fields)
        fields.append("\r\n")
    }

    private static func append(_ text: [UInt8], to fields: inout ByteBuffer) {
        unsafe fields.append(text.span.bytes)
    }

    /// On a refusal `t` is the time until the request fits.
    private func append(
        _ standing: LimitStanding, _ place: Int, to fields: inout ByteBuffer
    ) {
        Self.append(snapshot.limits.texts[place].name, to: &fields)
        fields.append(";r=")
        fields.append(decimal: LimitText.whole(standing.remaining))
        var reset = standing.reset
        if hasRefused(place), let wait = refused?.retryAfter { reset = wait }
        fields.append(";t=")
        fields.append(decimal: (reset.millisecondsRoundedUp + 999) / 1_000)
    }

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
