// SPDX-License-Identifier: Apache-2.0

package import Units

/// The state of an engine at one moment, as its metrics would show it.
package struct EngineGauges: Sendable, Equatable {
    /// Sequences in the batch: being prefilled or decoding.
    package var running: Int
    package var waiting: Int
    /// Blocks that sequences hold. Cached prefixes that nobody uses count as free, as in vLLM.
    package var usedBlocks: Int
    /// All blocks, the null block included, as vLLM reports `num_gpu_blocks`.
    package var totalBlocks: Int

    /// Used share of the blocks that sequences can have: vLLM's `kv_cache_usage_perc`, which leaves
    /// the null block out (vllm/v1/core/block_pool.py, `get_usage`).
    package var usage: Double { Double(usedBlocks) / Double(totalBlocks - 1) }
}

/// What an engine has done since it began.
package struct EngineCounters: Sendable, Equatable {
    package var preemptions = 0
    /// Counted when a prompt's first prefill ends.
    package var promptTokens = Tokens.zero
    /// Of `promptTokens`, those found in the prefix cache.
    package var cachedPromptTokens = Tokens.zero
    /// Counted as they are made.
    package var generationTokens = Tokens.zero
    /// Prompt tokens looked up in the prefix cache at first admissions.
    package var prefixQueries = Tokens.zero
    package var prefixHits = Tokens.zero
    package var stepTokens = StepTokensHistogram()
    /// Seconds in which a step ran.
    package var busySeconds = 0.0
    /// KV usage integrated over the busy seconds, sampled at the start of each run of like steps.
    package var usageSeconds = 0.0
}

/// Tokens per step: vLLM's `iteration_tokens_total`.
package struct StepTokensHistogram: Sendable, Equatable {
    /// Upper bounds, inclusive (vllm/v1/metrics/loggers.py).
    package static let bounds = [
        1, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384,
    ]
    /// Steps per bound, not cumulated; the last counts those above all bounds.
    package var counts = [Int](repeating: 0, count: bounds.count + 1)
    package var sum = 0

    mutating func add(_ tokens: Int, steps: Int) {
        let place = Self.bounds.firstIndex { tokens <= $0 } ?? Self.bounds.count
        counts[place] += steps
        sum += tokens * steps
    }
}
