// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// Answers that are not streamed, member for member as vLLM 0.32 writes them.
enum WholeShape {
    /// The dimension of the vectors.
    static let dimension = 64

    static func append(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        switch generation.kind {
        case .messages: return MessagesShape.append(generation, model: model, to: &buffer)
        case .responses: return ResponsesShape.append(generation, model: model, to: &buffer)
        case .chat, .completions, .embeddings: break
        }
        var text = ByteBuffer()
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            json.member("id", generation.id)
            json.member("object", object(generation.kind))
            json.member("created", generation.created)
            json.member("model", model)
            if generation.kind == .embeddings {
                appendVectors(generation, &json, &text)
            } else {
                appendChoices(generation, &json, &text)
                json.member("service_tier", nil as String?)
                json.member("system_fingerprint", StreamShape.fingerprint)
            }
            appendUsage(generation, &json)
            if generation.kind != .embeddings { appendNulls(generation.kind, &json) }
            json.endObject()
        }
    }

    private static func object(_ kind: GenerationRequest.Kind) -> StaticString {
        switch kind {
        case .chat, .messages, .responses: "chat.completion"
        case .completions: "text_completion"
        case .embeddings: "list"
        }
    }

    private static func appendChoices(
        _ generation: Generation, _ json: inout JSONWriter, _ text: inout ByteBuffer
    ) {
        json.key("choices")
        json.beginArray()
        for choice in generation.choices {
            text.removeAll()
            choice.text.append(tokens: 0..<choice.made, to: &text)
            json.beginObject()
            json.member("index", choice.index)
            if generation.kind == .chat {
                appendMessage(text, &json)
            } else {
                json.key("text")
                unsafe json.string(text.readable.bytes)
            }
            json.member("logprobs", nil as String?)
            json.member("finish_reason", choice.finishReason)
            json.member("stop_reason", nil as String?)
            json.member("token_ids", nil as String?)
            if generation.kind == .completions {
                json.member("prompt_logprobs", nil as String?)
                json.member("prompt_token_ids", nil as String?)
            }
            json.member("routed_experts", nil as String?)
            json.endObject()
        }
        json.endArray()
    }

    private static func appendMessage(_ text: borrowing ByteBuffer, _ json: inout JSONWriter) {
        json.key("message")
        json.beginObject()
        json.member("role", "assistant" as StaticString)
        json.key("content")
        unsafe json.string(text.readable.bytes)
        let absent: [StaticString] = [
            "refusal", "annotations", "audio", "function_call", "reasoning",
        ]
        for name in absent { json.member(name, nil as String?) }
        json.endObject()
    }

    private static func appendUsage(_ generation: Generation, _ json: inout JSONWriter) {
        let made = generation.completionTokens
        json.key("usage")
        json.beginObject()
        json.member("prompt_tokens", generation.promptTokens.count)
        json.member("total_tokens", generation.promptTokens.count + made)
        json.member("completion_tokens", made)
        if generation.kind == .embeddings {
            json.member("prompt_tokens_details", nil as String?)
        } else {
            json.key("prompt_tokens_details")
            json.beginObject()
            json.member("cached_tokens", generation.cachedTokens.count)
            json.member("created_cache_tokens", generation.kind == .chat ? 0 : nil as Int?)
            json.member("multimodal_tokens", nil as Int?)
            json.endObject()
        }
        json.member("completion_tokens_details", nil as String?)
        json.endObject()
    }

    private static func appendNulls(_ kind: GenerationRequest.Kind, _ json: inout JSONWriter) {
        let chat: [StaticString] = ["prompt_logprobs", "prompt_token_ids", "prompt_text"]
        let both: [StaticString] = ["kv_transfer_params", "ec_transfer_params", "metrics"]
        for name in (kind == .chat ? chat : []) + both { json.member(name, nil as String?) }
    }

    // MARK: vectors

    private static func appendVectors(
        _ generation: Generation, _ json: inout JSONWriter, _ scratch: inout ByteBuffer
    ) {
        json.key("data")
        json.beginArray()
        for choice in generation.choices {
            let vector = vector(choice.text.seed)
            json.beginObject()
            json.member("index", choice.index)
            json.member("object", "embedding" as StaticString)
            json.key("embedding")
            switch generation.vectorFormat {
            case .numbers:
                json.beginArray()
                for value in vector { json.double(Double(value)) }
                json.endArray()
            case .base64:
                scratch.removeAll()
                appendBase64(vector, to: &scratch)
                unsafe json.string(scratch.readable.bytes)
            }
            json.endObject()
        }
        json.endArray()
    }

    /// A unit vector, the same for the same text.
    private static func vector(_ seed: UInt64) -> [Float] {
        var random = SplitMix64(seed: seed)
        let raw = (0..<dimension).map { _ in Float(random.unit()) - 0.5 }
        let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return raw.map { $0 / max(length, .leastNormalMagnitude) }
    }

    /// RFC 4648 section 4, of the little-endian numbers.
    private static func appendBase64(_ vector: [Float], to buffer: inout ByteBuffer) {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bits: UInt32 = 0
        var count = 0
        for value in vector {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bits = bits << 8 | value.bitPattern >> shift & 0xFF
                count += 8
                while count >= 6 {
                    count -= 6
                    buffer.append(byte: digits[Int(bits >> UInt32(count) & 63)])
                }
            }
        }
        if count > 0 { buffer.append(byte: digits[Int(bits << UInt32(6 - count) & 63)]) }
        while buffer.count % 4 != 0 { buffer.append(byte: UInt8(ascii: "=")) }
    }
}
