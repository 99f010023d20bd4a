// SPDX-License-Identifier: Apache-2.0

import Dialects
import Units
import Wire

/// The end of a stream on an engine's own path that has spent its time: as if the answer had
/// reached its bound.
struct NativeEnd {
    let dialect: Dialect
    let model: String
    let usage: Usage

    func write(to text: inout ByteBuffer) {
        text.append("data: ")
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            switch dialect {
            case .generate: generate(&json)
            case .completion: completion(&json)
            case .triton, .tritonStream:
                json.member("model_name", model)
                json.member("text_output", "" as StaticString)
            default: textGeneration(&json)
            }
            json.endObject()
        }
        text.append("\n\n")
        if dialect == .generate { text.append("data: [DONE]\n\n") }
    }

    private func generate(_ json: inout JSONWriter) {
        json.member("text", "" as StaticString)
        json.key("meta_info")
        json.beginObject()
        json.key("finish_reason")
        json.beginObject()
        json.member("type", "length" as StaticString)
        json.member("length", usage.output.count)
        json.endObject()
        json.member("prompt_tokens", usage.input.count)
        json.member("completion_tokens", usage.output.count)
        json.member("cached_tokens", usage.cachedInput.count)
        json.endObject()
    }

    private func completion(_ json: inout JSONWriter) {
        json.member("index", 0)
        json.member("content", "" as StaticString)
        json.member("stop", true)
        json.member("stop_type", "limit" as StaticString)
        json.member("truncated", false)
        json.member("tokens_predicted", usage.output.count)
        json.member("tokens_evaluated", usage.input.count)
    }

    private func textGeneration(_ json: inout JSONWriter) {
        json.member("index", usage.output.count + 1)
        json.key("token")
        json.beginObject()
        json.member("id", 0)
        json.member("text", "" as StaticString)
        json.member("logprob", 0.0)
        json.member("special", true)
        json.endObject()
        json.member("generated_text", "" as StaticString)
        json.key("details")
        json.beginObject()
        json.member("finish_reason", "length" as StaticString)
        json.member("generated_tokens", usage.output.count)
        json.member("input_length", usage.input.count)
        json.endObject()
    }
}
