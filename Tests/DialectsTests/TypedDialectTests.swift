// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

private func messages(_ members: String) -> String {
    #"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],\#(members)}"#
}

struct MessagesBodyTests {
    @Test func theSystemsPromptIsReadAsOneMessageMore() throws {
        let text = try Inspected(messages(#""system":"be kind""#), .messages)
        #expect(text.meter.strings.filter { !$0.isEmpty } == ["hi", "be kind"])
        #expect(text.inspection.messages == 2)
        #expect(text.inspection.bound == Tokens(9))
        let blocks = messages(#""system":[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#)
        let parts = try Inspected(blocks, .messages)
        #expect(parts.meter.strings.filter { !$0.isEmpty } == ["hi", "a", "b"])
        #expect(try Inspected(messages(#""system":null"#), .messages).inspection.messages == 1)
    }

    @Test func callsAndTheirResultsAreText() throws {
        let body = #"""
            {"model":"m","max_tokens":1,"messages":[
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"zzz"},
            {"type":"tool_use","id":"t1","name":"look","input":{"at":"sky"}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"blue"},
            {"type":"tool_result","tool_use_id":"t2",
            "content":[{"type":"text","text":"far"}]}]}],
            "tools":[{"name":"look","input_schema":{"type":"object"}}]}
            """#
        let found = try Inspected(body, .messages)
        #expect(
            found.meter.strings.filter { !$0.isEmpty }
                == ["hm", "look", #"{"at":"sky"}"#, "blue", "far"])
        #expect(
            found.tools.strings.joined() == #"[{"name":"look","input_schema":{"type":"object"}}]"#)
        #expect(found.inspection.tools)
    }

    @Test func documentsAreTextOrMediaAndImagesAreImages() throws {
        func parts(_ parts: String) throws -> Inspected {
            try Inspected(
                #"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[\#(parts)]}]}"#,
                .messages)
        }
        let plain = try parts(
            #"{"source":{"data":"words","media_type":"text/plain","type":"text"},"#
                + #""title":"T","type":"document"}"#)
        #expect(plain.meter.strings.filter { !$0.isEmpty } == ["T", "words"])
        #expect(plain.inspection.otherMedia == 0)
        #expect(plain.inspection.images == 0)
        let file = try parts(
            #"{"type":"document","source":{"type":"url","url":"https://x/y.pdf"}}"#)
        #expect(file.inspection.otherMedia == 1)
        let inner = try parts(
            #"{"type":"document","source":{"type":"content","content":"#
                + #"[{"type":"text","text":"in"}]}}"#)
        #expect(inner.meter.strings.filter { !$0.isEmpty } == ["in"])
        #expect(inner.inspection.otherMedia == 0)
        let image = try parts(#"{"type":"image","source":{"type":"url","url":"https://x/y"}}"#)
        #expect(image.inspection.images == 1)
    }

    @Test func theBoundIsRequiredButForCounting() throws {
        let body = #"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#
        #expect(fault(body, .messages) == .missing(.maxTokens))
        #expect(fault(body, .countTokens) == nil)
        #expect(
            fault(messages(#""system":7"#), .messages) == .wrongType(.system, expected: .texts))
        #expect(fault(#"{"model":"m","max_tokens":1}"#, .messages) == .missing(.messages))
    }

    @Test func choicesOfOtherDialectsMultiplyNothing() throws {
        #expect(try Inspected(messages(#""n":8"#), .messages).inspection.choices == 1)
        let body = #"{"model":"m","input":"x","best_of":8}"#
        #expect(try Inspected(body, .responses).inspection.choices == 1)
    }

    @Test func inOtherDialectsTheSystemsMemberIsNobodys() throws {
        let found = try Inspected(chat(#""system":{"any":1},"instructions":"no""#))
        #expect(found.meter.strings.filter { !$0.isEmpty } == ["hi"])
        #expect(found.inspection.messages == 1)
    }
}

struct ResponsesBodyTests {
    @Test func theInputIsATextOrItems() throws {
        let text = try Inspected(
            #"{"model":"m","input":"hi","instructions":"be kind","max_output_tokens":7}"#,
            .responses)
        #expect(text.meter.strings.filter { !$0.isEmpty } == ["hi", "be kind"])
        #expect(text.inspection.messages == 2)
        #expect(text.inspection.bound == Tokens(7))
        let items = try Inspected(
            #"""
            {"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"},
            {"type":"input_image","image_url":"https://x/y"}]},
            {"type":"reasoning","id":"r","summary":[],"encrypted_content":"zzzzzz"},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{\"x\":1}"},
            {"type":"function_call_output","call_id":"c","output":"42"}]}
            """#, .responses)
        #expect(
            items.meter.strings.filter { !$0.isEmpty } == ["a", "[]", "f", #"{"x":1}"#, "42"])
        #expect(items.inspection.messages == 4)
        #expect(items.inspection.images == 1)
    }

    @Test func boundsThatEnginesPassOverPromiseNothing() throws {
        let body = #"{"model":"m","input":"x","max_tokens":5,"max_completion_tokens":6}"#
        #expect(try Inspected(body, .responses).inspection.bound == nil)
        let llama = #"{"model":"m","input":"x","max_output_tokens":5,"n_predict":6}"#
        #expect(try Inspected(llama, .responses).inspection.bound == Tokens(6))
    }

    @Test func nobodyGeneratesUnseen() throws {
        let body = #"{"model":"m","input":"x","background":true}"#
        #expect(fault(body, .responses) == .notAllowed(.background))
        #expect(fault(body.replacingFirst("true", with: "false"), .responses) == nil)
        #expect(fault(body.replacingFirst("true", with: "1"), .responses) != nil)
    }

    @Test func wrongInputsAreNamed() {
        #expect(
            fault(#"{"model":"m","input":7}"#, .responses)
                == .wrongType(.input, expected: .items))
        #expect(
            fault(#"{"model":"m","input":["x"]}"#, .responses)
                == .wrongElement(.input, index: 0, expected: .object))
        #expect(fault(#"{"model":"m","input":[]}"#, .responses) == .empty(.input))
        #expect(fault(#"{"model":"m","input":null}"#, .responses) == .missing(.input))
        #expect(fault(#"{"model":"m"}"#, .responses) == .missing(.input))
    }
}

struct TypedEditTests {
    private func edited(_ body: String, _ bound: Int?, _ dialect: Dialect) throws -> String? {
        let inspection = try Inspected(body, dialect).inspection
        let edits = BodyEdits(bound: bound.map { Tokens($0) })
        return Array(body.utf8).withRaw { raw in
            var buffer = ByteBuffer()
            let outcome = apply(body: raw, inspection: inspection, edits: edits, into: &buffer)
            return outcome == .edited ? buffer.string : nil
        }
    }

    @Test(arguments: [
        (#"{"model":"m","input":"x"}"#, #"{"max_output_tokens":9,"model":"m","input":"x"}"#),
        (
            #"{"model":"m","input":"x","max_output_tokens":100}"#,
            #"{"model":"m","input":"x","max_output_tokens":9}"#
        ),
        (
            #"{"model":"m","input":"x","max_output_tokens":null,"max_tokens":7}"#,
            #"{"model":"m","input":"x","max_output_tokens":9,"max_tokens":9}"#
        ),
    ])
    func theBoundOfResponsesHasItsOwnName(body: String, sent: String) throws {
        #expect(try edited(body, 9, .responses) == sent)
    }

    @Test func theBoundOfMessagesIsTheOldOne() throws {
        let sent = try edited(messages(#""stream":true"#), 4, .messages)
        #expect(sent == messages(#""stream":true"#).replacingFirst(":9,", with: ":4,"))
        #expect(try edited(messages(#""x":1"#), nil, .messages) == nil)
    }
}

struct TypedStreamTests {
    struct Expected: Sendable {
        var fixture: String
        var dialect: Dialect
        var usage: Usage
        var counted: Int
    }

    static let recorded = [
        Expected(
            fixture: "vllm/anthropic_messages_stream", dialect: .messages,
            usage: Usage(input: Tokens(13), output: Tokens(4)), counted: 4),
        Expected(
            fixture: "llamacpp/anthropic_messages_stream", dialect: .messages,
            usage: Usage(input: Tokens(13), cachedInput: Tokens(12), output: Tokens(4)),
            counted: 4),
        Expected(
            // Half a character shows with the next token.
            fixture: "vllm/responses_stream", dialect: .responses,
            usage: Usage(input: Tokens(14), output: Tokens(4)), counted: 3),
        Expected(
            fixture: "llamacpp/responses_stream", dialect: .responses,
            usage: Usage(input: Tokens(14), cachedInput: Tokens(13), output: Tokens(4)),
            counted: 4),
    ]

    @Test(arguments: recorded)
    func theUsageIsWhatTheEngineSaid(expected: Expected) {
        var reader = StreamReader(expected.dialect, asked: [], scope: .answer)
        for event in Fixture(expected.fixture).events {
            let found = event.withRaw { reader.read($0) }
            #expect(found.action == .pass)
        }
        #expect(reader.usage == expected.usage)
        #expect(reader.counted == Tokens(expected.counted))
        #expect(reader.sawDone)
        #expect(reader.sawFinish)
        #expect(!reader.sawError)
        #expect(reader.progress.hasBegun)
        #expect(reader.progress.openBlock == nil)
    }

    @Test(arguments: recorded)
    func aStreamThatBreaksOffIsWorthWhatWasCounted(expected: Expected) {
        var reader = StreamReader(expected.dialect, asked: [], scope: .answer)
        var counted = 0
        for event in Fixture(expected.fixture).events {
            counted += event.withRaw { reader.read($0) }.pieces
            if counted == 2 { break }
        }
        #expect(!reader.sawDone)
        if expected.dialect == .messages {
            #expect(reader.usage?.output == Tokens(2))
            #expect(reader.usage?.input == expected.usage.input)
            #expect(reader.progress.openBlock == 0)
        } else {
            #expect(reader.usage == nil)
            #expect(reader.counted == Tokens(2))
            #expect(reader.progress.id.hasPrefix("resp_"))
            #expect(reader.progress.nextSequence > 2)
        }
    }

    @Test(arguments: [
        ("vllm/anthropic_messages", Dialect.messages, 13, 0, 6),
        ("llamacpp/anthropic_messages", .messages, 13, 6, 6),
        ("vllm/responses_nonstream", .responses, 14, 0, 6),
    ])
    func aWholeAnswerSaysWhatItTook(
        fixture: String, dialect: Dialect, input: Int, cached: Int, output: Int
    ) {
        let taken = Fixture(fixture).body.withRaw {
            usage(inAnswer: $0, of: dialect, scope: .answer)
        }
        #expect(
            taken
                == Usage(
                    input: Tokens(input), cachedInput: Tokens(cached), output: Tokens(output)))
    }

    @Test(arguments: [
        (
            Dialect.messages,
            #"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#
        ),
        (.messages, #"{"error":{"message":"x"}}"#),
        (.responses, #"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#),
        (.responses, #"{"type":"error","code":"x","message":"y","sequence_number":3}"#),
    ])
    func errorsAreSeen(dialect: Dialect, data: String) {
        var reader = StreamReader(dialect, asked: [], scope: .answer)
        #expect(Array(data.utf8).withRaw { reader.read($0) }.kind == .error)
        #expect(reader.sawError)
    }

    /// Clients would pass over them, or take them for answers.
    @Test(
        arguments: [
            (Dialect.chatCompletions, #"{"object":"error","message":"broke","code":400}"#, "broke"),
            (.chatCompletions, #"{"error":"broke"}"#, "broke"),
            (.messages, #"{"error":"broke"}"#, "broke"),
            (.messages, #"{"object":"error","message":"broke"}"#, "broke"),
            (.messages, #"{"error":{"message":"broke"}}"#, nil),
        ] as [(Dialect, String, String?)])
    func errorsInForeignFormsAreToBeToldAnew(dialect: Dialect, data: String, text: String?) {
        var reader = StreamReader(dialect, asked: [], scope: .answer)
        let bytes = Array(data.utf8)
        guard case .rewriteError(let range) = bytes.withRaw({ reader.read($0) }).action else {
            Issue.record("\(data) passes")
            return
        }
        #expect(range.map { String(decoding: bytes[$0], as: UTF8.self) } == text)
        #expect(reader.sawError)
    }

    @Test func whatStandsInTextsIsNoStructure() {
        var reader = StreamReader(.messages, asked: [], scope: .answer)
        let data =
            #"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","#
            + #""text":"\"type\":\"message_stop\",\"usage\":{\"output_tokens\":99}"}}"#
        #expect(Array(data.utf8).withRaw { reader.read($0) }.kind == .content)
        #expect(!reader.sawDone)
        #expect(reader.usage == nil)
    }

    @Test func whatIsNoTextIsNoToken() {
        var reader = StreamReader(.messages, asked: [], scope: .answer)
        for delta in [
            #"{"type":"signature_delta","signature":"zzz"}"#, #"{"type":"text_delta","text":""}"#,
            #"{"type":"citations_delta","citation":{"text":"x"}}"#,
        ] {
            let data = #"{"type":"content_block_delta","index":0,"delta":\#(delta)}"#
            _ = Array(data.utf8).withRaw { reader.read($0) }
        }
        #expect(reader.counted == .zero)
        let call = #"{"type":"content_block_delta","index":1,"delta":{"partial_json":"{"}}"#
        _ = Array(call.utf8).withRaw { reader.read($0) }
        #expect(reader.counted == Tokens(1))
    }
}

struct AnthropicErrorTests {
    @Test func theCodeStandsInTheDetails() {
        var buffer = ByteBuffer()
        ErrorShape.anthropic.write(
            ErrorDetail(
                message: "Wait.", type: "rate_limit_error", code: "tokens_per_minute_exceeded",
                requestID: "r-1"), into: &buffer)
        #expect(
            buffer.string
                == #"{"type":"error","error":{"type":"rate_limit_error","message":"Wait.","#
                + #""details":{"error_code":"tokens_per_minute_exceeded"}},"request_id":"r-1"}"#)
    }

    @Test(arguments: [
        ("/v1/messages", true), ("/v1/messages?beta=true", true),
        ("/v1/messages/count_tokens", true), ("/v1/messages/x", true),
        ("/v1/messagesx", false), ("/v1/chat/completions", false), ("", false),
    ])
    func thePathTellsWhoseErrorsAreSpoken(target: String, isAnthropic: Bool) {
        let errors = Array(target.utf8).withRaw { Route.errors(of: $0) }
        #expect(errors == (isAnthropic ? .anthropic : .openAI))
    }
}
