// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

private func reader(
    _ asked: AskedUsage = [], _ scope: UsageScope = .answer
) -> StreamReader {
    StreamReader(.chatCompletions, asked: asked, scope: scope)
}

extension StreamReader {
    fileprivate mutating func read(_ text: String) -> StreamEvent {
        Array(text.utf8).withRaw { read($0) }
    }
}

/// What the client sees of `data`; nil when it is dropped.
private func shown(_ data: [UInt8], _ event: StreamEvent) -> [UInt8]? {
    switch event.action {
    case .pass: return data
    case .drop, .rewriteError: return nil
    case .cut(let range): return Array(data[..<range.lowerBound] + data[range.upperBound...])
    }
}

struct RecordedStreamTests {
    struct Expected: Sendable {
        var fixture: String
        var scope = UsageScope.answer
        var usage: Usage
        var counted: Int
    }

    static let recorded = [
        Expected(
            fixture: "vllm/chat_stream_usage",
            usage: Usage(input: Tokens(36), output: Tokens(12)), counted: 12),
        Expected(
            fixture: "vllm/chat_stream_usage_continuous",
            usage: Usage(input: Tokens(36), output: Tokens(12)), counted: 12),
        Expected(
            fixture: "vllm/chat_stream_n2_usage",
            // One token is half of a character, and shows with the next.
            usage: Usage(input: Tokens(36), output: Tokens(24)), counted: 23),
        Expected(
            fixture: "vllm/chat_stream_forced_usage",
            usage: Usage(input: Tokens(13), output: Tokens(4)), counted: 4),
        Expected(
            fixture: "vllm/chat_tools_forced_stream",
            // This engine holds tokens of a call back until they are a whole piece.
            usage: Usage(input: Tokens(123), output: Tokens(60)), counted: 33),
        Expected(
            fixture: "vllm/completions_stream_array_usage",
            usage: Usage(input: Tokens(8), output: Tokens(16)), counted: 16),
        Expected(
            fixture: "llamacpp/chat_stream_n2_usage", scope: .choice(perPrompt: 2),
            usage: Usage(input: Tokens(36), cachedInput: Tokens(35), output: Tokens(24)),
            counted: 24),
        Expected(
            fixture: "llamacpp/completions_stream_usage", scope: .choice(perPrompt: 1),
            usage: Usage(input: Tokens(3), cachedInput: Tokens(2), output: Tokens(8)), counted: 8),
        Expected(
            fixture: "llamacpp/completions_stream_array_usage", scope: .choice(perPrompt: 1),
            usage: Usage(input: Tokens(8), cachedInput: Tokens(6), output: Tokens(16)),
            counted: 16),
    ]

    @Test(arguments: recorded)
    func theUsageIsWhatTheEngineSaid(expected: Expected) {
        var reader = reader([], expected.scope)
        for event in Fixture(expected.fixture).events { event.withRaw { _ = reader.read($0) } }
        #expect(reader.usage == expected.usage)
        #expect(reader.counted == Tokens(expected.counted))
        #expect(reader.sawDone)
        #expect(reader.sawFinish)
        #expect(!reader.sawError)
    }

    @Test(arguments: recorded)
    func aClientThatDidNotAskSeesNoUsageAndNoEmptyChoices(expected: Expected) {
        var reader = reader([], expected.scope)
        for data in Fixture(expected.fixture).events {
            let event = data.withRaw { reader.read($0) }
            guard event.kind != .done, let shown = shown(data, event) else { continue }
            let before = JSONValue(data)?.members.filter { $0.name != "usage" }
            let after = JSONValue(shown)
            #expect(after?.members == before)
            // llama.cpp sends a `null` of its own between prompts.
            #expect(after?["choices"]?[0] != nil || after == .null)
        }
    }

    @Test(arguments: recorded)
    func aClientThatAskedSeesEverything(expected: Expected) {
        var reader = reader(.atEnd, expected.scope)
        for data in Fixture(expected.fixture).events {
            #expect(data.withRaw { reader.read($0) }.action == .pass)
        }
    }
}

struct StreamReaderTests {
    @Test(arguments: [
        (
            #"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            StreamEvent.Kind.roleOnly, 0
        ),
        (#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, .roleOnly, 0),
        (#"{"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"#, .content, 1),
        (#"{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#, .content, 1),
        (#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#, .content, 1),
        (#"{"choices":[{"delta":{"reasoning":"x","content":""}}]}"#, .content, 1),
        (#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, .content, 1),
        (#"{"choices":[{"delta":{"tool_calls":[]}}]}"#, .other, 0),
        (#"{"choices":[{"text":"x"},{"text":""},{"text":"y"}]}"#, .content, 2),
        (#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#, .finish, 0),
        (#"{"choices":[{"delta":{}}]}"#, .other, 0),
        (#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#, .usageOnly, 0),
        (#"{"choices":[]}"#, .other, 0),
        ("[DONE]", .done, 0), (" [DONE] \n", .done, 0), ("[DONE", .other, 0), ("", .other, 0),
        (#"{"error":{"message":"x","code":500}}"#, .error, 0),
        (#"{"error":"text"}"#, .error, 0), (#"{"error":null,"choices":[]}"#, .other, 0),
        (#"{"object":"error","message":"x"}"#, .error, 0),
        (#"{"choices":[{"delta":{"content":"x"}}]"#, .other, 0), ("null", .other, 0),
        (#"{"choices":null}"#, .other, 0), (#"{"choices":[null,1,"x",[{}]]}"#, .other, 0),
        (#"{"\u0063hoices":[{"d\u0065lta":{"content":"x"}}]}"#, .content, 1),
    ])
    func eachEventIsWhatItSays(data: String, kind: StreamEvent.Kind, pieces: Int) {
        var reader = reader()
        let event = reader.read(data)
        #expect(event.kind == kind)
        #expect(event.pieces == pieces)
        #expect(reader.counted == Tokens(pieces))
        #expect(reader.sawError == (kind == .error))
        #expect(reader.sawDone == (kind == .done))
    }

    /// Texts that look like usage, an end or an error are texts.
    @Test(arguments: [
        #"{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"}}]}"#,
        #"{"choices":[{"delta":{"content":"\\\\\",\"usage\":null"}}]}"#,
        #"{"choices":[{"delta":{"content":"[DONE]"}}]}"#,
        #"{"choices":[{"delta":{"content":"{\"error\":{}}"}}],"id":"usage","object":"usage"}"#,
        #"{"choices":[{"delta":{"content":"x","usage":{"prompt_tokens":9}},"usage":null}]}"#,
        #"{"choices":[{"delta":{"content":"\u0022usage\u0022:"}}],"x":{"usage":{}}}"#,
    ])
    func textsCannotPassForStructure(data: String) {
        var reader = reader()
        let event = reader.read(data)
        #expect(event.kind == .content)
        #expect(event.action == .pass)
        #expect(reader.usage == nil)
    }

    /// Wherever the member stands, what is left is JSON without it.
    @Test(arguments: [
        (#"{"usage":null,"choices":[{}]}"#, #"{"choices":[{}]}"#),
        (#"{ "usage" : null , "choices":[{}]}"#, #"{ "choices":[{}]}"#),
        (#"{"choices":[{}],"usage":null}"#, #"{"choices":[{}]}"#),
        (#"{"choices":[{}] , "usage" : {"prompt_tokens":1} }"#, #"{"choices":[{}] }"#),
        (#"{"a":1,"usage":{"prompt_tokens":1},"choices":[{}]}"#, #"{"a":1,"choices":[{}]}"#),
        (#"{"usage":null}"#, #"{}"#),
        (#"{"choices":[{}],"us\u0061ge":null}"#, #"{"choices":[{}]}"#),
    ])
    func theUsageIsCutWithItsComma(data: String, left: String) {
        var reader = reader()
        let event = reader.read(data)
        let bytes = shown(Array(data.utf8), event)
        #expect(bytes.map { String(decoding: $0, as: UTF8.self) } == left)
    }

    @Test func theUsageChunkIsDroppedUnlessTheClientAskedForIt() {
        let chunk = #"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#
        for (asked, action) in [
            ([], .drop), (.continuous, .drop), (.atEnd, .pass), ([.atEnd, .continuous], .pass),
        ] as [(AskedUsage, StreamEvent.Action)] {
            var reader = reader(asked)
            #expect(reader.read(chunk).action == action)
            #expect(reader.usage == Usage(input: Tokens(3), output: Tokens(4)))
        }
    }

    @Test func runningUsageStaysForAClientThatAskedForIt() {
        let chunk =
            #"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#
        for (asked, passes) in [([], false), (.continuous, true), (.atEnd, true)]
            as [(AskedUsage, Bool)]
        {
            var reader = reader(asked)
            #expect((reader.read(chunk).action == .pass) == passes)
        }
    }

    @Test func aChunkWithUsageTwiceIsNotShown() {
        var reader = reader()
        #expect(reader.read(#"{"usage":null,"choices":[{}],"usage":null}"#).action == .drop)
    }

    @Test func theLastUsageThatIsNotNullCounts() {
        var reader = reader()
        _ = reader.read(#"{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#)
        _ = reader.read(#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#)
        _ = reader.read(#"{"choices":[],"usage":null}"#)
        #expect(reader.usage == Usage(input: Tokens(3), output: Tokens(9)))
    }

    @Test func runningUsageOfOneChoiceIsNoLessThanWhatWasCounted() {
        var reader = reader(.continuous)
        for index in [0, 1, 0, 1] {
            _ = reader.read(
                """
                {"choices":[{"index":\(index),"delta":{"content":"x"}}],\
                "usage":{"prompt_tokens":3,"completion_tokens":2}}
                """)
        }
        #expect(reader.usage == Usage(input: Tokens(3), output: Tokens(4)))
    }

    @Test func anErrorPassesWhateverElseItHolds() {
        var reader = reader()
        #expect(reader.read(#"{"error":{"message":"x"},"usage":null}"#).action == .pass)
    }

    /// Damaged chunks never trap, and what is shown of them is JSON exactly when they were.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func damagedChunksAreHarmless(seed: UInt64) {
        var maker = JSONMaker(seed: seed)
        let events = Fixture("vllm/chat_stream_usage_continuous").events
        for data in events {
            var reader = reader()
            let damaged = maker.damaged(data)
            let event = damaged.withRaw { reader.read($0) }
            guard event.kind != .done, let shown = shown(damaged, event) else { continue }
            #expect((JSONValue(shown) == nil) == (JSONValue(damaged) == nil))
        }
    }
}
