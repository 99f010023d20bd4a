// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// OpenAI's responses, whole and streamed, in the order and with the members of vLLM 0.32 that
/// clients read.
enum ResponsesShape {
    /// Events before the first piece of text: created, in progress, item, part.
    private static let firstDelta = 4

    static func append(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        JSONWriter.write(into: &buffer) { json in
            response(generation, model, isOver: true, &json)
        }
    }

    static func begin(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        for (place, kind) in ["response.created" as StaticString, "response.in_progress"]
            .enumerated()
        {
            TypedShape.event(kind, to: &buffer) { json in
                json.member("sequence_number", place)
                json.key("response")
                response(generation, model, isOver: false, &json)
            }
        }
        TypedShape.event("response.output_item.added", to: &buffer) { json in
            json.member("output_index", 0)
            json.member("sequence_number", 2)
            json.key("item")
            item(generation, text: nil, &json)
        }
        TypedShape.event("response.content_part.added", to: &buffer) { json in
            place(generation, sequence: 3, &json)
            json.key("part")
            part("", &json)
        }
    }

    static func appendToken(
        _ generation: Generation, _ choice: Choice, number: Int, to buffer: inout ByteBuffer
    ) {
        buffer.append(
            "event: response.output_text.delta\n"
                + "data: {\"type\":\"response.output_text.delta\",\"content_index\":0,"
                + "\"logprobs\":[],\"output_index\":0,\"item_id\":\"msg_")
        buffer.append(generation.id)
        buffer.append("\",\"sequence_number\":")
        buffer.append(decimal: firstDelta + number)
        buffer.append(",\"delta\":\"")
        choice.text.append(token: number, to: &buffer)
        buffer.append("\"}\n\n")
    }

    static func end(_ generation: Generation, model: String, to buffer: inout ByteBuffer) {
        let text = text(generation)
        let next = firstDelta + generation.completionTokens
        TypedShape.event("response.output_text.done", to: &buffer) { json in
            place(generation, sequence: next, &json)
            json.key("logprobs")
            json.beginArray()
            json.endArray()
            json.member("text", text)
        }
        TypedShape.event("response.content_part.done", to: &buffer) { json in
            place(generation, sequence: next + 1, &json)
            json.key("part")
            part(text, &json)
        }
        TypedShape.event("response.output_item.done", to: &buffer) { json in
            json.member("output_index", 0)
            json.member("sequence_number", next + 2)
            json.key("item")
            item(generation, text: text, &json)
        }
        TypedShape.event(
            isCut(generation) ? "response.incomplete" : "response.completed", to: &buffer
        ) { json in
            json.member("sequence_number", next + 3)
            json.key("response")
            response(generation, model, isOver: true, &json)
        }
    }

    private static func isCut(_ generation: Generation) -> Bool {
        generation.choices.contains { $0.isCut }
    }

    private static func text(_ generation: Generation) -> String {
        var text = ByteBuffer()
        for choice in generation.choices {
            choice.text.append(tokens: 0..<choice.made, to: &text)
        }
        return unsafe String(decoding: text.readable, as: UTF8.self)
    }

    private static func place(
        _ generation: Generation, sequence: Int, _ json: inout JSONWriter
    ) {
        json.member("content_index", 0)
        json.member("item_id", "msg_" + generation.id)
        json.member("output_index", 0)
        json.member("sequence_number", sequence)
    }

    private static func part(_ text: String, _ json: inout JSONWriter) {
        json.beginObject()
        json.key("annotations")
        json.beginArray()
        json.endArray()
        json.member("text", text)
        json.member("type", "output_text" as StaticString)
        json.endObject()
    }

    private static func item(
        _ generation: Generation, text: String?, _ json: inout JSONWriter
    ) {
        json.beginObject()
        json.member("id", "msg_" + generation.id)
        json.key("content")
        json.beginArray()
        if let text { part(text, &json) }
        json.endArray()
        json.member("role", "assistant" as StaticString)
        json.member("status", text == nil ? "in_progress" : "completed" as StaticString)
        json.member("type", "message" as StaticString)
        json.endObject()
    }

    private static func response(
        _ generation: Generation, _ model: String, isOver: Bool, _ json: inout JSONWriter
    ) {
        json.beginObject()
        json.member("id", generation.id)
        json.member("object", "response" as StaticString)
        json.member("created_at", generation.created)
        json.member("model", model)
        let isCut = isOver && isCut(generation)
        json.member(
            "status", !isOver ? "in_progress" : isCut ? "incomplete" : "completed" as StaticString)
        json.member("error", nil as String?)
        if isCut {
            json.key("incomplete_details")
            json.beginObject()
            json.member("reason", "max_output_tokens" as StaticString)
            json.endObject()
        } else {
            json.member("incomplete_details", nil as String?)
        }
        json.member("max_output_tokens", generation.stated.maxTokens)
        json.key("output")
        json.beginArray()
        if isOver { item(generation, text: text(generation), &json) }
        json.endArray()
        json.member("parallel_tool_calls", true)
        json.member("tool_choice", "auto" as StaticString)
        json.key("tools")
        json.beginArray()
        json.endArray()
        if isOver { usage(generation, &json) } else { json.member("usage", nil as String?) }
        json.endObject()
    }

    private static func usage(_ generation: Generation, _ json: inout JSONWriter) {
        let made = generation.completionTokens
        json.key("usage")
        json.beginObject()
        json.member("input_tokens", generation.promptTokens.count)
        json.key("input_tokens_details")
        json.beginObject()
        json.member("cached_tokens", generation.cachedTokens.count)
        json.endObject()
        json.member("output_tokens", made)
        json.key("output_tokens_details")
        json.beginObject()
        json.member("reasoning_tokens", 0)
        json.endObject()
        json.member("total_tokens", generation.promptTokens.count + made)
        json.endObject()
    }
}
