// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    /// Whom it is served to.
    static let tenants: [Key] =
        [
            Key(
                "tenants", .entries(1...10_000), .required, .reloadable,
                "Who may send requests, and how many."),
            Key(
                "tenants[].id", .scalar(.name), .required, .reloadable,
                "The tenant's name, in metrics and in the store; `anonymous` takes the requests "
                    + "that have no key, and `other` is taken by the metrics."),
            Key(
                "tenants[].keys", .entries(0...64, short: "hash"), .absent, .reloadable,
                "Its API keys, each by its hash, as `penstock key new` and `penstock key hash` "
                    + "print it. Several are good at the same time, so that clients change theirs "
                    + "when it suits them: see `docs/keys.md`."),
            Key(
                "tenants[].keys[].hash", .scalar(.keyHash), .required, .reloadable,
                "The hash of the key."),
            Key(
                "tenants[].keys[].id", .scalar(.name), .absent, .reloadable,
                "What the log, metrics and pages call it; left out, the first 16 digits of the "
                    + "hash."),
            Key(
                "tenants[].keys[].not_before", .scalar(.time), .absent, .reloadable,
                "From when on it is good; earlier it gets 401 with the code "
                    + "`api_key_not_yet_valid`."),
            Key(
                "tenants[].keys[].expires", .scalar(.time), .absent, .reloadable,
                "From when on it is not good any more: 401 with the code `api_key_expired`. "
                    + "`check` and the log warn 14 days before."),
            Key(
                "tenants[].certificates", .list(.text(253), 0...64), .absent, .reloadable,
                "Names of its clients' certificates, for listeners with `client_ca`: a DNS name, "
                    + "URI, e-mail or IP address among the alternative names, or the common name "
                    + "of a certificate without any. Whoever shows one needs no key."),
            Key(
                "tenants[].classes", .list(.reference(.trafficClass), 1...64), .required,
                .reloadable,
                "The classes it may use; the first is meant when `X-Traffic-Class` is absent."),
            Key(
                "tenants[].models", .list(.reference(.model), 1...1_024), .required, .reloadable,
                "The models it may use."),
            Key(
                "tenants[].weight", .scalar(.decimal(0.001...1_000, unit: "")),
                .value(.decimal(1)), .reloadable,
                "Its share against others of the same class when there is not enough for all."),
            Key(
                "tenants[].limits", .section, .filled, .reloadable,
                "What it may use; a limit that is absent does not exist."),
        ] + limits("tenants[].limits") + [
            Key(
                "tenants[].limits.max_prompt_tokens",
                .scalar(.integer(1...100_000_000, unit: "tokens")), .absent, .reloadable,
                "A longer prompt gets 400, whatever the model could take."),
            Key(
                "tenants[].limits.max_completion_tokens",
                .scalar(.integer(1...100_000_000, unit: "tokens")), .absent, .reloadable,
                "A larger output bound is lowered to this one, and an absent one set to it."),
            Key(
                "tenants[].limits.min_completion_tokens",
                .scalar(.integer(1...100_000_000, unit: "tokens")), .absent, .reloadable,
                "A class with `clamp` lowers no output bound of this tenant below it."),
            Key(
                "tenants[].limits.overlong_prompt",
                .scalar(.choice(OverlongPrompt.allCases.map(\.rawValue), later: [])),
                .value(.text(OverlongPrompt.reject.rawValue)), .reloadable,
                "What becomes of a prompt over `max_prompt_tokens` or the model's context: "
                    + "`reject` answers it with 400; `truncate_oldest_messages` leaves out the "
                    + "first messages of a chat, but no instructions, nor calls without their "
                    + "results; `truncate_middle` cuts the middle out of its longest texts. What "
                    + "cannot be made short enough gets 400. `X-Penstock-Decision` says "
                    + "`truncated`."),
            Key(
                "tenants[].limits.reserve_output",
                .scalar(.choice(ReservedOutput.allCases.map(\.rawValue), later: [])),
                .value(.text(ReservedOutput.expected.rawValue)), .reloadable,
                "How much output is reserved of its budgets until an answer has ended: what is "
                    + "`expected`, what nine of ten answers do not exceed (`p90`), or all that its "
                    + "output `bound` allows."),
            Key(
                "tenants[].limits.over_interactive",
                .scalar(.choice(OverCap.allCases.map(\.rawValue), later: [])),
                .value(.text(OverCap.reject.rawValue)), .reloadable,
                "What becomes of a request over its class's `caps`: `reject` answers it with 400, "
                    + "`batch` serves it in the next of `classes` that takes it, if there is one."),
            Key(
                "tenants[].limits.mode", .scalar(.choice(["enforce"], later: ["shadow"])),
                .value(.text("enforce")), .reloadable,
                "Whether the limits refuse."),
        ] + narrowLimits
}
