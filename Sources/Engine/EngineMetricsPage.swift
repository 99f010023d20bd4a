// SPDX-License-Identifier: Apache-2.0

import Simulation
import Telemetry
import Units
import Wire

/// An engine's `/metrics`, by the names and labels of vLLM 0.32.
enum EngineMetricsPage {
    /// vLLM says so whatever is asked for; the body is plain 0.0.4 text.
    static let contentType: StaticString = "text/plain; version=1.0.0; charset=utf-8"

    static func write(_ engine: SimulatedEngine, into buffer: consuming ByteBuffer) -> ByteBuffer {
        var page = PrometheusWriter(.text, into: buffer)
        let labels = labels(engine)
        writeGauges(engine, labels, &page)
        writePeak(engine, labels, &page)
        writeCounters(engine, labels, &page)
        writeLatencies(engine.statistics, labels, &page)
        writeLengths(engine, labels, &page)
        writeConfiguration(engine.setup, engine.gauges, &page)
        return page.finish()
    }

    private static func labels(
        _ engine: SimulatedEngine, _ name: StaticString? = nil, _ value: String = ""
    ) -> PrometheusLabels {
        var labels = PrometheusLabels([("engine", "0")])
        if let name { labels.append(name, value) }
        labels.append("model_name", engine.setup.model)
        return labels
    }

    private static func writeGauges(
        _ engine: SimulatedEngine, _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        let gauges = engine.gauges
        page.family(
            "vllm:num_requests_running", .gauge,
            help: "Number of requests in model execution batches.")
        page.sample(Double(gauges.running), labels)
        page.family(
            "vllm:num_requests_waiting", .gauge,
            help: "Number of requests waiting to be processed.")
        page.sample(Double(gauges.waiting), labels)
        page.family(
            "vllm:num_requests_waiting_by_reason", .gauge,
            help: "Number of waiting requests by reason.")
        page.sample(Double(gauges.waiting), Self.labels(engine, "reason", "capacity"))
        page.sample(0.0, Self.labels(engine, "reason", "deferred"))
        page.family("vllm:engine_sleep_state", .gauge, help: "Engine sleep state.")
        for (state, value) in [("awake", 1.0), ("weights_offloaded", 0), ("discard_all", 0)] {
            page.sample(value, Self.labels(engine, "sleep_state", state))
        }
        page.family(
            "vllm:kv_cache_usage_perc", .gauge,
            help: "KV-cache usage. 1 means 100 percent usage.")
        page.sample(gauges.usage, labels)
    }

    /// What vLLM does not tell, and scrapes in between miss.
    private static func writePeak(
        _ engine: SimulatedEngine, _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        page.family(
            "penstock:kv_cache_usage_peak_perc", .gauge,
            help: "The highest KV-cache usage since the engine began.")
        let blocks = engine.gauges.totalBlocks - 1
        page.sample(Double(engine.counters.peakBlocks) / Double(blocks), labels)
    }

    private static func writeCounters(
        _ engine: SimulatedEngine, _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        let counters = engine.counters
        let plain: [(StaticString, StaticString, Int)] = [
            (
                "vllm:prefix_cache_queries_total",
                "Prefix cache queries, in terms of number of queried tokens.",
                counters.prefixQueries.count
            ),
            (
                "vllm:prefix_cache_hits_total",
                "Prefix cache hits, in terms of number of cached tokens.",
                counters.prefixHits.count
            ),
            (
                "vllm:num_preemptions_total",
                "Cumulative number of preemption from the engine.", counters.preemptions
            ),
            (
                "vllm:prompt_tokens_total", "Number of prefill tokens processed.",
                counters.promptTokens.count
            ),
            (
                "vllm:prompt_tokens_cached_total", "Number of cached prompt tokens.",
                counters.cachedPromptTokens.count
            ),
            (
                "vllm:generation_tokens_total", "Number of generation tokens processed.",
                engine.generationTokens
            ),
        ]
        for (name, help, value) in plain {
            page.family(name, .counter, help: help)
            page.sample(Double(value), labels)
        }
        page.family(
            "vllm:prompt_tokens_by_source_total", .counter,
            help: "Number of prompt tokens by source.")
        let cached = counters.cachedPromptTokens.count
        for (source, value) in [
            ("local_compute", counters.promptTokens.count - cached), ("local_cache_hit", cached),
            ("external_kv_transfer", 0),
        ] {
            page.sample(Double(value), Self.labels(engine, "source", source))
        }
        page.family(
            "vllm:request_success_total", .counter,
            help: "Count of successfully processed requests.")
        for (reason, value) in [
            ("stop", engine.statistics.stopped), ("length", engine.statistics.cut), ("abort", 0),
            ("error", 0), ("repetition", 0),
        ] {
            page.sample(Double(value), Self.labels(engine, "finished_reason", reason))
        }
    }

    private static func writeLatencies(
        _ statistics: EngineStatistics, _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        let all: [(StaticString, StaticString, Histogram)] = [
            (
                "vllm:time_to_first_token_seconds",
                "Histogram of time to first token in seconds.", statistics.firstToken
            ),
            (
                "vllm:inter_token_latency_seconds",
                "Histogram of inter-token latency in seconds.", statistics.betweenTokens
            ),
            (
                "vllm:request_time_per_output_token_seconds",
                "Histogram of time_per_output_token_seconds per request.",
                statistics.perOutputToken
            ),
            (
                "vllm:e2e_request_latency_seconds",
                "Histogram of e2e request latency in seconds.", statistics.whole
            ),
            (
                "vllm:request_queue_time_seconds",
                "Histogram of time spent in WAITING phase for request.", statistics.queue
            ),
            (
                "vllm:request_inference_time_seconds",
                "Histogram of time spent in RUNNING phase for request.", statistics.inference
            ),
            (
                "vllm:request_prefill_time_seconds",
                "Histogram of time spent in PREFILL phase for request.", statistics.prefill
            ),
            (
                "vllm:request_decode_time_seconds",
                "Histogram of time spent in DECODE phase for request.", statistics.decode
            ),
        ]
        for (name, help, histogram) in all {
            write(name, help, histogram, labels, &page)
        }
    }

    private static func writeLengths(
        _ engine: SimulatedEngine, _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        let statistics = engine.statistics
        let all: [(StaticString, StaticString, Histogram)] = [
            (
                "vllm:request_prompt_tokens", "Number of prefill tokens processed.",
                statistics.promptTokens
            ),
            (
                "vllm:request_generation_tokens", "Number of generation tokens processed.",
                statistics.generationTokens
            ),
            (
                "vllm:request_max_num_generation_tokens",
                "Histogram of maximum number of requested generation tokens.",
                statistics.maxGenerationTokens
            ),
            (
                "vllm:request_params_n", "Histogram of the n request parameter.",
                statistics.choices
            ),
            (
                "vllm:request_params_max_tokens",
                "Histogram of the max_tokens request parameter.", statistics.maxTokens
            ),
            (
                "vllm:request_num_preemptions",
                "Histogram of number of preemptions per request.", statistics.preemptions
            ),
            (
                "vllm:request_prefill_kv_computed_tokens",
                "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
                statistics.computedTokens
            ),
        ]
        for (name, help, histogram) in all { write(name, help, histogram, labels, &page) }
        page.family(
            "vllm:iteration_tokens_total", .histogram,
            help: "Histogram of number of tokens per engine_step.")
        let steps = engine.counters.stepTokens
        page.sample(
            PrometheusWriter.Histogram(
                bounds: StepTokensHistogram.bounds.map(Double.init),
                counts: steps.counts.map { UInt64($0) }, sum: Double(steps.sum)), labels)
    }

    private static func write(
        _ name: StaticString, _ help: StaticString, _ histogram: Histogram,
        _ labels: PrometheusLabels, _ page: inout PrometheusWriter
    ) {
        page.family(name, .histogram, help: help)
        page.sample(
            PrometheusWriter.Histogram(
                bounds: histogram.bounds, counts: histogram.counts, sum: histogram.sum), labels)
    }

    /// The labels that tell a gateway the engine's capacity, and a few that always stand beside
    /// them.
    private static func writeConfiguration(
        _ setup: EngineSetup, _ gauges: EngineGauges, _ page: inout PrometheusWriter
    ) {
        let block = EngineProfile.blockTokens
        page.family(
            "vllm:cache_config_info", .gauge, help: "Information of the LLMEngine CacheConfig")
        page.sample(
            1.0,
            PrometheusLabels([
                ("block_size", "\(block)"), ("cache_dtype", "auto"),
                ("enable_prefix_caching", "True"), ("engine", "0"),
                ("gpu_memory_utilization", "0.9"), ("is_attention_free", "False"),
                ("kv_cache_memory_bytes", "None"),
                ("kv_cache_size_tokens", "\(gauges.totalBlocks * block)"),
                ("num_cpu_blocks", "None"), ("num_gpu_blocks", "\(gauges.totalBlocks)"),
                ("num_gpu_blocks_override", "None"), ("prefix_caching_hash_algo", "sha256"),
                ("sliding_window", "None"),
            ]))
    }
}
