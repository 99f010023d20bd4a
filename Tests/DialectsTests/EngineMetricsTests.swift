// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

private func metrics(_ text: String, _ family: EngineFamily) -> EngineMetrics? {
    Array(text.utf8).withRaw { EngineMetrics(scrape: $0, of: family) }
}

private func metrics(fixture: String, _ family: EngineFamily) -> EngineMetrics? {
    Fixture(fixture).body.withRaw { EngineMetrics(scrape: $0, of: family) }
}

struct RecordedMetricsTests {
    @Test func vLLMUnderKVPressureIsRead() throws {
        let found = try #require(metrics(fixture: "vllm/metrics_kv_high_counter_lagging", .vllm))
        #expect(found.running == 3)
        #expect(found.waiting == 13)
        #expect(found.kvUsage == 0.9130434782608696)
        #expect(found.kvCapacityTokens == Tokens(3_072))
        #expect(found.kvUsedTokens == Tokens(2_805))
        #expect(found.promptTokensTotal == 800)
        #expect(found.generationTokensTotal == 4_060)
        #expect(found.preemptionsTotal == 0)
        #expect(found.isSleeping == false)
    }

    @Test func vLLMUnderLoadIsRead() throws {
        let found = try #require(metrics(fixture: "vllm/metrics_under_load", .vllm))
        #expect(found.running == 8)
        #expect(found.waiting == 8)
        #expect(found.generationTokensTotal == 24_676)
    }

    @Test func aSleepingVLLMIsTold() throws {
        let found = try #require(metrics(fixture: "vllm/metrics_sleeping", .vllm))
        #expect(found.isSleeping == true)
        #expect(found.running == 0)
    }

    @Test func llamaCppCountersWithExponentsAreRead() throws {
        let found = try #require(
            metrics(fixture: "llamacpp/metrics_counters_above_1e6", .llamaCpp))
        #expect(found.promptTokensTotal == 1_300_000)
        #expect(found.generationTokensTotal == 1_300)
        #expect(found.kvUsage == nil)
        #expect(found.preemptionsTotal == nil)
        #expect(found.isSleeping == nil)
    }

    @Test func llamaCppMetricsAndSlotsMakeOneLoad() throws {
        var found = try #require(metrics(fixture: "llamacpp/metrics_under_load", .llamaCpp))
        #expect(found.running == 4)
        #expect(found.waiting == 3)
        #expect(found.promptTokensTotal == 1_561 + 1_707)
        let answer = Fixture("llamacpp/slots_under_load").body
        let slots = try #require(answer.withRaw { SlotLoad(answer: $0) })
        #expect(slots.slots == 4)
        #expect(slots.processing == 4)
        slots.complete(&found)
        #expect(found.kvUsedTokens == Tokens(4 * 313))
        #expect(found.kvCapacityTokens == Tokens(4_096))
        #expect(found.kvUsage == Double(4 * 313) / 4_096)
        slots.complete(&found, unifiedContext: Tokens(1_024))
        #expect(found.kvUsage == 1)
        #expect(found.kvCapacityTokens == Tokens(1_024))
    }

    @Test(arguments: EngineFamily.allCases)
    func aScrapeOfAnotherEngineSaysNothing(family: EngineFamily) {
        if family != .vllm { #expect(metrics(fixture: "vllm/metrics_under_load", family) == nil) }
        if family != .llamaCpp {
            #expect(metrics(fixture: "llamacpp/metrics_under_load", family) == nil)
        }
    }

    /// Cut and damaged scrapes are read as far as they go.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func damagedScrapesAreHarmless(seed: UInt64) {
        var maker = JSONMaker(seed: seed)
        let scrape = Fixture("vllm/metrics_sleeping").body
        let slots = Fixture("llamacpp/slots_under_load").body
        for _ in 0..<10 {
            maker.damaged(scrape).withRaw { _ = EngineMetrics(scrape: $0, of: .vllm) }
            maker.damaged(slots).withRaw { text in
                if let load = SlotLoad(answer: text) { #expect(load.slots > 0) }
            }
        }
    }
}

struct EngineMetricsTests {
    @Test func ofTwoNamesForTheSameValueOneIsTaken() {
        let both = """
            vllm:gpu_cache_usage_perc{model_name="m"} 0.5
            vllm:kv_cache_usage_perc{model_name="m"} 0.5

            """
        #expect(metrics(both, .vllm)?.kvUsage == 0.5)
        #expect(metrics("vllm:gpu_cache_usage_perc 0.25\n", .vllm)?.kvUsage == 0.25)
    }

    @Test func dataParallelEnginesOfVLLMAddUp() throws {
        let text = """
            vllm:num_requests_running{engine="0"} 3
            vllm:num_requests_running{engine="1"} 4
            vllm:num_requests_waiting{engine="0"} 0
            vllm:num_requests_waiting{engine="1"} 2
            vllm:kv_cache_usage_perc{engine="0"} 0.2
            vllm:kv_cache_usage_perc{engine="1"} 0.6
            vllm:generation_tokens_total{engine="0"} 1e3
            vllm:generation_tokens_total{engine="1"} 2e3
            vllm:cache_config_info{engine="0",block_size="16",num_gpu_blocks="100"} 1
            vllm:cache_config_info{engine="1",num_gpu_blocks="100",kv_cache_size_tokens="1500"} 1
            vllm:engine_sleep_state{engine="0",sleep_state="awake"} 0
            vllm:engine_sleep_state{engine="1",sleep_state="awake"} 1

            """
        let found = try #require(metrics(text, .vllm))
        #expect(found.running == 7)
        #expect(found.waiting == 2)
        #expect(found.kvUsage == 0.6)
        #expect(found.generationTokensTotal == 3_000)
        #expect(found.kvCapacityTokens == Tokens(3_100))
        #expect(found.isSleeping == false)
    }

    @Test func aCapacityThatIsNoneIsUnknown() throws {
        let text =
            "vllm:cache_config_info{num_gpu_blocks=\"None\",block_size=\"16\"} 1\n"
            + "vllm:kv_cache_usage_perc 0.5\n"
        let found = try #require(metrics(text, .vllm))
        #expect(found.kvCapacityTokens == nil)
        #expect(found.kvUsedTokens == nil)
        #expect(found.kvUsage == 0.5)
    }

    @Test func ranksOfSGLangThatSayTheSameCountOnce() throws {
        let text = """
            sglang:num_running_reqs{tp_rank="0",pp_rank="0",dp_rank="0"} 5
            sglang:num_running_reqs{tp_rank="1",pp_rank="0",dp_rank="0"} 5
            sglang:num_running_reqs{tp_rank="2",pp_rank="0",dp_rank="1"} 7
            sglang:num_queue_reqs{tp_rank="0",dp_rank="0"} 1
            sglang:num_grammar_queue_reqs{tp_rank="0",dp_rank="0"} 2
            sglang:num_prefill_bootstrap_queue_reqs{tp_rank="0",dp_rank="0"} 4
            sglang:token_usage{tp_rank="0",dp_rank="0"} 0.31
            sglang:token_usage{tp_rank="2",dp_rank="1"} 0.47
            sglang:num_used_tokens{tp_rank="0",dp_rank="0"} 900
            sglang:kv_used_tokens{tp_rank="0",dp_rank="0"} 1000
            sglang:kv_used_tokens{tp_rank="2",dp_rank="1"} 1500
            sglang:max_total_num_tokens{tp_rank="0",dp_rank="0"} 3200
            sglang:max_total_num_tokens{tp_rank="2",dp_rank="1"} 3200
            sglang:prompt_tokens_total{is_streaming="True"} 11
            sglang:prompt_tokens_total{is_streaming="False"} 22
            sglang:generation_tokens_total{is_streaming="True"} 33
            sglang:num_retracted_requests_total{tp_rank="0"} 3

            """
        let found = try #require(metrics(text, .sglang))
        #expect(found.running == 12)
        #expect(found.waiting == 7)
        #expect(found.kvUsage == 0.47)
        #expect(found.kvUsedTokens == Tokens(2_500))
        #expect(found.kvCapacityTokens == Tokens(6_400))
        #expect(found.promptTokensTotal == 33)
        #expect(found.generationTokensTotal == 33)
        #expect(found.preemptionsTotal == 3)
    }

    @Test func blocksOfTensorRTBecomeTokens() throws {
        let text = """
            trtllm_num_requests_running{model_name="undefined",engine_type="undefined"} 4
            trtllm_num_requests_waiting{model_name="undefined",engine_type="undefined"} 1
            trtllm_kv_cache_used_blocks{model_name="undefined",engine_type="undefined"} 50
            trtllm_kv_cache_max_blocks{model_name="undefined",engine_type="undefined"} 200
            trtllm_kv_cache_tokens_per_block{model_name="undefined",engine_type="undefined"} 32
            trtllm_prompt_tokens_total{model_name="undefined",engine_type="undefined"} 5e5
            trtllm_generation_tokens_total{model_name="undefined",engine_type="undefined"} 7

            """
        let found = try #require(metrics(text, .tensorRT))
        #expect(found.running == 4)
        #expect(found.waiting == 1)
        #expect(found.kvUsage == 0.25)
        #expect(found.kvUsedTokens == Tokens(1_600))
        #expect(found.kvCapacityTokens == Tokens(6_400))
        #expect(found.promptTokensTotal == 500_000)
        #expect(found.generationTokensTotal == 7)
    }

    /// The reporter's gauges, with `free` blocks.
    private static func triton(free: Int) -> String {
        let block = "nv_trt_llm_kv_cache_block_metrics{model=\"tensorrt_llm\",version=\"1\","
        return """
            nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="active",version="1"} 3
            nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting",version="1"} 2
            nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="max",version="1"} 64
            \(block)kv_cache_block_type="used"} 30
            \(block)kv_cache_block_type="free"} \(free)
            \(block)kv_cache_block_type="max"} 120
            \(block)kv_cache_block_type="tokens_per"} 64
            \(block)kv_cache_block_type="reused"} 5
            nv_llm_input_token_len_sum{model="tensorrt_llm",version="1"} 99
            nv_llm_input_token_len_count{model="tensorrt_llm",version="1"} 9
            nv_llm_output_token_len_sum{model="tensorrt_llm",version="1"} 77

            """
    }

    @Test func blocksOfTritonAreBelievedWhenTheyAddUp() throws {
        let found = try #require(metrics(EngineMetricsTests.triton(free: 90), .triton))
        #expect(found.running == 3)
        #expect(found.waiting == 2)
        #expect(found.kvUsage == 0.25)
        #expect(found.kvUsedTokens == Tokens(30 * 64))
        #expect(found.kvCapacityTokens == Tokens(120 * 64))
        #expect(found.promptTokensTotal == 99)
        #expect(found.generationTokensTotal == 77)
        let shifted = try #require(metrics(EngineMetricsTests.triton(free: 64), .triton))
        #expect(shifted.kvUsage == nil)
        #expect(shifted.kvUsedTokens == nil)
        #expect(shifted.running == 3)
    }

    @Test func theReservationOfTGIStandsForItsCache() throws {
        let text = """
            tgi_batch_current_size 6
            tgi_queue_size 2
            tgi_batch_current_max_tokens 4000
            tgi_batch_max_total_tokens 16000
            tgi_request_input_length_sum 123
            tgi_request_generated_tokens_sum 456

            """
        let found = try #require(metrics(text, .tgi))
        #expect(found.running == 6)
        #expect(found.waiting == 2)
        #expect(found.kvUsage == 0.25)
        #expect(found.promptTokensTotal == 123)
        #expect(found.generationTokensTotal == 456)
    }

    @Test func valuesThatMakeNoSenseAreUnknown() throws {
        let text = """
            vllm:num_requests_running NaN
            vllm:num_requests_waiting -3
            vllm:kv_cache_usage_perc +Inf
            vllm:prompt_tokens_total 1e300
            this is no metric

            """
        let found = try #require(metrics(text, .vllm))
        #expect(found.running == nil)
        #expect(found.waiting == nil)
        #expect(found.kvUsage == nil)
        #expect(found.promptTokensTotal == 1 << 62)
        #expect(metrics("", .vllm) == nil)
        #expect(metrics("vllm:num_requests_running NaN\n", .vllm) == nil)
    }

    @Test func absurdValuesAreHarmless() throws {
        let huge = (0..<4).map { "trtllm_kv_cache_used_blocks{rank=\"\($0)\"} 1.7e308\n" }.joined()
        let text = huge + "trtllm_kv_cache_max_blocks 1.7e308\ntrtllm_kv_cache_max_blocks 1.7e308\n"
        let none = try #require(metrics(text + "trtllm_kv_cache_tokens_per_block 0\n", .tensorRT))
        #expect(none.kvUsedTokens == nil)
        let full = try #require(
            metrics(text + text + "trtllm_kv_cache_tokens_per_block 1e308\n", .tensorRT))
        #expect(full.running == nil)
        let slots = #"[{"n_ctx":1e11,"is_processing":true,"n_prompt_tokens":1e12}]"#
        var load = EngineMetrics()
        Array(slots.utf8).withRaw { SlotLoad(answer: $0) }?.complete(&load)
        #expect(load.kvUsage == 1)
    }

    @Test func anIdleSlotHoldsNothing() throws {
        let text = #"""
            [{"id":0,"n_ctx":100,"is_processing":false,"n_prompt_tokens":80},
             {"id":1,"n_ctx":100,"is_processing":true,"n_prompt_tokens":30}]
            """#
        let load = try #require(Array(text.utf8).withRaw { SlotLoad(answer: $0) })
        #expect(load.usedTokens == Tokens(30))
        #expect(load.capacityTokens == Tokens(200))
        #expect(load.processing == 1)
    }

    /// A server that has just started, and one that has used some of its slots.
    @Test func aSlotThatNeverWorkedTellsNoTokens() throws {
        let text = #"""
            [{"id":0,"n_ctx":100,"is_processing":true,"id_task":3,"n_prompt_tokens":30},
             {"id":1,"n_ctx":100,"speculative":false,"is_processing":false}]
            """#
        let load = try #require(Array(text.utf8).withRaw { SlotLoad(answer: $0) })
        #expect(load.usedTokens == Tokens(30))
        #expect(load.capacityTokens == Tokens(200))
        let fresh = try #require(
            Fixture("llamacpp/slots_idle").body.withRaw { SlotLoad(answer: $0) })
        #expect(fresh.slots == 4)
        #expect(fresh.processing == 0)
        #expect(fresh.usedTokens == .zero)
        #expect(fresh.capacityTokens == Tokens(4_096))
    }

    @Test(arguments: [
        "", "{}", "[]", "[1]", #"[{"n_ctx":100}]"#, #"[{"n_ctx":-1,"is_processing":false}]"#,
        #"[{"n_ctx":100,"n_prompt_tokens":1}"#, #"{"error":{"code":501}}"#,
        #"[{"n_ctx":100,"is_processing":true}]"#, #"[{"n_ctx":100,"is_processing":1}]"#,
    ])
    func slotsThatDoNotTellAreNone(text: String) {
        #expect(Array(text.utf8).withRaw { SlotLoad(answer: $0) } == nil)
    }

    @Test func probesKeepToCheapPaths() {
        for family in EngineFamily.allCases {
            let plan = family.probePlan
            #expect(plan.health.description.hasPrefix("/"))
            #expect((plan.metrics == nil) == (family == .openAI))
        }
        #expect(EngineFamily.tensorRT.probePlan.metrics?.description == "/prometheus/metrics")
        #expect(EngineFamily.llamaCpp.probePlan.slots?.description == "/slots")
        #expect(EngineFamily.triton.probePlan.metricsPort == 8002)
    }

    @Test func onlyLlamaCppCountsByChoice() {
        #expect(EngineFamily.llamaCpp.usageScope(choicesPerPrompt: 3) == .choice(perPrompt: 3))
        #expect(EngineFamily.vllm.usageScope(choicesPerPrompt: 3) == .answer)
    }
}
