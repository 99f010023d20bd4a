// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Units

/// What an engine's metrics tell beside the model's own counters: histograms per request, with
/// vLLM's buckets (vllm/v1/metrics/loggers.py).
struct EngineStatistics {
    private static let firstTokenBounds: [Double] = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20,
        40, 80, 160, 640, 2560,
    ]
    private static let tokenBounds: [Double] = [
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
        80,
    ]
    private static let requestBounds: [Double] = [
        0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920,
        7680,
    ]
    private static let choiceBounds: [Double] = [1, 2, 5, 10, 20]
    private static let preemptionBounds: [Double] = [1, 2, 3, 4, 5, 10, 20]

    var firstToken = Histogram(bounds: firstTokenBounds)
    var betweenTokens = Histogram(bounds: tokenBounds)
    var perOutputToken = Histogram(bounds: tokenBounds)
    var whole = Histogram(bounds: requestBounds)
    var queue = Histogram(bounds: requestBounds)
    var inference = Histogram(bounds: requestBounds)
    var prefill = Histogram(bounds: requestBounds)
    var decode = Histogram(bounds: requestBounds)
    var preemptions = Histogram(bounds: preemptionBounds)
    var choices = Histogram(bounds: choiceBounds)
    var promptTokens: Histogram
    var generationTokens: Histogram
    var maxGenerationTokens: Histogram
    var maxTokens: Histogram
    var computedTokens: Histogram
    var stopped = 0
    var cut = 0
    /// Tokens that the model counts as made, but that were embeddings.
    var embeddings = 0

    /// Length buckets go by 1, 2, 5 up to the context length.
    init(context: Tokens) {
        var bounds: [Double] = []
        var power = 1.0
        while power <= Double(context.count) {
            for step in [1.0, 2, 5] where step * power <= Double(context.count) {
                bounds.append(step * power)
            }
            power *= 10
        }
        let lengths = Histogram(bounds: bounds)
        promptTokens = lengths
        generationTokens = lengths
        maxGenerationTokens = lengths
        maxTokens = lengths
        computedTokens = lengths
    }

    /// `at`: the end of a step that made `count` tokens for the choice.
    mutating func tokens(_ choice: Choice, count: Int, at: Instant, _ clock: EngineClock) {
        guard choice.firstAt != nil else {
            firstToken.observe(clock.seconds(choice.arrivedAt, at))
            return
        }
        let each = clock.seconds(choice.lastAt, at) / Double(count)
        for _ in 0..<count { betweenTokens.observe(each) }
    }

    /// The choice is finished, and `lastAt` its end.
    mutating func finished(
        _ choice: Choice, _ generation: Generation, _ clock: EngineClock
    ) {
        if generation.kind == .embeddings { embeddings += 1 }
        if choice.isCut { cut += 1 } else { stopped += 1 }
        let admitted = choice.admittedAt ?? choice.arrivedAt
        let first = choice.firstAt ?? choice.lastAt
        whole.observe(clock.seconds(choice.arrivedAt, choice.lastAt))
        queue.observe(clock.seconds(choice.arrivedAt, admitted))
        inference.observe(clock.seconds(admitted, choice.lastAt))
        prefill.observe(clock.seconds(admitted, first))
        decode.observe(clock.seconds(first, choice.lastAt))
        if choice.made > 1 {
            perOutputToken.observe(
                clock.seconds(first, choice.lastAt) / Double(choice.made - 1))
        }
        preemptions.observe(Double(choice.preemptions))
        choices.observe(Double(generation.stated.choices))
        promptTokens.observe(Double(choice.promptTokens.count))
        generationTokens.observe(Double(choice.made))
        maxGenerationTokens.observe(Double(choice.made))
        if let bound = generation.stated.maxTokens { maxTokens.observe(Double(bound)) }
        computedTokens.observe(Double((choice.promptTokens - choice.cached).count))
    }
}
