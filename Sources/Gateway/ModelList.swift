// SPDX-License-Identifier: Apache-2.0

import Policy
import Units
import Wire

/// The answer of `GET /v1/models`: only what the tenant may use.
enum ModelList {
    static func write(_ models: [ModelPolicy], to text: inout ByteBuffer) {
        text.removeAll()
        var json = JSONWriter()
        json.beginObject()
        json.member("object", "list")
        json.key("data")
        json.beginArray()
        for model in models where !model.removed { write(model, to: &json) }
        json.endArray()
        json.endObject()
        unsafe text.append(json.readable)
    }

    static func write(_ model: ModelPolicy, to text: inout ByteBuffer) {
        text.removeAll()
        var json = JSONWriter()
        write(model, to: &json)
        unsafe text.append(json.readable)
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
