// SPDX-License-Identifier: Apache-2.0

import Policy
import Units
import Wire

/// The answer of `GET /v1/models`: only what the tenant may use.
enum ModelList {
    static func write(_ models: [ModelPolicy], to text: inout ByteBuffer) {
        text.removeAll()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.member("object", "list")
            json.key("data")
            json.beginArray()
            for model in models where !model.removed { write(model, to: &json) }
            json.endArray()
            json.endObject()
        }
    }

    static func write(_ model: ModelPolicy, to text: inout ByteBuffer) {
        text.removeAll()
        JSONWriter.write(into: &text) { write(model, to: &$0) }
    }

    private static func write(_ model: ModelPolicy, to json: inout JSONWriter) {
        json.beginObject()
        json.member("id", model.name)
        json.member("object", "model")
        json.member("created", 0)
        json.member("owned_by", "penstock")
        json.member("max_model_len", model.contextLength.count)
        json.endObject()
    }
}
