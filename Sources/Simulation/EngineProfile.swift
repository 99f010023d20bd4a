// SPDX-License-Identifier: Apache-2.0

public import Units

/// One engine replica as a cost model: how long its steps take and how much it can hold.
public struct EngineProfile: Sendable, Equatable {
    /// Tokens in one KV block: vLLM's default (vllm/config/cache.py, `block_size`).
    public static let blockTokens = 16

    public var name: String
    public var cost: StepCost
    /// Added once to the time to first token: HTTP and tokenizing, beside the engine's steps.
    public var requestOverhead: Duration
    /// KV blocks that sequences can use; the engine's own null block is not among them.
    public var blocks: Int
    /// Tokens that one step may compute (vLLM: `max_num_batched_tokens`).
    public var stepBudget: Tokens
    /// Sequences that run at once (vLLM: `max_num_seqs`).
    public var maxSequences: Int

    /// `blocks`, `stepBudget` and `maxSequences` above zero.
    public init(
        name: String, cost: StepCost, requestOverhead: Duration, blocks: Int,
        stepBudget: Tokens = Tokens(8192), maxSequences: Int = 1024
    ) {
        invariant(
            blocks > 0 && stepBudget.count > 0 && maxSequences > 0, "a profile can hold something")
        self.name = name
        self.cost = cost
        self.requestOverhead = requestOverhead
        self.blocks = blocks
        self.stepBudget = stepBudget
        self.maxSequences = maxSequences
    }

    /// What the KV cache holds.
    public var kvTokens: Tokens { Tokens(blocks * Self.blockTokens) }

    /// The blocks that hold `tokens`.
    static func blocks(for tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }
}
