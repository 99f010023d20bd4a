// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units
import Wire

/// Keeps the texts that it is fed.
struct KeepingMeter: TextMeter {
    var texts: [[UInt8]] = []

    mutating func feed(_ text: RawSpan) {
        if texts.isEmpty { texts.append([]) }
        texts[texts.count - 1] += unsafe text.withUnsafeBytes { unsafe Array($0) }
    }
    mutating func boundary() { texts.append([]) }

    var strings: [String] { texts.map { String(decoding: $0, as: UTF8.self) } }
}

/// What an inspection gave.
struct Inspected {
    var inspection = Inspection()
    var meter = KeepingMeter()
    var tools = KeepingMeter()

    init(
        _ body: [UInt8], _ dialect: Dialect = .chatCompletions, maxDepth: Int = 64
    ) throws(BodyFault) {
        let limits = InspectionLimits(maxDepth: maxDepth)
        var inspection = Inspection()
        var meter = KeepingMeter()
        var tools = KeepingMeter()
        try body.withRaw { (raw: RawSpan) throws(BodyFault) in
            try inspect(
                raw, dialect, limits: limits, meter: &meter, tools: &tools, into: &inspection)
        }
        self.inspection = inspection
        self.meter = meter
        self.tools = tools
    }

    init(_ body: String, _ dialect: Dialect = .chatCompletions) throws(BodyFault) {
        try self.init(Array(body.utf8), dialect)
    }
}

/// The fault that `body` is refused with.
func fault(_ body: String, _ dialect: Dialect = .chatCompletions) -> BodyFault? {
    do { _ = try Inspected(body, dialect) } catch { return error }
    return nil
}

/// A chat body with `members` beside the required ones.
func chat(_ members: String) -> String {
    let comma = members.isEmpty ? "" : ","
    return #"{"model":"m","messages":[{"role":"user","content":"hi"}]\#(comma)\#(members)}"#
}

struct InspectTests {
    @Test func whatAChatAsksForIsFound() throws {
        let body = #"""
            {"model": "llama\u002d3", "messages": [{"role": "system", "content": "Be brief."},
             {"role": "user", "content": [{"type": "text", "text": "h\u00e9"},
              {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
              {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
             {"role": "assistant", "content": null, "tool_calls":
              [{"id": "c1", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]},
             {"role": "tool", "tool_call_id": "c1", "content": "42"}],
             "stream": true, "stream_options": {"include_usage": true, "x": {}},
             "max_tokens": 7.0, "max_completion_tokens": 20, "min_tokens": 3, "ignore_eos": true,
             "n": 2, "best_of": 3, "temperature": 0.5, "tools": [ {"type": "function"} ]}
            """#
        let found = try Inspected(body)
        let inspection = found.inspection
        #expect(Array(body.utf8).withRaw { inspection.model.string(in: $0) } == "llama-3")
        #expect(inspection.model.isEscaped)
        #expect(inspection.stream)
        #expect(inspection.hasStreamOptions)
        #expect(inspection.includeUsage)
        #expect(!inspection.continuousUsage)
        #expect(inspection.bound == Tokens(20))
        #expect(inspection.minTokens == Tokens(3))
        #expect(inspection.ignoreEOS)
        #expect(inspection.choices == 3)
        #expect(inspection.messages == 4)
        #expect(inspection.images == 1)
        #expect(inspection.otherMedia == 0)
        #expect(inspection.soundSeconds > 0)
        #expect(inspection.tools)
        #expect(inspection.promptTokenIDs == 0)
        #expect(
            found.meter.strings == [
                "Be brief.", "hé",
                #"[{"id":"c1","function":{"name":"f","arguments":"{"a": 1}"}}]"#, "42",
            ])
        #expect(found.tools.strings.last == #"[{"type":"function"}]"#)
    }

    @Test func nothingIsAskedForByDefault() throws {
        let inspection = try Inspected(chat("")).inspection
        #expect(!inspection.stream)
        #expect(!inspection.hasStreamOptions)
        #expect(inspection.bound == nil)
        #expect(inspection.minTokens == .zero)
        #expect(inspection.choices == 1)
        #expect(!inspection.tools)
    }

    @Test func nullCountsAsAbsent() throws {
        let members =
            #""max_tokens":null,"max_completion_tokens":null,"n":null,"stream":null,"#
            + #""stream_options":null,"min_tokens":null,"ignore_eos":null,"tools":null"#
            + #","best_of":null"#
        let inspection = try Inspected(chat(members)).inspection
        #expect(inspection.bound == nil)
        #expect(inspection.choices == 1)
        #expect(!inspection.stream)
        #expect(!inspection.hasStreamOptions)
        #expect(!inspection.tools)
    }

    @Test(arguments: [
        (#""max_tokens":5,"max_completion_tokens":9"#, 9),
        (#""max_tokens":9,"max_completion_tokens":5"#, 9), (#""max_tokens":9,"n_predict":90"#, 90),
        (#""max_tok\u0065ns":5"#, 5), (#""max_tokens":9,"max_tokens":5"#, 5),
        (#""max_tokens":5,"max_tokens":null,"n_predict":1"#, 1), (#""max_tokens":1e2"#, 100),
        (#""max_tokens":2147483647"#, 2_147_483_647),
    ])
    func theLargestBoundCountsAndTheLastOfItsName(members: String, bound: Int) throws {
        #expect(try Inspected(chat(members)).inspection.bound == Tokens(bound))
    }

    @Test(arguments: [
        (#""max_tokens":0"#, BodyFault.outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""max_tokens":-1"#, .outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""max_tokens":3.5"#, .wrongType(.maxTokens, expected: .integer)),
        (#""max_tokens":"7""#, .wrongType(.maxTokens, expected: .integer)),
        (#""max_tokens":true"#, .wrongType(.maxTokens, expected: .integer)),
        (#""max_tokens":[7]"#, .wrongType(.maxTokens, expected: .integer)),
        (#""max_tokens":2147483648"#, .outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""max_tokens":4294967301"#, .outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""max_tokens":1e400"#, .outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""n_predict":-1"#, .outOfRange(.predicted, 1...Inspection.maxBound)),
        (#""max_completion_tokens":0"#, .outOfRange(.maxCompletionTokens, 1...Inspection.maxBound)),
        (#""max_tokens":0,"max_tokens":5"#, .outOfRange(.maxTokens, 1...Inspection.maxBound)),
        (#""min_tokens":-1"#, .outOfRange(.minTokens, 0...Inspection.maxBound)),
        (#""n":0"#, .outOfRange(.choices, 1...128)), (#""n":129"#, .outOfRange(.choices, 1...128)),
        (#""best_of":1000"#, .outOfRange(.bestOf, 1...128)),
        (#""n_cmpl":0"#, .outOfRange(.parallelChoices, 1...128)),
        (#""stream":"true""#, .wrongType(.stream, expected: .boolean)),
        (#""stream":1"#, .wrongType(.stream, expected: .boolean)),
        (#""ignore_eos":0"#, .wrongType(.ignoreEOS, expected: .boolean)),
        (#""stream_options":true"#, .wrongType(.streamOptions, expected: .object)),
        (#""stream_options":{"include_usage":1}"#, .wrongType(.includeUsage, expected: .boolean)),
        (
            #""stream_options":{"include_usage":true,"include_usag\u0065":false}"#,
            .duplicate(.includeUsage)
        ),
        (#""model":"other""#, .duplicate(.model)), (#""mod\u0065l":"other""#, .duplicate(.model)),
        (#""messages":[{}]"#, .duplicate(.messages)),
        (#""tools":{}"#, .wrongType(.tools, expected: .array)),
        (#""vllm_xargs":{"a":1,"kv_transf\u0065r_params":"x"}"#, .notAllowed(.extraKVTransfer)),
        (#""x":[1,]"#, .malformedJSON(offset: 64)),
    ])
    func whatEnginesWouldReadDifferentlyIsRefused(members: String, expected: BodyFault) {
        #expect(fault(chat(members)) == expected)
    }

    @Test(arguments: [
        ("", BodyFault.malformedJSON(offset: 0)), ("[]", .notAnObject), ("null", .notAnObject),
        ("{}", .missing(.model)), (#"{"model":null,"messages":[{}]}"#, .missing(.model)),
        (#"{"model":"","messages":[{}]}"#, .empty(.model)),
        (#"{"model":3,"messages":[{}]}"#, .wrongType(.model, expected: .string)),
        (#"{"model":"m"}"#, .missing(.messages)),
        (#"{"model":"m","prompt":"x"}"#, .missing(.messages)),
        (#"{"model":"m","messages":[]}"#, .empty(.messages)),
        (#"{"model":"m","messages":"hi"}"#, .wrongType(.messages, expected: .array)),
        (#"{"model":"m","messages":null}"#, .wrongType(.messages, expected: .array)),
        (
            #"{"model":"m","messages":[{},"hi"]}"#,
            .wrongElement(.messages, index: 1, expected: .object)
        ),
        (
            #"{"model":"m","messages":[{"content":7}]}"#,
            .wrongElement(.messages, index: 0, expected: .contents)
        ),
        (
            #"{"model":"m","messages":[{"content":["a",7]}]}"#,
            .wrongElement(.messages, index: 0, expected: .contents)
        ),
        (#"{"model":"m","messages":[{}]} x"#, .malformedJSON(offset: 30)),
    ])
    func aChatThatIsNoneIsRefused(body: String, expected: BodyFault) {
        #expect(fault(body) == expected)
    }

    @Test(arguments: [
        (#""say""#, 1, 0, ["say"]), (#"["a","b\n"]"#, 2, 0, ["a", "b\n"]),
        ("[1,2,3]", 1, 3, []), ("[[1,2],[3]]", 2, 3, []), (#""""#, 1, 0, [""]), ("[0]", 1, 1, []),
    ])
    func promptsComeInFourForms(prompt: String, prompts: Int, ids: Int, texts: [String]) throws {
        for (dialect, name) in [(Dialect.completions, "prompt"), (.embeddings, "input")] {
            let found = try Inspected(#"{"model":"m","\#(name)":\#(prompt),"n":2}"#, dialect)
            #expect(found.inspection.prompts == prompts)
            #expect(found.inspection.choices == 2 * prompts)
            #expect(found.inspection.promptTokenIDs == ids)
            #expect(found.meter.strings == texts)
        }
    }

    @Test(arguments: [
        ("null", BodyFault.missing(.prompt)), ("[]", .empty(.prompt)),
        ("7", .wrongType(.prompt, expected: .prompts)),
        ("{}", .wrongType(.prompt, expected: .prompts)),
        ("[null]", .wrongType(.prompt, expected: .prompts)),
        (#"["a",7]"#, .wrongElement(.prompt, index: 1, expected: .string)),
        (#"[7,"a"]"#, .wrongType(.prompt, expected: .prompts)),
        ("[1.5]", .wrongType(.prompt, expected: .prompts)),
        ("[-1]", .outOfRange(.prompt, 0...Inspection.maxBound)),
        ("[[]]", .wrongElement(.prompt, index: 0, expected: .ids)),
        ("[[1],2]", .wrongElement(.prompt, index: 1, expected: .ids)),
        (#"[[1],["a"]]"#, .wrongElement(.prompt, index: 1, expected: .ids)),
    ])
    func aPromptOfAnotherFormIsRefused(prompt: String, expected: BodyFault) {
        #expect(fault(#"{"model":"m","prompt":\#(prompt)}"#, .completions) == expected)
    }

    @Test func embeddingsMayAskWithMessages() throws {
        let found = try Inspected(
            #"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, .embeddings)
        #expect(found.inspection.messages == 1)
        #expect(found.meter.strings == ["hi"])
    }

    @Test func membersOfOtherDialectsAreNotRead() throws {
        let body = #"{"model":"m","prompt":"x","messages":7,"input":{}}"#
        #expect(try Inspected(body, .completions).meter.strings == ["x"])
    }

    @Test func namesOfNestedMembersMeanNothingAtTheTop() throws {
        let members =
            #""stream_options.include_usage":7,"vllm_xargs.kv_transfer_params":{},"#
            + #""stream_options.include_usage":8,"vllm_xargs":{"x":"y"}"#
        #expect(try !Inspected(chat(members)).inspection.includeUsage)
    }

    @Test func repeatingAMemberHasALimit() throws {
        let few = Array(repeating: #""max_tokens":5"#, count: 8).joined(separator: ",")
        #expect(try Inspected(chat(few)).inspection.bound == Tokens(5))
        #expect(fault(chat(few + #","max_tokens":5"#)) == .duplicate(.maxTokens))
    }

    @Test func depthIsLimited() {
        let body = Array(chat(#""x":[[[]]]"#).utf8)
        #expect(throws: BodyFault.tooDeep(limit: 3)) { try Inspected(body, maxDepth: 3) }
        #expect(throws: Never.self) { try Inspected(body, maxDepth: 4) }
    }

    @Test func anEmptyListOfToolsDeclaresNone() throws {
        #expect(try !Inspected(chat(#""tools": [ ] "#)).inspection.tools)
        #expect(try Inspected(chat(#""functions": [ {} ]"#)).inspection.tools)
    }

    @Test func aByteOrderMarkIsSkipped() throws {
        #expect(try Inspected("\u{FEFF}" + chat("")).inspection.messages == 1)
    }

    @Test func anInspectionServesAgainWithoutAMemory() throws {
        var inspection = Inspection()
        var meter = KeepingMeter()
        var tools = KeepingMeter()
        for (body, bound) in [
            (chat(#""max_tokens":5,"n":3,"stream":true,"tools":[{}]"#), Tokens(5)),
            (chat(""), nil),
        ] {
            try Array(body.utf8).withRaw { raw in
                try inspect(
                    raw, .chatCompletions, meter: &meter, tools: &tools, into: &inspection)
            }
            #expect(inspection.bound == bound)
            #expect(inspection.stream == (bound != nil))
            #expect(inspection.choices == (bound == nil ? 1 : 3))
            #expect(inspection.messages == 1)
        }
    }

    @Test(
        arguments: [
            (BodyFault.missing(.model), "'model' is required.", "model"),
            (
                .outOfRange(.choices, 1...128), "'n' must be between 1 and 128.", "n"
            ),
            (
                .wrongElement(.messages, index: 2, expected: .object),
                "'messages[2]' must be an object.", "messages"
            ),
            (.malformedJSON(offset: 7), "The body is not valid JSON: error at byte 7.", nil),
        ] as [(BodyFault, String, String?)])
    func aFaultSaysWhatIsWrong(fault: BodyFault, message: String, param: String?) {
        #expect(fault.message == message)
        #expect(fault.param == param)
    }

    /// Bodies cut and damaged at every place are read or refused, and never trap.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func damagedBodiesAreHarmless(seed: UInt64) {
        var maker = JSONMaker(seed: seed)
        let body = Array(
            chat(
                #""max_tokens":5,"stream_options":{"include_usage":true},"tools":[{"a":"\u00e9"}],"#
                    + #""prompt":[[1,2],[3]],"input":["x"],"n":2"#
            ).utf8)
        for length in body.indices { _ = try? Inspected(Array(body[..<length])) }
        for _ in 0..<200 {
            let damaged = maker.damaged(maker.damaged(body))
            for dialect in Dialect.allCases {
                let isJSON = JSONValue(damaged) != nil
                do {
                    _ = try Inspected(damaged, dialect)
                    #expect(isJSON)
                } catch BodyFault.malformedJSON {
                    #expect(!isJSON)
                } catch {}
            }
        }
    }
}
