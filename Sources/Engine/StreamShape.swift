// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units

/// The events of a stream, member for member as vLLM 0.32 writes them.
enum StreamShape {
    static let fingerprint: StaticString = "vllm-0.32.0-penstock"
    static let done: StaticString = "data: [DONE]\n\n"

    /// The role of one choice, told together with the first token and not before.
    static func appendRole(_ generation: Generation, choice: Int, to buffer: inout ByteBuffer) {
        buffer.append(generation.chunkHead)
        buffer.append("{\"index\":")
        buffer.append(decimal: choice)
        buffer.append(
            ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                + "\"finish_reason\":null}]")
        appendContinuousUsage(generation, generation.choices[choice], made: 0, to: &buffer)
        buffer.append(",\"prompt_token_ids\":null,\"prompt_text\":null}\n\n")
    }

    /// Token `number` of a choice; the last one carries the finish reason.
    static func appendToken(
        _ generation: Generation, _ choice: Choice, number: Int, to buffer: inout ByteBuffer
    ) {
        let isLast = choice.isFinished && number == choice.made - 1
        buffer.append(generation.chunkHead)
        buffer.append("{\"index\":")
        buffer.append(decimal: choice.index)
        switch generation.kind {
        case .chat, .messages, .responses:
            buffer.append(",\"delta\":{\"content\":\"")
            choice.text.append(token: number, to: &buffer)
            buffer.append("\"},\"logprobs\":null,\"finish_reason\":")
            append(isLast ? choice.finishReason : nil, to: &buffer)
            if isLast { buffer.append(",\"stop_reason\":null") }
            buffer.append(",\"token_ids\":null}]")
        case .completions, .embeddings:
            buffer.append(",\"text\":\"")
            choice.text.append(token: number, to: &buffer)
            buffer.append("\",\"logprobs\":null,\"finish_reason\":")
            append(isLast ? choice.finishReason : nil, to: &buffer)
            buffer.append(",\"stop_reason\":null,\"prompt_token_ids\":null,\"token_ids\":null}]")
        }
        appendContinuousUsage(generation, choice, made: number + 1, to: &buffer)
        buffer.append("}\n\n")
    }

    /// The chunk without choices that tells the whole usage.
    static func appendUsage(_ generation: Generation, to buffer: inout ByteBuffer) {
        buffer.append(generation.chunkHead)
        buffer.append("]")
        appendCounts(generation.promptTokens, generation.completionTokens, to: &buffer)
        buffer.append(",\"prompt_tokens_details\":{\"cached_tokens\":")
        buffer.append(decimal: generation.cachedTokens.count)
        if generation.kind == .chat { buffer.append(",\"created_cache_tokens\":0") }
        buffer.append("}},\"system_fingerprint\":\"")
        buffer.append(fingerprint)
        buffer.append("\"}\n\n")
    }

    private static func appendContinuousUsage(
        _ generation: Generation, _ choice: Choice, made: Int, to buffer: inout ByteBuffer
    ) {
        guard generation.usage == .withEveryChunk else { return }
        appendCounts(choice.promptTokens, made, to: &buffer)
        if generation.kind == .chat { buffer.append(",\"completion_tokens_details\":null") }
        buffer.append("}")
    }

    /// Up to the point where details follow.
    private static func appendCounts(
        _ prompt: Tokens, _ made: Int, to buffer: inout ByteBuffer
    ) {
        buffer.append(",\"usage\":{\"prompt_tokens\":")
        buffer.append(decimal: prompt.count)
        buffer.append(",\"total_tokens\":")
        buffer.append(decimal: prompt.count + made)
        buffer.append(",\"completion_tokens\":")
        buffer.append(decimal: made)
    }

    private static func append(_ reason: StaticString?, to buffer: inout ByteBuffer) {
        guard let reason else { return buffer.append("null") }
        buffer.append("\"")
        buffer.append(reason)
        buffer.append("\"")
    }
}
