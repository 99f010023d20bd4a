// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// `GET /v1/models`: the one model, member for member as vLLM 0.32 shows it.
enum ModelPage {
    /// `created`: seconds since 1970.
    static func write(_ setup: EngineSetup, created: Int, to buffer: inout ByteBuffer) {
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            json.member("object", "list" as StaticString)
            json.key("data")
            json.beginArray()
            json.beginObject()
            json.member("id", setup.model)
            json.member("object", "model" as StaticString)
            json.member("created", created)
            json.member("owned_by", "vllm" as StaticString)
            json.member("root", setup.model)
            json.member("parent", nil as String?)
            json.member("max_model_len", setup.contextLimit.count)
            json.key("permission")
            json.beginArray()
            writePermission(created, &json)
            json.endArray()
            json.endObject()
            json.endArray()
            json.endObject()
        }
    }

    private static func writePermission(_ created: Int, _ json: inout JSONWriter) {
        json.beginObject()
        json.member("id", "modelperm-0000000000000000" as StaticString)
        json.member("object", "model_permission" as StaticString)
        json.member("created", created)
        let rights: [(StaticString, Bool)] = [
            ("allow_create_engine", false), ("allow_sampling", true), ("allow_logprobs", true),
            ("allow_search_indices", false), ("allow_view", true), ("allow_fine_tuning", false),
        ]
        for (name, value) in rights { json.member(name, value) }
        json.member("organization", "*" as StaticString)
        json.member("group", nil as String?)
        json.member("is_blocking", false)
        json.endObject()
    }
}
