// SPDX-License-Identifier: Apache-2.0

import Engine
import TestSupport
import Testing
import Units

@Suite struct RequestFaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var path = "/v1/chat/completions"
        var body: String
        var status = 400
        var type: String
        var parameter: String?

        var testDescription: String { String(body.prefix(60)) }

        init(
            _ body: String, _ type: String, _ parameter: String?, status: Int = 400,
            path: String = "/v1/chat/completions"
        ) {
            self.body = body
            self.type = type
            self.parameter = parameter
            self.status = status
            self.path = path
        }
    }

    static let cases = [
        Case(
            EngineBench.body("\"model\":\"nope\""), "NotFoundError", "model", status: 404),
        Case("{\"model\": \"tiny\", \"messages\": [", "Bad Request", "body.31"),
        Case("", "Bad Request", "body"),
        Case("[1,2]", "Bad Request", "body"),
        Case("{\"model\":\"tiny\"}", "Bad Request", "body.messages"),
        Case("{\"model\":\"tiny\",\"messages\":7}", "Bad Request", "body.messages"),
        Case("{\"model\":7,\"messages\":[]}", "Bad Request", "body.model"),
        Case(EngineBench.body("\"max_tokens\":0"), "BadRequestError", "max_tokens"),
        Case(EngineBench.body("\"max_tokens\":-1"), "BadRequestError", "max_tokens"),
        Case(EngineBench.body("\"max_tokens\":100000"), "BadRequestError", "max_tokens"),
        Case(EngineBench.body("\"max_tokens\":1e30"), "BadRequestError", "max_tokens"),
        Case(EngineBench.body("\"max_tokens\":3.5"), "Bad Request", "body.max_tokens"),
        Case(EngineBench.body("\"max_tokens\":[7]"), "Bad Request", "body.max_tokens"),
        Case(EngineBench.body("\"max_tokens\":\"7e0\""), "Bad Request", "body.max_tokens"),
        Case(EngineBench.body("\"stream\":\"yes\""), "Bad Request", "body.stream"),
        Case(EngineBench.body("\"stream_options\":1"), "Bad Request", "body.stream_options"),
        Case(EngineBench.body("\"n\":0"), "BadRequestError", nil),
        Case(EngineBench.body("\"n\":17000"), "BadRequestError", nil),
        Case(EngineBench.body("\"max_tokens\":10,\"min_tokens\":20"), "BadRequestError", nil),
        Case(
            EngineBench.body(
                "\"stream\":true", content: String(repeating: "w ", count: 2_049)),
            "BadRequestError", "input_tokens"),
        Case(
            EngineBench.body("\"n\":1", content: String(repeating: "w ", count: 2_048)),
            "BadRequestError", "max_tokens"),
        Case(
            "{\"model\":\"tiny\",\"prompt\":[]}", "Bad Request", "body.prompt",
            path: "/v1/completions"),
        Case(
            "{\"model\":\"tiny\",\"prompt\":[1,\"a\"]}", "Bad Request", "body.prompt",
            path: "/v1/completions"),
        Case("{\"model\":\"tiny\"}", "Bad Request", "body.input", path: "/v1/embeddings"),
    ]

    @Test(arguments: cases)
    func aBadRequestIsRefusedAsTheRealEngineDoes(_ wanted: Case) throws {
        let bench = try EngineBench()
        let answer = try bench.post(wanted.path, wanted.body)
        #expect(answer.status == wanted.status)
        #expect(answer.value("content-type") == "application/json")
        let error = try #require(answer.json?["error"])
        #expect(error["type"]?.text == wanted.type)
        #expect(error["param"]?.text == wanted.parameter)
        #expect(error["code"]?.number == Double(wanted.status))
        #expect(error["message"]?.text?.isEmpty == false)
        #expect(try bench.metric("vllm:num_requests_running") == 0)
    }

    @Test func unknownPathsAndWrongMethodsAreRefused() throws {
        let bench = try EngineBench()
        let caller = try bench.caller()
        let unknown = try caller.call("GET", "/v1/nothing")
        #expect(unknown.status == 404)
        #expect(unknown.text == "{\"detail\":\"Not Found\"}")
        let wrong = try caller.call("GET", "/v1/completions")
        #expect(wrong.status == 405)
        #expect(wrong.value("allow") == "POST")
    }

    @Test func aBodyThatIsNotDeclaredAsJSONIsRefused() throws {
        let bench = try EngineBench()
        for (type, status) in [
            ("text/plain", 400), ("application/jsonp", 400), ("application/json", 200),
            ("Application/JSON; charset=utf-8", 200),
        ] {
            let answer = try bench.caller().call(
                "POST", "/v1/chat/completions", fields: [("Content-Type", type)],
                body: EngineBench.body("\"max_tokens\":1"))
            #expect(answer.status == status, "\(type)")
        }
    }

    @Test(arguments: [
        ("\"max_tokens\":7.0", 7), ("\"max_tokens\":\" 7 \"", 7), ("\"max_tokens\":true", 1),
        ("\"max_tokens\":3,\"max_tokens\":9", 9), ("\"max_t\\u006fkens\":5", 5),
        ("\"max_tokens\":9,\"max_completion_tokens\":5", 5),
        ("\"unknown\":{\"a\":[1]},\"max_tokens\":2", 2),
        ("\"max_tokens\":null,\"max_completion_tokens\":4", 4),
    ])
    func lenientSpellingsOfTheBoundAreTaken(members: String, tokens: Int) throws {
        let bench = try EngineBench()
        let answer = try bench.chat(members + ",\"ignore_eos\":true")
        #expect(answer.json?["usage"]?["completion_tokens"]?.number == Double(tokens))
    }

    @Test func outputIsCutWhereTheContextEnds() throws {
        let bench = try EngineBench()
        let answer = try bench.chat(
            "\"max_tokens\":100,\"ignore_eos\":true",
            content: String(repeating: "w ", count: 2_000))
        #expect(answer.json?["usage"]?["completion_tokens"]?.number == 48)
    }
}
