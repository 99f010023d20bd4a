// SPDX-License-Identifier: Apache-2.0

/// What a metric of an engine contributes to.
enum MetricField: UInt8, CaseIterable {
    case running
    case waiting
    case usage
    /// The same under a name of older versions, which some export beside the new one.
    case olderUsage
    case usedTokens
    case olderUsedTokens
    case capacityTokens
    case prompt
    case generation
    case preemptions
    case usedBlocks
    case freeBlocks
    case maxBlocks
    case tokensPerBlock
    case awake
}

/// How the samples of one metric become one value.
enum MetricFold {
    /// Over all labels.
    case sum
    case largest
    /// Tensor- and pipeline-parallel ranks say the same, data-parallel ones (`dp_rank`) add up.
    case ranks
    /// Tokens from the labels of vLLM's cache configuration.
    case cacheConfiguration
}

/// A metric by name, and perhaps by one label.
struct MetricRule {
    let name: StaticString
    let field: MetricField
    let fold: MetricFold
    var label: StaticString?
    var value: StaticString = ""

    init(_ name: StaticString, _ field: MetricField, _ fold: MetricFold = .sum) {
        self.name = name
        self.field = field
        self.fold = fold
    }

    func labelled(_ label: StaticString, _ value: StaticString) -> MetricRule {
        var rule = self
        rule.label = label
        rule.value = value
        return rule
    }
}

extension EngineFamily {
    var rules: [MetricRule] {
        switch self {
        case .vllm: return MetricRule.vllm
        case .sglang: return MetricRule.sglang
        case .tensorRT: return MetricRule.tensorRT
        case .triton: return MetricRule.triton
        case .llamaCpp: return MetricRule.llamaCpp
        case .tgi: return MetricRule.tgi
        case .openAI: return []
        }
    }
}

extension MetricRule {
    /// vLLM 0.8.5 to 0.32. `num_requests_waiting_by_reason` repeats `num_requests_waiting` and is
    /// left out.
    static let vllm = [
        MetricRule("vllm:num_requests_running", .running),
        MetricRule("vllm:num_requests_waiting", .waiting),
        MetricRule("vllm:kv_cache_usage_perc", .usage, .largest),
        MetricRule("vllm:gpu_cache_usage_perc", .olderUsage, .largest),
        MetricRule("vllm:cache_config_info", .capacityTokens, .cacheConfiguration),
        MetricRule("vllm:prompt_tokens_total", .prompt),
        MetricRule("vllm:generation_tokens_total", .generation),
        MetricRule("vllm:num_preemptions_total", .preemptions),
        MetricRule("vllm:engine_sleep_state", .awake, .largest).labelled("sleep_state", "awake"),
    ]

    /// SGLang 0.4.4 to 0.5.23. What waits for a grammar or for a decode instance waits, too.
    static let sglang = [
        MetricRule("sglang:num_running_reqs", .running, .ranks),
        MetricRule("sglang:num_queue_reqs", .waiting, .ranks),
        MetricRule("sglang:num_grammar_queue_reqs", .waiting, .ranks),
        MetricRule("sglang:num_prefill_bootstrap_queue_reqs", .waiting, .ranks),
        MetricRule("sglang:token_usage", .usage, .largest),
        MetricRule("sglang:kv_used_tokens", .usedTokens, .ranks),
        MetricRule("sglang:num_used_tokens", .olderUsedTokens, .ranks),
        MetricRule("sglang:max_total_num_tokens", .capacityTokens, .ranks),
        MetricRule("sglang:prompt_tokens_total", .prompt),
        MetricRule("sglang:generation_tokens_total", .generation),
        MetricRule("sglang:num_retracted_requests_total", .preemptions),
    ]

    /// trtllm-serve, `tensorrt_llm/metrics/collector.py`.
    static let tensorRT = [
        MetricRule("trtllm_num_requests_running", .running),
        MetricRule("trtllm_num_requests_waiting", .waiting),
        MetricRule("trtllm_kv_cache_used_blocks", .usedBlocks),
        MetricRule("trtllm_kv_cache_max_blocks", .maxBlocks),
        MetricRule("trtllm_kv_cache_tokens_per_block", .tokensPerBlock, .largest),
        MetricRule("trtllm_prompt_tokens_total", .prompt),
        MetricRule("trtllm_generation_tokens_total", .generation),
    ]

    /// The TensorRT-LLM backend's `custom_metrics_reporter.cc`.
    static let triton = [
        MetricRule("nv_trt_llm_request_metrics", .running).labelled("request_type", "active"),
        MetricRule("nv_trt_llm_request_metrics", .waiting).labelled("request_type", "waiting"),
        block(.usedBlocks, "used"), block(.freeBlocks, "free"), block(.maxBlocks, "max"),
        MetricRule("nv_trt_llm_kv_cache_block_metrics", .tokensPerBlock, .largest)
            .labelled("kv_cache_block_type", "tokens_per"),
        MetricRule("nv_llm_input_token_len_sum", .prompt),
        MetricRule("nv_llm_output_token_len_sum", .generation),
    ]

    private static func block(_ field: MetricField, _ kind: StaticString) -> MetricRule {
        MetricRule("nv_trt_llm_kv_cache_block_metrics", field).labelled("kv_cache_block_type", kind)
    }

    /// llama-server. Prompt tokens are counted without the cached ones; KV gauges ended in 2025.
    static let llamaCpp = [
        MetricRule("llamacpp:requests_processing", .running),
        MetricRule("llamacpp:requests_deferred", .waiting),
        MetricRule("llamacpp:kv_cache_usage_ratio", .usage, .largest),
        MetricRule("llamacpp:kv_cache_tokens", .usedTokens),
        MetricRule("llamacpp:prompt_tokens_total", .prompt),
        MetricRule("llamacpp:prompt_tokens_cached_total", .prompt),
        MetricRule("llamacpp:tokens_predicted_total", .generation),
    ]

    /// TGI shows what its batch has reserved, prompt and bound together, not what is held.
    static let tgi = [
        MetricRule("tgi_batch_current_size", .running), MetricRule("tgi_queue_size", .waiting),
        MetricRule("tgi_batch_current_max_tokens", .usedTokens),
        MetricRule("tgi_batch_max_total_tokens", .capacityTokens),
        MetricRule("tgi_request_input_length_sum", .prompt),
        MetricRule("tgi_request_generated_tokens_sum", .generation),
    ]
}
