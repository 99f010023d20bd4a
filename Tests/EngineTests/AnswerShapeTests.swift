// SPDX-License-Identifier: Apache-2.0

import Engine
import TestSupport
import Testing
import Units

/// The simulated engine's answers have the members of a real one's, in the same order.
@Suite struct AnswerShapeTests {
    private let bench: EngineBench

    init() throws { bench = try EngineBench() }

    @Test func aWholeChat() throws {
        let answer = try bench.chat("\"max_tokens\":12,\"ignore_eos\":true")
        #expect(answer.status == 200)
        #expect(answer.value("content-type") == "application/json")
        let json = try #require(answer.json)
        #expect(shape(json) == shape(try Fixture.json("chat_nonstream.resp.http")))
        #expect(json["usage"]?["prompt_tokens"]?.number == 3)
        #expect(json["usage"]?["completion_tokens"]?.number == 12)
        #expect(json["usage"]?["total_tokens"]?.number == 15)
        let content = try #require(json["choices"]?[0]?["message"]?["content"]?.text)
        #expect(content.split(separator: " ").count == 12)
        #expect(json["choices"]?[0]?["finish_reason"]?.text == "length")
    }

    @Test func aWholeCompletion() throws {
        let answer = try bench.post(
            "/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"a b\",\"ignore_eos\":true}")
        let json = try #require(answer.json)
        #expect(shape(json) == shape(try Fixture.json("completions.resp.http")))
        #expect(json["usage"]?["completion_tokens"]?.number == 16, "the default bound")
    }

    @Test func aChatStreamWithUsage() throws {
        let found = try bench.stream(
            "\"max_tokens\":12,\"ignore_eos\":true,\"stream_options\":{\"include_usage\":true}")
        let recorded = try Fixture.events("chat_stream_usage.resp.http")
        #expect(found.map(shape) == recorded.map(shape))
        #expect(found.count == 14, "role, twelve tokens, usage")
        #expect(found.last?["usage"]?["completion_tokens"]?.number == 12)
        #expect(found[12]["choices"]?[0]?["finish_reason"]?.text == "length")
    }

    @Test func aChatStreamWithRunningUsage() throws {
        let found = try bench.stream(
            "\"max_tokens\":12,\"ignore_eos\":true,\"stream_options\":"
                + "{\"include_usage\":true,\"continuous_usage_stats\":true}")
        let recorded = try Fixture.events("chat_stream_usage_continuous.resp.http")
        #expect(found.map(shape) == recorded.map(shape))
        let counts = found.dropLast().map { $0["usage"]?["completion_tokens"]?.number }
        #expect(counts == (0...12).map(Double.init))
    }

    @Test func aChatStreamWithoutUsage() throws {
        let found = try bench.stream("\"max_tokens\":4,\"ignore_eos\":true")
        #expect(found.count == 5)
        #expect(found.allSatisfy { $0["usage"] == nil })
    }

    @Test func twoChoicesInOneStream() throws {
        let found = try bench.stream(
            "\"n\":2,\"max_tokens\":12,\"ignore_eos\":true,"
                + "\"stream_options\":{\"include_usage\":true}")
        let recorded = try Fixture.events("chat_stream_n2_usage.resp.http")
        #expect(Set(found.map(shape)) == Set(recorded.map(shape)))
        #expect(found.count == 27, "two roles, two times twelve tokens, usage")
        let roles = found.prefix(2).map { $0["choices"]?[0]?["index"]?.number }
        #expect(roles == [0, 1])
        #expect(found.last?["usage"]?["prompt_tokens"]?.number == 3, "each prompt once")
        #expect(found.last?["usage"]?["completion_tokens"]?.number == 24)
    }

    @Test func aCompletionStream() throws {
        let caller = try bench.caller()
        try caller.send(
            "POST", "/v1/completions",
            body: "{\"model\":\"tiny\",\"prompt\":\"a b\",\"max_tokens\":8,\"ignore_eos\":true,"
                + "\"stream\":true,\"stream_options\":{\"include_usage\":true}}")
        _ = try caller.head()
        let found = try caller.events().dropLast().map { try #require(JSONValue($0)) }
        let recorded = try Fixture.events("completions_stream_usage.resp.http")
        #expect(found.map(shape) == recorded.map(shape))
    }

    @Test func severalPromptsInOneCompletion() throws {
        let answer = try bench.post(
            "/v1/completions",
            "{\"model\":\"tiny\",\"prompt\":[\"a b\",\"c\"],\"max_tokens\":4,\"ignore_eos\":true}")
        let json = try #require(answer.json)
        #expect(json["choices"]?[1]?["index"]?.number == 1)
        #expect(json["usage"]?["prompt_tokens"]?.number == 3)
        #expect(json["usage"]?["completion_tokens"]?.number == 8)
    }

    @Test func promptsGivenAsTokenNumbers() throws {
        for (prompt, count) in [("[5,6,7]", 3), ("[[5,6],[7]]", 3)] {
            let answer = try bench.post(
                "/v1/completions", "{\"model\":\"tiny\",\"prompt\":\(prompt),\"max_tokens\":1}")
            #expect(answer.json?["usage"]?["prompt_tokens"]?.number == Double(count))
        }
    }

    @Test func embeddings() throws {
        let body = "{\"model\":\"tiny\",\"input\":[\"hello\",\"import os\"]"
        let answer = try bench.post("/v1/embeddings", body + "}")
        let json = try #require(answer.json)
        let recorded = try Fixture.json("embeddings.resp.http")
        #expect(shape(json) == shape(recorded))
        #expect(json["usage"]?["prompt_tokens"]?.number == 3)
        let again = try bench.post("/v1/embeddings", body + "}")
        #expect(again.json?["data"] == json["data"])
        let packed = try bench.post("/v1/embeddings", body + ",\"encoding_format\":\"base64\"}")
        #expect(packed.json?["data"]?[0]?["embedding"]?.text?.utf8.count == 344)
        #expect(try bench.metric("vllm:generation_tokens_total") == 0)
    }

    @Test func models() throws {
        let answer = try bench.caller().call("GET", "/v1/models")
        let json = try #require(answer.json)
        #expect(shape(json) == shape(try Fixture.json("models.resp.http")))
        #expect(json["data"]?[0]?["id"]?.text == "tiny")
        #expect(json["data"]?[0]?["max_model_len"]?.number == 2_048)
    }

    @Test func healthAndVersion() throws {
        let health = try bench.caller().call("GET", "/health")
        #expect(health.status == 200)
        #expect(health.body.isEmpty)
        let version = try bench.caller().call("GET", "/version?x=1")
        #expect(version.text == "{\"version\":\"0.32.0\"}")
    }

    @Test func everySeriesIsOneThatTheRealEngineHas() throws {
        _ = try bench.chat("\"max_tokens\":2")
        let answer = try bench.caller().call("GET", "/metrics")
        #expect(answer.value("content-type") == "text/plain; version=1.0.0; charset=utf-8")
        var known: [String: Set<Substring>] = [:]
        let recorded = String(decoding: try Fixture.bytes("metrics_series.txt"), as: UTF8.self)
        for line in recorded.split(separator: "\n") {
            let parts = line.split(separator: " ")
            known[String(parts[0])] = Set(parts[1].split(separator: ","))
        }
        var found: Set<String> = []
        for line in answer.text.split(separator: "\n") where !line.hasPrefix("#") {
            // Its own one, under a name that no vLLM has.
            if line.hasPrefix("penstock:kv_cache_usage_peak_perc{") { continue }
            let brace = try #require(line.firstIndex(of: "{"))
            let name = String(line[..<brace])
            let inside = line[line.index(after: brace)...].prefix { $0 != "}" }
            let labels = Set(inside.split(separator: ",").map { $0.prefix { $0 != "=" } })
            let allowed = try #require(known[name], "\(name)")
            #expect(labels.isSubset(of: allowed), "\(name)")
            if name != "vllm:cache_config_info" { #expect(labels == allowed, "\(name)") }
            found.insert(name)
        }
        #expect(found.count > 60)
    }
}
