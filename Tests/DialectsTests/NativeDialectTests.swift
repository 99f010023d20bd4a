// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units
import Wire

private func read(_ text: String) -> [UInt8] { Array(text.utf8) }

struct NativeRouteTests {
    private func route(_ method: Method, _ target: String) -> Route? {
        read(target).withRaw { Route.route(method: method, target: $0) }
    }

    @Test(arguments: [
        ("/generate", Dialect.generate), ("/generate_stream", .textGenerationStream),
        ("/completion", .completion), ("/v2/models/m/generate", .triton),
        ("/v2/models/a%2Fb/generate_stream?x=1", .tritonStream),
    ])
    func enginesOwnPathsAreKnown(target: String, dialect: Dialect) {
        #expect(route(.post, target) == .generate(dialect))
        #expect(route(.get, target) == .methodNotAllowed(.post))
    }

    @Test(arguments: [
        "/v2/models//generate", "/v2/models/generate", "/v2/models/m/generate/",
        "/v2/models/m/infer", "/v2/models/m/versions/1/generate", "/v2/models/m%2Fgenerate",
        "/v2/models/m/x/generate", "/generate/", "/generate_stream/x", "/v2/models/",
    ])
    func nothingElseOfThemIs(target: String) {
        #expect(route(.post, target) == nil)
    }

    @Test func aModelsNameInAPathIsDecodedAndEncoded() {
        let target = read("/v2/models/meta%2Fllama%203/generate")
        let name = target.withRaw { raw in
            Route.pathModel(of: raw).flatMap { Route.modelName($0, in: raw) }
        }
        #expect(name == "meta/llama 3")
        var path = ByteBuffer()
        Route.append(pathSegment: "meta/llama 3ä", to: &path)
        #expect(path.string == "meta%2Fllama%203%C3%A4")
        #expect(read("/generate").withRaw { Route.pathModel(of: $0) } == nil)
    }

    @Test func errorsAreTheEngines() {
        #expect(read("/v2/models/x/generate").withRaw { Route.errors(of: $0) } == .triton)
        #expect(read("/generate_stream").withRaw { Route.errors(of: $0) } == .textGeneration)
        #expect(read("/generate").withRaw { Route.errors(of: $0) } == .openAI)
        var buffer = ByteBuffer()
        let detail = ErrorDetail(message: "Wait.", type: "overloaded", code: "queue_full")
        ErrorShape.textGeneration.write(detail, into: &buffer)
        ErrorShape.triton.write(detail, into: &buffer)
        #expect(buffer.string == #"{"error":"Wait.","error_type":"overloaded"}{"error":"Wait."}"#)
    }
}

struct NativeBodyTests {
    @Test func sglangsPromptIsATextOrTokens() throws {
        let body =
            #"{"text":"hi there","sampling_params":{"max_new_tokens":7,"n":3,"min_new_tokens":2,"#
            + #""ignore_eos":true,"temperature":0},"stream":true}"#
        let text = try Inspected(body, .generate).inspection
        #expect(text.dialect == .generate)
        #expect(text.stream && text.ignoreEOS)
        #expect(text.bound == Tokens(7))
        #expect(text.minTokens == Tokens(2))
        #expect(text.choices == 3)
        let ids = try Inspected(#"{"input_ids":[[1,2],[3]]}"#, .generate).inspection
        #expect(ids.promptTokenIDs == 3)
        #expect(ids.prompts == 2)
        #expect(ids.bound == nil)
        let several = try Inspected(#"{"text":["a","b"]}"#, .generate)
        #expect(several.inspection.prompts == 2)
        #expect(several.meter.strings.filter { !$0.isEmpty } == ["a", "b"])
    }

    @Test func theBodyTellsWhoseGenerateItIs() throws {
        let body = #"{"inputs":"hi","parameters":{"max_new_tokens":5,"best_of":2},"stream":true}"#
        let found = try Inspected(body, .generate)
        #expect(found.inspection.dialect == .textGeneration)
        #expect(!found.inspection.stream)
        #expect(found.inspection.bound == Tokens(5))
        #expect(found.inspection.choices == 2)
        #expect(found.meter.strings.filter { !$0.isEmpty } == ["hi"])
        #expect(try Inspected(body, .textGenerationStream).inspection.stream)
    }

    @Test func llamaCppMixesTextsAndTokens() throws {
        let found = try Inspected(
            #"{"prompt":["a",12,13,"b"],"n_predict":4,"stream":true}"#, .completion)
        #expect(found.meter.strings.filter { !$0.isEmpty } == ["a", "b"])
        #expect(found.inspection.promptTokenIDs == 2)
        #expect(found.inspection.prompts == 1)
        #expect(found.inspection.bound == Tokens(4))
        #expect(try Inspected(#"{"prompt":"x"}"#, .completion).inspection.bound == nil)
    }

    @Test func tritonsBodyIsFlat() throws {
        let body = #"{"text_input":"hi","max_tokens":9,"stream":true}"#
        let found = try Inspected(body, .triton)
        #expect(found.inspection.bound == Tokens(9))
        #expect(!found.inspection.stream)
        #expect(try Inspected(body, .tritonStream).inspection.stream)
        #expect(found.meter.strings.filter { !$0.isEmpty } == ["hi"])
    }

    @Test func whatIsMissingOrWrongIsNamed() {
        #expect(fault("{}", .generate) == .missing(.text))
        #expect(fault("{}", .completion) == .missing(.prompt))
        #expect(fault("{}", .tritonStream) == .missing(.textInput))
        #expect(fault("{}", .textGenerationStream) == .missing(.inputs))
        #expect(
            fault(#"{"text":"x","sampling_params":[{}]}"#, .generate)
                == .wrongType(.samplingParameters, expected: .object))
        #expect(
            fault(#"{"text":"x","sampling_params":{"max_new_tokens":0}}"#, .generate)
                == .outOfRange(.maxNewTokens, 1...Inspection.maxBound))
        #expect(
            fault(#"{"prompt":[{}]}"#, .completion)
                == .wrongElement(.prompt, index: 0, expected: .mixed))
        #expect(fault(#"{"prompt":[]}"#, .completion) == .empty(.prompt))
    }
}

struct NativeEditTests {
    private func edited(_ body: String, _ dialect: Dialect) throws -> String? {
        let inspection = try Inspected(body, dialect).inspection
        return read(body).withRaw { raw in
            var buffer = ByteBuffer()
            let outcome = apply(
                body: raw, inspection: inspection, edits: BodyEdits(bound: Tokens(9)),
                into: &buffer)
            return outcome == .edited ? buffer.string : nil
        }
    }

    @Test(arguments: [
        (
            Dialect.generate, #"{"text":"x"}"#,
            #"{"sampling_params":{"max_new_tokens":9},"text":"x"}"#
        ),
        (
            .generate, #"{"text":"x","sampling_params":{}}"#,
            #"{"text":"x","sampling_params":{"max_new_tokens":9}}"#
        ),
        (
            .generate, #"{"text":"x","sampling_params":{ "n":1}}"#,
            #"{"text":"x","sampling_params":{"max_new_tokens":9, "n":1}}"#
        ),
        (
            .generate, #"{"text":"x","sampling_params":null,"rid":"y"}"#,
            #"{"text":"x","sampling_params":{"max_new_tokens":9}}"#
        ),
        (
            .generate, #"{"sampling_params":{"max_new_tokens":90},"text":"x"}"#,
            #"{"sampling_params":{"max_new_tokens":9},"text":"x"}"#
        ),
        (
            .generate, #"{"inputs":"x","parameters":{"max_new_tokens":90}}"#,
            #"{"inputs":"x","parameters":{"max_new_tokens":9}}"#
        ),
        (
            .textGenerationStream, #"{"inputs":"x"}"#,
            #"{"parameters":{"max_new_tokens":9},"inputs":"x"}"#
        ),
        (.completion, #"{"prompt":"x"}"#, #"{"n_predict":9,"prompt":"x"}"#),
        (.triton, #"{"text_input":"x"}"#, #"{"max_tokens":9,"text_input":"x"}"#),
    ])
    func theBoundStandsWhereTheEngineReadsIt(dialect: Dialect, body: String, sent: String) throws {
        #expect(try edited(body, dialect) == sent)
    }

    @Test func ofRepeatedObjectsTheLastIsCompleted() throws {
        let body = #"{"text":"x","sampling_params":{"max_new_tokens":3},"sampling_params":{}}"#
        let sent = try #require(try edited(body, .generate))
        #expect(JSONValue(read(sent)) != nil)
        #expect(sent.hasSuffix(#""sampling_params":{"max_new_tokens":9}}"#))
        #expect(try Inspected(body, .generate).inspection.bound == nil)
    }
}

struct NativeStreamTests {
    private func reader(_ dialect: Dialect) -> StreamReader {
        StreamReader(dialect, asked: [], scope: .answer)
    }

    @Test func llamaCppsRecordedStreamIsRead() {
        var reader = reader(.completion)
        for event in Fixture("llamacpp/completions_native_stream").events {
            event.withRaw { _ = reader.read($0) }
        }
        #expect(reader.sawFinish)
        #expect(reader.counted == Tokens(4))
        #expect(reader.usage?.output == Tokens(4))
        #expect(reader.usage?.input == Tokens(3))
        let whole = Fixture("llamacpp/completions_native").body.withRaw {
            usage(inAnswer: $0, of: .completion, scope: .answer)
        }
        #expect(whole == Usage(input: Tokens(3), cachedInput: Tokens(2), output: Tokens(8)))
    }

    @Test func sglangRepeatsWhatWasSoFar() {
        var reader = reader(.generate)
        for (count, text) in ["a", "a b", "a b c d"].enumerated() {
            let tokens = [1, 2, 4][count]
            let data =
                #"{"text":"\#(text)","meta_info":{"prompt_tokens":5,"cached_tokens":2,"#
                + #""completion_tokens":\#(tokens),"finish_reason":null}}"#
            #expect(read(data).withRaw { reader.read($0) }.pieces == [1, 1, 2][count])
        }
        #expect(!reader.sawFinish)
        _ = read("[DONE]").withRaw { reader.read($0) }
        #expect(reader.sawDone)
        #expect(
            reader.usage == Usage(input: Tokens(5), cachedInput: Tokens(2), output: Tokens(4)))
    }

    @Test func choicesOfSGLangAddUp() {
        var reader = reader(.generate)
        for (index, tokens) in [(0, 1), (1, 1), (0, 2), (1, 3), (2, 1)] {
            let data =
                #"{"index":\#(index),"text":"x","meta_info":{"prompt_tokens":5,"#
                + #""completion_tokens":\#(tokens)}}"#
            _ = read(data).withRaw { reader.read($0) }
        }
        #expect(reader.counted == Tokens(6))
        #expect(reader.usage?.output == Tokens(6))
        #expect(reader.usage?.input == Tokens(5))
    }

    @Test func tgiTellsOneTokenAtATime() {
        var reader = reader(.textGenerationStream)
        for place in 1...3 {
            let last = place == 3
            let data =
                #"{"index":\#(place),"token":{"id":7,"text":"x","special":\#(last)},"#
                + #""generated_text":\#(last ? "\"xx\"" : "null"),"details":"#
                + (last
                    ? #"{"finish_reason":"length","generated_tokens":3,"input_length":11}}"#
                    : "null}")
            #expect(read(data).withRaw { reader.read($0) }.pieces == 1)
        }
        #expect(reader.sawFinish)
        #expect(reader.usage == Usage(input: Tokens(11), output: Tokens(3)))
    }

    @Test func tritonTellsNothingButText() {
        var reader = reader(.tritonStream)
        for text in ["a", "", "b"] {
            _ = read(#"{"model_name":"m","text_output":"\#(text)"}"#).withRaw { reader.read($0) }
        }
        #expect(reader.counted == Tokens(2))
        #expect(reader.usage == nil)
        _ = read(#"{"error":"broke"}"#).withRaw { reader.read($0) }
        #expect(reader.sawError)
    }

    @Test func severalPromptsOfSGLangAreOneUsage() {
        let answer =
            #"[{"text":"x","meta_info":{"prompt_tokens":5,"completion_tokens":2}},"#
            + #"{"text":"y","meta_info":{"prompt_tokens":6,"completion_tokens":3}}]"#
        let taken = read(answer).withRaw { usage(inAnswer: $0, of: .generate, scope: .answer) }
        #expect(taken == Usage(input: Tokens(11), output: Tokens(5)))
    }
}
