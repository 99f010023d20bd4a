// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Units

/// The limits of a tenant in Anthropic's header fields: of each kind the limit of which the
/// smallest part is left, with the time at which it will be full again (RFC 3339).
enum AnthropicLimitFields {
    private static let kinds: [StaticString] = [
        "requests", "tokens", "input-tokens", "output-tokens",
    ]

    static func write(
        _ snapshot: LimitsSnapshot, refused: Refusal?, now: WallTime, to fields: inout ByteBuffer
    ) {
        for (place, name) in kinds.enumerated() {
            guard let tightest = tightest(place, snapshot, refused) else { continue }
            let standing = snapshot.standing(tightest)
            field(name, "-limit: ", to: &fields)
            fields.append(decimal: LimitText.whole(standing.limit))
            field(name, "-remaining: ", isNext: true, to: &fields)
            fields.append(decimal: LimitText.whole(standing.remaining))
            field(name, "-reset: ", isNext: true, to: &fields)
            time(now, plus: standing.reset, to: &fields)
            fields.append("\r\n")
        }
    }

    private static func field(
        _ kind: StaticString, _ part: StaticString, isNext: Bool = false,
        to fields: inout ByteBuffer
    ) {
        if isNext { fields.append("\r\n") }
        fields.append("anthropic-ratelimit-")
        fields.append(kind)
        fields.append(part)
    }

    private static func kind(of quantity: LimitQuantity) -> Int? {
        switch quantity {
        case .requests, .concurrent: 0
        case .tokens: 1
        case .input: 2
        case .output: 3
        case .cost: nil
        }
    }

    /// The one that refused, where it is of this kind.
    private static func tightest(
        _ wanted: Int, _ snapshot: LimitsSnapshot, _ refused: Refusal?
    ) -> Int? {
        var best: Int?
        for place in 0..<snapshot.count {
            let limit = snapshot.limits.limits[place]
            guard kind(of: limit.quantity) == wanted else { continue }
            if let refused, refused.reason == .limit(limit.kind),
                (refused.scope ?? .tenant) == limit.scope
            {
                return place
            }
            if let found = best, snapshot.part(found) <= snapshot.part(place) { continue }
            best = place
        }
        return best
    }

    /// Whole seconds, rounded up: who comes back then does not come too early.
    private static func time(
        _ now: WallTime, plus span: Duration, to fields: inout ByteBuffer
    ) {
        let nanoseconds = now.nanoseconds + max(0, span.nanoseconds)
        let seconds = Int((nanoseconds + 999_999_999) / 1_000_000_000)
        let date = CivilDate(daysSinceEpoch: seconds / 86_400)
        let rest = seconds % 86_400
        fields.append(decimal: date.year)
        for (separator, value) in [
            ("-" as StaticString, date.month), ("-", date.day), ("T", rest / 3_600),
            (":", rest / 60 % 60), (":", rest % 60),
        ] {
            fields.append(separator)
            if value < 10 { fields.append("0") }
            fields.append(decimal: value)
        }
        fields.append("Z")
    }
}
