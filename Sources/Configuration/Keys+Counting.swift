// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let usual = CountingPolicy()

    /// How prompts are counted exactly.
    static let counting: [Key] = [
        Key(
            "counting", .section, .filled, .fixed,
            "How big bodies are read, and prompts of models with a `tokenizer` counted."),
        Key(
            "counting.inline", .scalar(.size(.kibi(0)...Bytes.mebi(16))),
            .value(.size(usual.inline)), .fixed,
            "Bodies up to this size are counted by the worker that read them, larger ones by other "
                + "threads, so that its other streams do not wait."),
        Key(
            "counting.read_inline", .scalar(.size(.kibi(0)...Bytes.mebi(16))),
            .value(.size(usual.readInline)), .fixed,
            "The same for reading what a body asks for, which takes less, and for all models."),
        Key(
            "counting.threads", .scalar(.integer(1...16, unit: "threads")),
            .value(.integer(usual.threads)), .fixed, "Threads that read and count larger ones."),
        Key(
            "counting.max_waiting", .scalar(.size(.mebi(1)...Bytes(1 << 40))),
            .value(.size(usual.maxWaiting)), .fixed,
            "Bodies that may wait for these threads, in sum; what comes on top is read by its "
                + "worker and estimated, as `penstock_prompts_counted_total{way=\"estimated\"}` "
                + "shows."),
    ]
}
