// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let rates = 0.001...1e9
    private static let money = 0...1e6

    /// What is served.
    static let models: [Key] = [
        Key("models", .entries(1...1_024), .required, .reloadable, "The models that are served."),
        Key(
            "models[].name", .scalar(.modelName), .required, .reloadable,
            "The name that clients send and engines are sent."),
        Key(
            "models[].aliases", .list(.modelName, 0...64), .absent, .reloadable,
            "Other names that clients may send."),
        Key(
            "models[].context_length", .scalar(.integer(1...100_000_000, unit: "tokens")),
            .required, .reloadable,
            "Prompt and completion together; a longer prompt gets 400."),
        Key(
            "models[].tokenizer_family",
            .scalar(.choice(TokenizerFamily.allCases.map(\.rawValue), later: [])), .absent,
            .reloadable,
            "Whose tokens prompts are estimated in; absent, what the model's name tells, or "
                + "`llama3`."),
        Key(
            "models[].tokenizer", .scalar(.path), .absent, .reloadable,
            "The file of the model's tokenizer, absolute or beside this file: prompts are counted "
                + "exactly. A `tokenizer.json` of type BPE, a file of ranks named after its "
                + "encoding (`cl100k_base.tiktoken`), or a SentencePiece model of type BPE "
                + "(`.model`), up to 64 MiB. Left out, prompts are estimated."),
        Key(
            "models[].price", .section, .absent, .reloadable,
            "What tokens cost; needed where a tenant has `cost_per_month`."),
        Key(
            "models[].price.input_per_million", .scalar(.decimal(money, unit: "currency units")),
            .required, .reloadable,
            "A million input tokens."),
        Key(
            "models[].price.cached_input_per_million",
            .scalar(.decimal(money, unit: "currency units")),
            .sameAs("input_per_million"), .reloadable,
            "A million input tokens that the engine found in its prefix cache."),
        Key(
            "models[].price.output_per_million", .scalar(.decimal(money, unit: "currency units")),
            .required, .reloadable,
            "A million output tokens."),
        Key(
            "models[].price.currency", .scalar(.currency), .value(.text("USD")), .reloadable,
            "The currency of all three."),
    ]

    /// Who serves it.
    static let pools: [Key] = [
        Key(
            "pools", .entries(1...256), .required, .reloadable,
            "Groups of engines that serve the same models."),
        Key(
            "pools[].name", .scalar(.name), .required, .reloadable,
            "The pool's name, in `classes[].pool` and in metrics."),
        Key(
            "pools[].engine",
            .scalar(.choice(EngineKind.allCases.map(\.rawValue), later: [])), .required,
            .reloadable,
            "Which server software it is: whose API, metrics and manners."),
        Key(
            "pools[].endpoints", .list(.endpoint, 1...1_024), .required, .reloadable,
            "The engines; one stands in one pool only, because its KV cache has one ledger."),
        .notYet("pools[].discovery", "Engines found through DNS or Kubernetes."),
        Key(
            "pools[].models", .list(.reference(.model), 1...1_024), .required, .reloadable,
            "The models that each of its engines serves."),
    ]

    /// What its engines can do and how they are used.
    static let poolWork: [Key] = [
        Key(
            "pools[].protocol", .scalar(.choice(HTTPProtocol.allCases.map(\.rawValue), later: [])),
            .value(.text("http1")), .reloadable,
            "What requests go to its engines by: HTTP/1.1, or HTTP/2, many on a connection; in "
                + "clear by prior knowledge, with `https` URLs where the engine agrees to it "
                + "(ALPN). Probes are of HTTP/1.1 always."),
        Key(
            "pools[].key", .scalar(.secret(.header)), .absent, .reloadable,
            "The key that engines are sent in place of the client's."),
        Key(
            "pools[].capacity", .section, .filled, .reloadable,
            "What one engine can do, where it has been measured."),
        Key(
            "pools[].capacity.prefill_tokens_per_second",
            .scalar(.decimal(rates, unit: "tokens/s")), .absent, .reloadable,
            "Prompt tokens that one engine takes in."),
        Key(
            "pools[].capacity.decode_tokens_per_second",
            .scalar(.decimal(rates, unit: "tokens/s")), .absent, .reloadable,
            "Output tokens that one engine makes, all sequences together."),
        Key(
            "pools[].capacity.kv_tokens", .scalar(.integer(1...1 << 40, unit: "tokens")),
            .absent, .reloadable,
            "Tokens that one engine's KV cache holds, where it does not tell. llama-server with "
                + "`--kv-unified`, as without `-np`, needs it: its `-c`, which each slot claims."),
        Key(
            "pools[].capacity.kv_bytes_per_token", .scalar(.integer(1...1 << 30, unit: "bytes")),
            .absent, .reloadable,
            "Bytes that one token takes in the KV cache; with it metrics tell KV in bytes too."),
        Key(
            "pools[].priority_field", .scalar(.boolean), .value(.boolean(false)), .reloadable,
            "Its engines take the member `priority` in a body: vLLM with `--scheduling-policy "
                + "priority`, SGLang with `--enable-priority-scheduling`, trtllm-serve. Each gets "
                + "its class's `priority` in its own direction. A client's own never passes."),
        Key(
            "pools[].ramp", .section, .filled, .reloadable,
            "How an engine begins that comes to others which serve already: new by a reload, back "
                + "after 10 s or more, or healthy for the first time. It is taken for smaller and "
                + "slower than it is; alone, or where all are new, it is not, and nobody is "
                + "refused for it."),
        Key(
            "pools[].ramp.from", .scalar(.decimal(0.01...1, unit: "share")),
            .value(.decimal(RampPolicy().from)), .reloadable,
            "The share of its turn that it begins with."),
        Key(
            "pools[].ramp.over", .scalar(.duration(.zero ... .seconds(3_600))),
            .value(.duration(RampPolicy().over)), .reloadable,
            "Until it has all of its turn; `0s`: at once."),
        Key(
            "pools[].phases", .section, .absent, .reloadable,
            "Where no class of the pool has `targets`: which part of each second prompts may take "
                + "at an engine while others stream there, so that these keep a pace. It is moved "
                + "every 250 ms: towards prompts while more wait for their turn, away from them "
                + "while more wait for room or a cache is full to 0.85. Left out, prompts are not "
                + "bounded; with targets, these tell it alone."),
        phase("prefill_share", phases.share, "Where it begins, and goes back to."),
        phase("min_prefill_share", phases.least, "The least; at most `prefill_share`."),
        phase("max_prefill_share", phases.most, "The most; at least `prefill_share`."),
        .notYet("pools[].warmup", "Prompts sent to new engines."),
        .notYet("pools[].autoscale", "Desired replicas for an autoscaler."),
    ]

    private static let phases = PhasePolicy()

    private static func phase(_ name: String, _ standard: Double, _ meaning: String) -> Key {
        Key(
            "pools[].phases.\(name)", .scalar(.decimal(0.01...1, unit: "share")),
            .value(.decimal(standard)), .reloadable, meaning)
    }

    private static let share = ClassPolicy(id: ClassID(0), name: "", pool: PoolID(0))

    /// How it is served.
    static let classes: [Key] = [
        Key(
            "classes", .entries(1...64), .required, .reloadable,
            "Traffic classes, in the order in which they have their turn where they share a pool; "
                + "one that waits behind others gets a twentieth of what is dispatched."),
        Key(
            "classes[].name", .scalar(.name), .required, .reloadable,
            "The name that clients send in `X-Traffic-Class`."),
        Key(
            "classes[].pool", .scalar(.reference(.pool)), .required, .reloadable,
            "The pool that serves it."),
        Key(
            "classes[].priority", .scalar(.integer(-10...10, unit: "")), .value(.integer(0)),
            .reloadable,
            "Its requests' place in the order of engines with `priority_field`: more goes first, 0 "
                + "is what engines take who are told nothing."),
        Key(
            "classes[].kv", .section, .filled, .reloadable,
            "How full an engine's KV cache may be for this class."),
        Key(
            "classes[].kv.throttle_at", .scalar(.decimal(0.01...1, unit: "share")),
            .value(.decimal(share.throttleAt)), .reloadable,
            "The share of the KV cache above which requests wait; below `reject_at`."),
        Key(
            "classes[].kv.bounded_at", .scalar(.decimal(0.01...1, unit: "share")), .absent,
            .reloadable,
            "The share within which a request is let in above `throttle_at` where the output "
                + "bounds of all that are open there fit, so that nobody can be longer than "
                + "expected. Not given: 0.1 more than `throttle_at`, at most 0.98. As much as "
                + "`throttle_at`: never."),
        Key(
            "classes[].kv.reject_at", .scalar(.decimal(0.01...1, unit: "share")),
            .value(.decimal(share.rejectAt)), .reloadable,
            "The share above which they are refused with 503."),
        Key("classes[].queue", .section, .filled, .reloadable, "What may wait."),
        Key(
            "classes[].queue.max_requests",
            .scalar(.integer(1...1_000_000, unit: "requests")),
            .value(.integer(share.queue.maxRequests)), .reloadable,
            "Requests that may wait; over it new ones get 503."),
        Key(
            "classes[].queue.max_tokens", .scalar(.integer(1...1 << 40, unit: "tokens")),
            .value(.integer(share.queue.maxTokens.count)), .reloadable,
            "Estimated tokens, input and output, that may wait."),
        Key(
            "classes[].queue.max_wait", .scalar(.duration(.milliseconds(1) ... .seconds(86_400))),
            .value(.duration(share.queue.maxWait)), .reloadable,
            "How long a request may wait; one whose predicted wait is longer gets 503 at once."),
        Key("classes[].timeouts", .section, .filled, .reloadable, "How long an answer may take."),
        timeout(
            "classes[].timeouts.first_token", share.timeouts.firstToken,
            "From forwarding to the first token."),
        timeout(
            "classes[].timeouts.between_tokens", share.timeouts.betweenTokens,
            "Between two tokens of a stream."),
        timeout(
            "classes[].timeouts.total", share.timeouts.total,
            "From arrival to the last byte; a stream then ends as one that reached its length."),
        Key(
            "classes[].timeouts.keepalive",
            .scalar(.duration(.milliseconds(0) ... .seconds(3_600))),
            .value(.duration(share.timeouts.keepAlive ?? .zero)), .reloadable,
            "Between two signs of life that the client of a stream gets while it waits for its "
                + "first token; 0 sends none: a refusal keeps its own status however late."),
        Key(
            "classes[].targets", .section, .absent, .reloadable,
            "What answers are to keep to. With it the prompts in flight at each engine of the pool "
                + "are bounded, and requests wait for them at the gateway."),
        timeout(
            "classes[].targets.first_token", goal.firstToken,
            "From arrival to the first token of a stream; one that cannot keep to it any more is "
                + "refused with 503."),
        timeout(
            "classes[].targets.between_tokens", goal.betweenTokens,
            "Between two tokens of a stream, in the mean; the shortest of the pool's classes "
                + "bounds the prompts in flight."),
    ]

    private static let goal = TargetPolicy()

    private static func timeout(_ path: String, _ standard: Duration, _ meaning: String) -> Key {
        Key(
            path, .scalar(.duration(.milliseconds(1) ... .seconds(7 * 86_400))),
            .value(.duration(standard)), .reloadable, meaning)
    }
}
