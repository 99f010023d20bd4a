// SPDX-License-Identifier: Apache-2.0

import Dialects
import Units
import Wire

/// The end of a stream that has spent its time: the reason is the one of an answer that was cut at
/// its bound, then the usage and the terminator of the dialect. SDKs take it for a normal end.
struct EarlyEnd {
    let dialect: Dialect
    let id: String
    let model: String
    /// Seconds since 1970.
    let created: Int
    let usage: Usage
    /// The client asked for it, where a dialect wants to be asked.
    let isUsageAsked: Bool
    /// What is open.
    let progress: StreamProgress

    func write(to text: inout ByteBuffer) {
        switch dialect {
        case .messages: endMessages(to: &text)
        case .responses: endResponse(to: &text)
        case .chatCompletions, .completions, .embeddings, .countTokens: endChoices(to: &text)
        case .generate, .textGeneration, .textGenerationStream, .completion, .triton,
            .tritonStream:
            NativeEnd(dialect: dialect, model: model, usage: usage).write(to: &text)
        }
    }

    // MARK: chat and completions

    private func endChoices(to text: inout ByteBuffer) {
        chunk(to: &text) { json in
            json.beginArray()
            json.beginObject()
            json.member("index", 0)
            if dialect == .chatCompletions {
                json.key("delta")
                json.beginObject()
                json.endObject()
            } else {
                json.member("text", "")
            }
            json.member("finish_reason", "length")
            json.endObject()
            json.endArray()
        }
        if isUsageAsked {
            chunk(to: &text) { json in
                json.beginArray()
                json.endArray()
                json.key("usage")
                json.beginObject()
                json.member("prompt_tokens", usage.input.count)
                json.member("completion_tokens", usage.output.count)
                json.member("total_tokens", usage.input.count + usage.output.count)
                json.endObject()
            }
        }
        text.append("data: [DONE]\n\n")
    }

    private func chunk(to text: inout ByteBuffer, choices: (inout JSONWriter) -> Void) {
        text.append("data: ")
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("id", (dialect == .chatCompletions ? "chatcmpl-" : "cmpl-") + id)
            json.member(
                "object",
                dialect == .chatCompletions ? "chat.completion.chunk" : "text_completion")
            json.member("created", created)
            json.member("model", model)
            json.key("choices")
            choices(&json)
            json.endObject()
        }
        text.append("\n\n")
    }

    // MARK: messages

    private func endMessages(to text: inout ByteBuffer) {
        if !progress.hasBegun { beginMessage(to: &text) }
        if let block = progress.openBlock {
            event("content_block_stop", to: &text) { json in json.member("index", block) }
        }
        event("message_delta", to: &text) { json in
            json.key("delta")
            json.beginObject()
            json.member("stop_reason", "max_tokens" as StaticString)
            json.member("stop_sequence", nil as String?)
            json.endObject()
            json.key("usage")
            json.beginObject()
            json.member("output_tokens", usage.output.count)
            json.endObject()
        }
        event("message_stop", to: &text) { _ in }
    }

    /// Nothing of the answer has come: it ends empty.
    private func beginMessage(to text: inout ByteBuffer) {
        event("message_start", to: &text) { json in
            json.key("message")
            json.beginObject()
            json.member("id", "msg_" + id)
            json.member("type", "message" as StaticString)
            json.member("role", "assistant" as StaticString)
            json.key("content")
            json.beginArray()
            json.endArray()
            json.member("model", model)
            json.member("stop_reason", nil as String?)
            json.member("stop_sequence", nil as String?)
            json.key("usage")
            json.beginObject()
            json.member("input_tokens", usage.input.count - usage.cachedInput.count)
            json.member("cache_read_input_tokens", usage.cachedInput.count)
            json.member("output_tokens", 0)
            json.endObject()
            json.endObject()
        }
    }

    // MARK: responses

    /// The texts so far went through unread, so that the response that ends the stream has none:
    /// clients have them by their deltas.
    private func endResponse(to text: inout ByteBuffer) {
        event("response.incomplete", to: &text) { json in
            json.member("sequence_number", progress.nextSequence)
            json.key("response")
            json.beginObject()
            json.member("id", progress.id.isEmpty ? "resp_" + id : progress.id)
            json.member("object", "response" as StaticString)
            json.member("created_at", created)
            json.member("status", "incomplete" as StaticString)
            json.member("error", nil as String?)
            json.key("incomplete_details")
            json.beginObject()
            json.member("reason", "max_output_tokens" as StaticString)
            json.endObject()
            json.member("model", model)
            json.key("output")
            json.beginArray()
            json.endArray()
            json.member("parallel_tool_calls", true)
            json.member("tool_choice", "auto" as StaticString)
            json.key("tools")
            json.beginArray()
            json.endArray()
            responseUsage(&json)
            json.endObject()
        }
    }

    private func responseUsage(_ json: inout JSONWriter) {
        json.key("usage")
        json.beginObject()
        json.member("input_tokens", usage.input.count)
        json.key("input_tokens_details")
        json.beginObject()
        json.member("cached_tokens", usage.cachedInput.count)
        json.endObject()
        json.member("output_tokens", usage.output.count)
        json.key("output_tokens_details")
        json.beginObject()
        json.member("reasoning_tokens", usage.reasoning.count)
        json.endObject()
        json.member("total_tokens", usage.input.count + usage.output.count)
        json.endObject()
    }

    /// An event of a kind, with its kind in the data as well.
    private func event(
        _ kind: StaticString, to text: inout ByteBuffer, members: (inout JSONWriter) -> Void
    ) {
        text.append("event: ")
        text.append(kind)
        text.append("\ndata: ")
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("type", kind)
            members(&json)
            json.endObject()
        }
        text.append("\n\n")
    }
}
