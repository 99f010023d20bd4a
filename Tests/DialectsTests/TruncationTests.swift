// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units
import Wire

/// A byte costs a unit, a message ten more.
private struct Bytes: TextMeter {
    var count = 0
    mutating func feed(_ text: RawSpan) { count += text.byteCount }
    mutating func boundary() {}
    static func cost(_ meter: Bytes, _ inspection: Inspection) -> Int {
        meter.count + 10 * inspection.messages
    }
}

private func inspected(_ body: [UInt8], _ dialect: Dialect) throws(BodyFault) -> (Inspection, Int) {
    var inspection = Inspection()
    var texts = Bytes()
    var tools = Bytes()
    try unsafe inspect(
        body.span.bytes, dialect, meter: &texts, tools: &tools, into: &inspection)
    return (inspection, Bytes.cost(texts, inspection))
}

/// The body without so much of its prompt; nil where that cannot be.
private func truncated(
    _ body: [UInt8], _ truncation: Truncation, excess: Int, _ dialect: Dialect = .chatCompletions
) throws -> [UInt8]? {
    let (inspection, _) = try inspected(body, dialect)
    var buffer = ByteBuffer()
    let isCut = unsafe truncate(
        body.span.bytes, inspection, truncation, excess: excess, meter: Bytes(), cost: Bytes.cost,
        into: &buffer)
    #expect(isCut != buffer.isEmpty)
    return isCut ? unsafe Array(buffer.readable) : nil
}

private func chat(_ messages: String...) -> [UInt8] {
    Array("{\"model\":\"m\", \"messages\": [\(messages.joined(separator: " , "))],\"n\":1}".utf8)
}

private func message(_ role: String, _ text: String) -> String {
    "{\"role\": \"\(role)\", \"content\":\"\(text)\"}"
}

@Suite("Truncation: whole messages")
struct OldestMessagesTests {
    private let first = message("user", "aaaaaaaaaa")
    private let second = message("assistant", "bbbbbbbbbb")
    private let third = message("user", "cccccccccc")
    private let system = message("system", "be kind")

    @Test("the oldest messages go until enough is gone, and a chat begins with a user's")
    func oldest() throws {
        let body = chat(first, second, third)
        #expect(try truncated(body, .oldestMessages, excess: 1) == chat(third))
        #expect(try truncated(body, .oldestMessages, excess: 40) == chat(third))
        #expect(try truncated(body, .oldestMessages, excess: 41) == nil)
    }

    @Test("instructions stay, wherever they stand")
    func instructions() throws {
        let body = chat(system, first, second, system, third)
        #expect(try truncated(body, .oldestMessages, excess: 20) == chat(system, system, third))
        let developer = message("developer", "be brief")
        #expect(
            try truncated(chat(first, developer, third), .oldestMessages, excess: 5)
                == chat(developer, third))
    }

    @Test("results of calls go with the calls")
    func calls() throws {
        let call = "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"x\"}]}"
        let result = "{\"role\":\"tool\",\"tool_call_id\":\"x\",\"content\":\"42\"}"
        let body = chat(first, call, result, result, second, third)
        #expect(try truncated(body, .oldestMessages, excess: 21) == chat(third))
        // What a user asked for last stays, and so does what stands last.
        let agent = chat(system, third, call, result, call, result)
        #expect(
            try truncated(agent, .oldestMessages, excess: 5) == chat(system, third, call, result))
        let anthropic = "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"content\":1}]}"
        #expect(
            try truncated(chat(third, second, anthropic, third), .oldestMessages, excess: 20)
                == chat(third))
    }

    @Test("nothing else changes by a byte", arguments: 0..<300 as Range<UInt64>)
    func onlyWholeMessages(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func draw(_ most: Int) -> Int { Int(random.next() % UInt64(most)) }
        let texts = ["", "a", "\\u00e9\\ud83d\\ude00", "水 \\\"x\\\" {[,", "long and plain " + "x"]
        let messages = (0..<1 + draw(12)).map { _ -> String in
            let role = ["user", "assistant", "system", "tool", "developer"][draw(5)]
            let space = ["", " ", "\n  "][draw(3)]
            return "{\(space)\"role\":\"\(role)\",\(space)\"content\":\"\(texts[draw(5)])\"}"
        }
        let comma = [",", " ,\n"][draw(2)]
        let joined = messages.joined(separator: comma)
        let before = "{\"model\":\"m\",\"messages\":[" + ["", " "][draw(2)]
        let after = ["", " "][draw(2)] + "],\"x\":[1,{\"messages\":[]}]}"
        let body = Array((before + joined + after).utf8)
        let (_, whole) = try inspected(body, .chatCompletions)
        let excess = 1 + draw(100)
        guard let shorter = try truncated(body, .oldestMessages, excess: excess) else { return }
        let (inspection, left) = try inspected(shorter, .chatCompletions)
        #expect(whole - left >= excess)
        #expect(inspection.messages < messages.count)
        let text = String(decoding: shorter, as: UTF8.self)
        #expect(text.hasPrefix(before) && text.hasSuffix(after))
        // What is left are some of the messages, in their order, all instructions among them.
        var kept = text.dropFirst(before.count)
        for one in messages {
            guard kept.hasPrefix(one) else {
                #expect(!one.contains("system") && !one.contains("developer"))
                continue
            }
            kept = kept.dropFirst(one.count)
            if kept.hasPrefix(comma) { kept = kept.dropFirst(comma.count) }
        }
        #expect(String(kept) == after)
    }
}

@Suite("Truncation: the middle of texts")
struct MiddleTests {
    @Test("the longest text loses its middle")
    func longest() throws {
        let long = String(repeating: "0123456789", count: 40)
        let body = chat(message("system", long + long), message("user", long), message("user", "?"))
        let shorter = try #require(try truncated(body, .middle, excess: 100))
        let (_, whole) = try inspected(body, .chatCompletions)
        let (_, left) = try inspected(shorter, .chatCompletions)
        #expect(whole - left >= 100 && whole - left < 140)
        let text = String(decoding: shorter, as: UTF8.self)
        #expect(text.contains(long + long))
        #expect(text.contains("\"0123456789") && text.contains("0123456789\"}"))
    }

    @Test("a prompt of completions is cut alike, ids are not")
    func prompts() throws {
        let long = String(repeating: "word ", count: 200)
        let body = Array("{\"model\":\"m\",\"prompt\":\"\(long)\"}".utf8)
        let shorter = try #require(try truncated(body, .middle, excess: 500, .completions))
        #expect(shorter.count < body.count - 500)
        _ = try inspected(shorter, .completions)
        let ids = Array(
            "{\"model\":\"m\",\"prompt\":[\(long.map { _ in "1" }.joined(separator: ","))]}".utf8)
        #expect(try truncated(ids, .middle, excess: 5, .completions) == nil)
    }

    @Test("what is too short to be cut is not")
    func short() throws {
        let few: [UInt8] = chat(message("user", "a few words"))
        #expect(try truncated(few, .middle, excess: 5) == nil)
        let long = message("user", String(repeating: "a", count: 100))
        #expect(try truncated(chat(long), .middle, excess: 90) == nil)
    }

    @Test(
        "escapes, pairs of surrogates and characters stay whole",
        arguments: 0..<300 as Range<UInt64>)
    func wholeCharacters(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func draw(_ most: Int) -> Int { Int(random.next() % UInt64(most)) }
        let pieces = ["a", "\\n", "\\u00e9", "\\ud83d\\ude00", "水", "😀", "é", "\\\\", "\\\"", " "]
        func text() -> String { (0..<60 + draw(300)).map { _ in pieces[draw(10)] }.joined() }
        let part = { "{\"type\":\"text\",\"text\":\"\(text())\"}" }
        let parts = "[\(part()),\(part())]"
        let body = chat(
            message("system", text()), message("user", text()),
            "{\"role\":\"user\",\"content\":\(parts)}")
        let excess = 1 + draw(400)
        let (_, whole) = try inspected(body, .chatCompletions)
        guard let shorter = try truncated(body, .middle, excess: excess) else { return }
        let (inspection, left) = try inspected(shorter, .chatCompletions)
        #expect(inspection.messages == 3)
        #expect(left < whole)
        // It is what a body becomes by taking bytes out: no byte is new.
        var at = 0
        for byte in body where at < shorter.count && shorter[at] == byte { at += 1 }
        #expect(at == shorter.count)
    }
}
