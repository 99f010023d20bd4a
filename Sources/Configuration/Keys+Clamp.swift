// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let usual = ClampPolicy()
    private static let counts = 1...100_000_000

    /// When a class lowers output bounds.
    static let clamp: [Key] = [
        Key(
            "classes[].clamp", .section, .filled, .reloadable,
            "When requests of this class are let in with a lower output bound than they ask for; "
                + "`X-Penstock-Decision: clamped` and `X-Penstock-Max-Tokens` say so."),
        Key(
            "classes[].clamp.under_pressure", .scalar(.boolean),
            .stated("`true` in the first class, `false` in the others"), .reloadable,
            "A request that would have to wait for room in a KV cache for more than a quarter of "
                + "`max_wait` is let in with the bound that fits under `reject_at`, all of it "
                + "counted."),
        Key(
            "classes[].clamp.min_tokens",
            .scalar(.integer(ClampPolicy.least.count...counts.upperBound, unit: "tokens")),
            .value(.integer(usual.minTokens.count)), .reloadable,
            "No bound is lowered below it, nor below the tenant's `min_completion_tokens`."),
        Key(
            "classes[].clamp.prefill_queue", .scalar(.integer(1...1 << 40, unit: "tokens")),
            .absent, .reloadable,
            "Prompt tokens for each engine of the pool that have brought no first token yet, "
                + "waiting or sent: while there are more, bounds are lowered to "
                + "`prefill_max_tokens`. Left out, they are not."),
        Key(
            "classes[].clamp.prefill_max_tokens",
            .scalar(.integer(ClampPolicy.least.count...counts.upperBound, unit: "tokens")),
            .value(.integer(usual.prefillMaxTokens.count)), .reloadable,
            "The bound that requests get meanwhile, if theirs is not lower."),
    ]

    /// How large requests of a class may be.
    static let caps: [Key] = [
        Key(
            "classes[].caps", .section, .absent, .reloadable,
            "How large a request of this class may be; what is larger goes where the tenant's "
                + "`over_interactive` says."),
        Key(
            "classes[].caps.max_prompt_tokens", .scalar(.integer(counts, unit: "tokens")),
            .absent, .reloadable, "Prompt tokens, estimated."),
        Key(
            "classes[].caps.max_estimated_tokens", .scalar(.integer(counts, unit: "tokens")),
            .absent, .reloadable, "Prompt and expected output, all choices."),
    ]
}
