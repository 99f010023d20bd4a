// SPDX-License-Identifier: Apache-2.0

public import Units

/// The state of an engine at one moment, as its metrics would show it.
public struct EngineGauges: Sendable, Equatable {
    /// Sequences in the batch: being prefilled or decoding.
    public var running: Int
    public var waiting: Int
    /// Blocks that sequences hold. Cached prefixes that nobody uses count as free, as in vLLM.
    public var usedBlocks: Int
    /// All blocks, the null block included, as vLLM reports `num_gpu_blocks`.
    public var totalBlocks: Int

    /// Used share of the blocks that sequences can have: vLLM's `kv_cache_usage_perc`, which leaves
    /// the null block out (vllm/v1/core/block_pool.py, `get_usage`).
    public var usage: Double { Double(usedBlocks) / Double(totalBlocks - 1) }
}

/// What an engine has done since it began.
public struct EngineCounters: Sendable, Equatable {
    public var preemptions = 0
    /// Counted when a prompt's first prefill ends.
    public var promptTokens = Tokens.zero
    /// Of `promptTokens`, those found in the prefix cache.
    public var cachedPromptTokens = Tokens.zero
    /// Counted as they are made.
    public var generationTokens = Tokens.zero
    /// Prompt tokens looked up in the prefix cache at first admissions.
    public var prefixQueries = Tokens.zero
    public var prefixHits = Tokens.zero
    public var stepTokens = StepTokensHistogram()
    /// The most blocks that sequences ever held.
    public var peakBlocks = 0
    /// Seconds in which a step ran.
    public var busySeconds = 0.0
    /// KV usage integrated over the busy seconds, sampled at the start of each run of like steps.
    public var usageSeconds = 0.0
}

/// Tokens per step: vLLM's `iteration_tokens_total`.
public struct StepTokensHistogram: Sendable, Equatable {
    /// Upper bounds, inclusive (vllm/v1/metrics/loggers.py).
    public static let bounds = [
        1, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384,
    ]
    /// Steps per bound, not cumulated; the last counts those above all bounds.
    public var counts = [Int](repeating: 0, count: bounds.count + 1)
    public var sum = 0

    mutating func add(_ tokens: Int, steps: Int) {
        let place = Self.bounds.firstIndex { tokens <= $0 } ?? Self.bounds.count
        counts[place] += steps
        sum += tokens * steps
    }
}
