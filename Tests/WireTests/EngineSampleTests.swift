// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing
import Units
import Wire

private func fixture(_ name: String) throws -> [UInt8] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let file = unsafe try #require(fopen("/\(folder)/Fixtures/\(name)", "rb"))
    defer { unsafe _ = fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
}

/// The content of a recorded answer, which must be exactly as long as its framing says.
private func content(_ name: String) throws -> (head: ResponseReading, body: [UInt8]) {
    let bytes = try fixture(name)
    let head = ResponseReading(bytes, method: .post)
    #expect(head.fault == nil)
    let taken = try #require(head.taken)
    let rest = Array(bytes[taken...])
    switch head.head.framing {
    case .none:
        #expect(rest.isEmpty)
        return (head, [])
    case .length(let length):
        #expect(rest.count == length)
        return (head, rest)
    case .untilClose:
        return (head, rest)
    case .chunked:
        let body = ChunkedReading(rest)
        #expect(body.fault == nil)
        #expect(body.taken == rest.count)
        return (head, body.content)
    }
}

/// The data of all events.
private func events(_ bytes: [UInt8]) -> [String] {
    var splitter = SSESplitter()
    var events: [String] = []
    var from = 0
    while let end = unsafe splitter.nextBlockEnd(bytes.span.bytes, from: from) {
        let block = unsafe SSEBlock(bytes.span.bytes, from..<end)
        if block.kind == .data {
            events.append(String(decoding: bytes[block.data.range], as: UTF8.self))
        }
        from = end
    }
    #expect(from == bytes.count)
    return events
}

@Test(arguments: [
    ("vllm-health.http", 200, Framing.length(0)), ("vllm-err_401_no_key.http", 401, .length(24)),
    ("vllm-orca_text.http", 200, .length(823)), ("vllm-chat_stream_usage.http", 200, .chunked),
    ("vllm-anthropic_messages_stream.http", 200, .chunked),
    ("vllm-responses_stream.http", 200, .chunked), ("vllm-chat_http10.http", 200, .chunked),
    ("llamacpp-health.http", 200, .length(15)),
    ("llamacpp-health_loading_503.http", 503, .length(75)),
    ("llamacpp-metrics_under_load.http", 200, .length(2595)),
    ("llamacpp-chat_stream_usage.http", 200, .chunked),
    ("llamacpp-anthropic_messages_stream.http", 200, .chunked),
])
func aRecordedAnswerParsesToItsEnd(name: String, status: Int, framing: Framing) throws {
    let (head, _) = try content(name)
    #expect(head.head.status == status)
    #expect(head.head.framing == framing)
    #expect(!head.head.keepAlive)
}

@Test func anEmptyFieldValueOfLlamaCppIsAccepted() throws {
    let (head, _) = try content("llamacpp-health.http")
    let field = head.head.fields.first { head.text($0.name) == "Access-Control-Allow-Origin" }
    #expect(field?.value.isEmpty == true)
}

@Test func aLoadReportOfVLLMIsRecognised() throws {
    let (head, _) = try content("vllm-orca_text.http")
    #expect(head.value(.endpointLoadMetrics)?.hasPrefix("TEXT named_metrics.") == true)
}

@Test(arguments: ["vllm-chat_stream_usage.http", "llamacpp-chat_stream_usage.http"])
func aRecordedChatStreamIsSplitIntoItsEvents(name: String) throws {
    let events = events(try content(name).body)
    #expect(events.count > 5)
    #expect(events.last == "[DONE]")
    #expect(events.dropLast().allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
    #expect(events[events.count - 2].contains("\"usage\":{"))
}

@Test(arguments: ["vllm-anthropic_messages_stream.http", "llamacpp-anthropic_messages_stream.http"])
func aRecordedMessageStreamNamesItsEvents(name: String) throws {
    let bytes = try content(name).body
    var splitter = SSESplitter()
    let end = try #require(unsafe splitter.nextBlockEnd(bytes.span.bytes, from: 0))
    let block = unsafe SSEBlock(bytes.span.bytes, 0..<end)
    let event = try #require(block.event)
    #expect(String(decoding: bytes[event.range], as: UTF8.self) == "message_start")
    #expect(events(bytes).last?.contains("message_stop") == true)
}

@Test(arguments: [
    ("llamacpp-metrics_counters_above_1e6.http", "llamacpp:prompt_tokens_total", 1.3e6),
    ("llamacpp-metrics_under_load.http", "llamacpp:requests_processing", 4),
    ("vllm-metrics-excerpt.txt", "vllm:kv_cache_usage_perc", 0.38095238095238093),
    ("vllm-metrics-excerpt.txt", "vllm:num_requests_running", 8),
])
func aRecordedScrapeIsRead(name: String, metric: String, value: Double) throws {
    let bytes = name.hasSuffix(".txt") ? try fixture(name) : try content(name).body
    var parser = PrometheusText()
    var sample = PrometheusSample()
    var found: [Double] = []
    var count = 0
    while try unsafe parser.next(bytes.span.bytes, into: &sample) {
        count += 1
        let name = String(decoding: bytes[sample.name.range], as: UTF8.self)
        if name == metric { found.append(sample.value) }
    }
    #expect(found == [value])
    let lines = bytes.split(separator: 0x0A).filter { $0.first != UInt8(ascii: "#") }
    #expect(count == lines.count)
}

@Test func theCacheConfigurationOfVLLMIsInItsLabels() throws {
    let bytes = try fixture("vllm-metrics-excerpt.txt")
    var parser = PrometheusText()
    var sample = PrometheusSample()
    while try unsafe parser.next(bytes.span.bytes, into: &sample) {
        guard unsafe bytes.span.bytes.equals(sample.name, "vllm:cache_config_info") else {
            continue
        }
        #expect(
            unsafe sample.label("block_size", bytes.span.bytes)?.text(bytes.span.bytes) == "128")
        return
    }
    Issue.record("no configuration found")
}
