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
        let requests = tightest(snapshot, refused) {
            $0 == .requests || $0 == .concurrent
        }
        let tokens = tightest(snapshot, refused) { $0.isTokens }
        if let requests { openAI(requests, .requests, to: &fields) }
        if let tokens { openAI(tokens, .tokens, to: &fields) }
        policies(requests, tokens, to: &fields)
        standings(requests, tokens, refused, to: &fields)
    }

    /// Of the limits of a unit the one that refused; else the one of which the smallest part is
    /// left, the first where several are equal.
    private static func tightest(
        _ snapshot: LimitsSnapshot, _ refused: Refusal?, _ isOfUnit: (LimitQuantity) -> Bool
    ) -> LimitStanding? {
        var found: LimitStanding?
        for place in 0..<snapshot.count {
            let limit = snapshot.limits.limits[place]
            guard isOfUnit(limit.kind.quantity) else { continue }
            let standing = snapshot.standing(place)
            if has(standing, refused: refused) { return standing }
            if let best = found, standing.remaining * best.limit >= best.remaining * standing.limit
            {
                continue
            }
            found = standing
        }
        return found
    }

    private static func has(_ standing: LimitStanding, refused: Refusal?) -> Bool {
        guard let refused, refused.reason == .limit(standing.kind) else { return false }
        return (refused.scope ?? .tenant) == standing.scope
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
        name(standing, to: &fields)
        fields.append(";q=")
        fields.append(decimal: whole(standing.limit))
        guard let window = standing.kind.window else {
            return fields.append(";qu=\"concurrent-requests\"")
        }
        if standing.kind.quantity.isTokens { fields.append(";qu=\"tokens\"") }
        fields.append(";w=")
        fields.append(decimal: window.seconds)
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
        name(standing, to: &fields)
        fields.append(";r=")
        fields.append(decimal: whole(standing.remaining))
        var reset = standing.reset
        if has(standing, refused: refused), let wait = refused?.retryAfter {
            reset = wait
        }
        fields.append(";t=")
        fields.append(decimal: (reset.millisecondsRoundedUp + 999) / 1_000)
    }

    /// `"tokens-per-minute"`, `"organisation-tokens-per-minute"`.
    private static func name(_ standing: LimitStanding, to fields: inout ByteBuffer) {
        fields.append("\"")
        if standing.scope != .tenant {
            fields.append(standing.scope.rawValue)
            fields.append("-")
        }
        fields.append(standing.kind.hyphenated)
        fields.append("\"")
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
