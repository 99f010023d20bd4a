// SPDX-License-Identifier: Apache-2.0

import Dialects
import Units
import Wire

/// The end of a stream that has spent its time: a last chunk that says `length`, the usage where
/// the client asked for it, and the terminator. SDKs take it for a normal end.
struct EarlyEnd {
    let dialect: Dialect
    let id: String
    let model: String
    /// Seconds since 1970.
    let created: Int
    let usage: Usage?

    func write(to text: inout ByteBuffer) {
        event(to: &text) { json in
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
        if let usage {
            event(to: &text) { json in
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

    private func event(to text: inout ByteBuffer, choices: (inout JSONWriter) -> Void) {
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
}
