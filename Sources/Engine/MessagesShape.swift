// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// Anthropic's messages, whole and streamed, member for member as vLLM 0.32 writes them; but of
/// the prompt what was cached is told apart, as Anthropic does.
enum MessagesShape {
    static func append(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            head(generation, model, &json)
            json.key("content")
            json.beginArray()
            for choice in generation.choices {
                var text = ByteBuffer()
                choice.text.append(tokens: 0..<choice.made, to: &text)
                json.beginObject()
                json.member("type", "text" as StaticString)
                json.key("text")
                unsafe json.string(text.readable.bytes)
                json.endObject()
            }
            json.endArray()
            json.member("stop_reason", reason(generation))
            usage(generation, made: generation.completionTokens, &json)
            json.endObject()
        }
    }

    static func begin(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        TypedShape.event("message_start", to: &buffer) { json in
            json.key("message")
            json.beginObject()
            head(generation, model, &json)
            json.key("content")
            json.beginArray()
            json.endArray()
            json.member("stop_reason", nil as String?)
            json.member("stop_sequence", nil as String?)
            usage(generation, made: 0, &json)
            json.endObject()
        }
        TypedShape.event("content_block_start", to: &buffer) { json in
            json.key("content_block")
            json.beginObject()
            json.member("type", "text" as StaticString)
            json.member("text", "" as StaticString)
            json.endObject()
            json.member("index", 0)
        }
    }

    static func appendToken(_ choice: Choice, number: Int, to buffer: inout ByteBuffer) {
        buffer.append(
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                + "\"delta\":{\"type\":\"text_delta\",\"text\":\"")
        choice.text.append(token: number, to: &buffer)
        buffer.append("\"},\"index\":0}\n\n")
    }

    static func end(_ generation: Generation, to buffer: inout ByteBuffer) {
        TypedShape.event("content_block_stop", to: &buffer) { json in json.member("index", 0) }
        TypedShape.event("message_delta", to: &buffer) { json in
            json.key("delta")
            json.beginObject()
            json.member("stop_reason", reason(generation))
            json.member("stop_sequence", nil as String?)
            json.endObject()
            usage(generation, made: generation.completionTokens, &json)
        }
        TypedShape.event("message_stop", to: &buffer) { _ in }
    }

    private static func head(
        _ generation: Generation, _ model: String, _ json: inout JSONWriter
    ) {
        json.member("id", generation.id)
        json.member("type", "message" as StaticString)
        json.member("role", "assistant" as StaticString)
        json.member("model", model)
    }

    private static func reason(_ generation: Generation) -> StaticString {
        generation.choices.contains { $0.isCut } ? "max_tokens" : "end_turn"
    }

    private static func usage(_ generation: Generation, made: Int, _ json: inout JSONWriter) {
        json.key("usage")
        json.beginObject()
        let cached = generation.cachedTokens.count
        json.member("input_tokens", generation.promptTokens.count - cached)
        json.member("output_tokens", made)
        json.member("cache_creation_input_tokens", 0)
        json.member("cache_read_input_tokens", cached)
        json.endObject()
    }
}

/// Events with their type in both places.
enum TypedShape {
    static func event(
        _ kind: StaticString, to buffer: inout ByteBuffer, members: (inout JSONWriter) -> Void
    ) {
        buffer.append("event: ")
        buffer.append(kind)
        buffer.append("\ndata: ")
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            json.member("type", kind)
            members(&json)
            json.endObject()
        }
        buffer.append("\n\n")
    }
}
