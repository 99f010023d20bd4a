// SPDX-License-Identifier: Apache-2.0

import Engine
import EventLoop
import Replay
import Simulation
import TestSupport
import Testing
import Units

@Suite struct ReplayRunTests {
    private static func trace(_ lines: [(at: Int, input: Int, output: Int)]) -> Trace {
        Trace(
            requests: lines.map {
                TraceRequest(
                    arrival: .milliseconds($0.at), prompt: Tokens($0.input),
                    output: Tokens($0.output))
            })
    }

    private func engine(_ change: (inout EngineSetup) -> Void = { _ in }) throws -> EngineServer {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let profile = try #require(EngineProfile.named("small-16k"))
        var setup = EngineSetup(address: address, profile: profile)
        setup.speed = 100
        setup.model = "default"
        change(&setup)
        return try EngineServer.start([setup])
    }

    private func setup(_ port: UInt16) throws -> ReplaySetup {
        var setup = ReplaySetup(
            target: try #require(ReplayTarget(url: "http://127.0.0.1:\(port)")))
        setup.timeout = .seconds(20)
        return setup
    }

    private func setup(_ engine: EngineServer) throws -> ReplaySetup {
        try setup(try #require(engine.addresses.first?.port))
    }

    @Test(arguments: [ReplaySetup.Delivery.stream, .whole])
    func everyRequestIsAnsweredWithTheTracesTokens(delivery: ReplaySetup.Delivery) throws {
        let engine = try engine()
        defer { engine.stop() }
        let lines = (0..<30).map { (at: $0 * 5, input: 1 + $0 * 37, output: 1 + $0 * 3) }
        var setup = try setup(engine)
        setup.delivery = delivery
        let report = try ReplayRun(setup, Self.trace(lines)).run()
        #expect(report.requests == 30)
        #expect(report.byStatus.map(\.status) == [200])
        #expect(report.byStatus.map(\.count) == [30])
        #expect(report.errors == 0)
        #expect(report.tokensIn == Tokens(lines.reduce(0) { $0 + $1.input }))
        #expect(report.tokensOut == Tokens(lines.reduce(0) { $0 + $1.output }))
        #expect(report.good == 30)
        #expect(report.goodTokens == report.tokensOut)
        #expect(report.firstToken.p50 > 0)
        #expect(report.firstToken.p50 <= report.firstToken.p99)
        #expect(report.span >= .milliseconds(145))
        #expect(report.goodput > 0)
    }

    @Test func aStatedBoundHidesTheLengthThatTheEngineIsTold() throws {
        let engine = try engine()
        defer { engine.stop() }
        var setup = try setup(engine)
        setup.stated = Tokens(64)
        let lines = [(at: 0, input: 10, output: 5), (at: 0, input: 10, output: 90)]
        let report = try ReplayRun(setup, Self.trace(lines)).run()
        #expect(report.tokensOut == Tokens(5 + 64), "never more than the bound")
    }

    @Test func replaysWithDifferentSeedsShareNoPrompts() throws {
        let engine = try engine()
        defer { engine.stop() }
        let port = try #require(engine.addresses.first?.port)
        for (seed, hits) in [(UInt32(0), "0.0"), (1, "0.0"), (1, "192.0")] {
            var setup = try setup(engine)
            setup.seed = seed
            let report = try ReplayRun(setup, Self.trace([(at: 0, input: 200, output: 1)])).run()
            #expect(report.tokensIn == Tokens(200))
            let page = try HTTPCaller(port: port).call("GET", "/metrics").text
            let labels = "{engine=\"0\",model_name=\"default\"}"
            #expect(page.contains("vllm:prefix_cache_hits_total\(labels) \(hits)"))
        }
    }

    @Test func promptsWithTheSamePrefixesShareTheirText() throws {
        let engine = try engine()
        defer { engine.stop() }
        var trace = Self.trace([(0, 1_100, 1), (500, 1_200, 1), (1_000, 600, 1)])
        trace.requests[0].prefixes = [11, 12]
        trace.requests[1].prefixes = [11, 12]
        trace.requests[2].prefixes = [99]
        var setup = try setup(engine)
        setup.speed = 2
        let report = try ReplayRun(setup, trace).run()
        #expect(report.tokensIn == Tokens(2_900))
        let port = try #require(engine.addresses.first?.port)
        let page = try HTTPCaller(port: port).call("GET", "/metrics").text
        #expect(
            page.contains(
                "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"default\"} 1024.0"))
    }

    @Test func targetsDecideWhatIsGood() throws {
        let engine = try engine()
        defer { engine.stop() }
        var setup = try setup(engine)
        setup.targets = LatencyTargets(firstToken: .zero, perToken: .seconds(1))
        let report = try ReplayRun(setup, Self.trace([(0, 10, 5), (0, 10, 5)])).run()
        #expect(report.byStatus.map(\.count) == [2])
        #expect(report.good == 0)
        #expect(report.goodput == 0)
    }

    @Test func aDurationEndsTheSending() throws {
        let engine = try engine()
        defer { engine.stop() }
        var setup = try setup(engine)
        setup.speed = 10
        setup.duration = .milliseconds(100)
        let lines = (0..<20).map { (at: $0 * 100, input: 5, output: 1) }
        let report = try ReplayRun(setup, Self.trace(lines)).run()
        #expect(report.requests == 10)
    }

    @Test func aSlowEngineDoesNotHoldBackTheRequestsThatFollow() throws {
        let engine = try engine { $0.speed = 1 }
        defer { engine.stop() }
        var setup = try setup(engine)
        setup.maxOpen = 3
        let lines = (0..<5).map { _ in (at: 0, input: 5, output: 10) }
        let report = try ReplayRun(setup, Self.trace(lines)).run()
        #expect(report.requests == 5)
        #expect(report.byStatus.map(\.count) == [3])
        #expect(report.errors == 2, "more than may be open is not sent")
    }

    @Test func tenantsHaveTheirKeysAndTheClassIsNamed() throws {
        let server = try ScriptedServer(Array(repeating: ScriptedServer.stream(), count: 3))
        var setup = try setup(server.port)
        setup.keys = ["alpha", "beta"]
        setup.trafficClass = "batch"
        setup.model = "m \"1\""
        var trace = Self.trace([(0, 3, 2), (40, 3, 2), (80, 3, 2)])
        for place in 0..<3 { trace.requests[place].tenant = place }
        let report = try ReplayRun(setup, trace).run()
        #expect(report.tokensIn == Tokens(21), "the server's usage counts")
        let requests = server.requests
        #expect(
            requests.map { $0.contains("Authorization: Bearer alpha\r\n") } == [true, false, true])
        #expect(requests[1].contains("Authorization: Bearer beta\r\n"))
        for request in requests {
            #expect(request.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
            #expect(request.contains("X-Traffic-Class: batch\r\n"))
            let body = try #require(request.split(separator: "\r\n\r\n").last)
            let json = try #require(JSONValue(String(body)))
            #expect(json["model"]?.text == "m \"1\"")
            #expect(json["max_tokens"]?.number == 2)
            #expect(json["ignore_eos"] == .bool(true))
            #expect(json["stream"] == .bool(true))
            #expect(json["stream_options"]?["include_usage"] == .bool(true))
        }
    }

    @Test(arguments: ["Retry-After: 0", "Retry-After: 900\r\nretry-after-ms: 3"])
    func aRefusedRequestComesBackWhenItIsTold(field: String) throws {
        let server = try ScriptedServer([
            ScriptedServer.answer("429 Too Many Requests", [field], "{}"), ScriptedServer.stream(),
        ])
        var setup = try setup(server.port)
        setup.patience = .obeys(returns: 3)
        let report = try ReplayRun(setup, Self.trace([(0, 3, 2)])).run()
        #expect(report.refused == 1)
        #expect(report.obeyed == 1)
        #expect(report.admittedAtFirstReturn == 1)
        #expect(report.byStatus.map(\.status) == [200])
        #expect(report.tokensOut == Tokens(2))
    }

    @Test func whoIsRefusedAgainIsNotAdmittedAtTheFirstReturn() throws {
        let refusal = ScriptedServer.answer("503 Service Unavailable", ["Retry-After: 0"])
        let server = try ScriptedServer([refusal, refusal, ScriptedServer.stream()])
        var setup = try setup(server.port)
        setup.patience = .obeys(returns: 3)
        let report = try ReplayRun(setup, Self.trace([(0, 3, 2)])).run()
        #expect(report.refused == 1)
        #expect(report.obeyed == 1)
        #expect(report.admittedAtFirstReturn == 0)
        #expect(report.byStatus.map(\.status) == [200])
    }

    @Test func returnsAreBounded() throws {
        let refusal = ScriptedServer.answer("429 Too Many Requests", ["Retry-After: 0"])
        let server = try ScriptedServer([refusal, refusal, refusal])
        var setup = try setup(server.port)
        setup.patience = .obeys(returns: 2)
        let report = try ReplayRun(setup, Self.trace([(0, 3, 2)])).run()
        #expect(report.byStatus.map(\.status) == [429])
        #expect(server.requests.count == 3)
    }

    @Test func withoutPatienceARefusalIsFinal() throws {
        let server = try ScriptedServer([
            ScriptedServer.answer("429 Too Many Requests", ["Retry-After: 0"], "{}")
        ])
        let report = try ReplayRun(try setup(server.port), Self.trace([(0, 3, 2)])).run()
        #expect(report.byStatus.map(\.status) == [429])
        #expect(report.refused == 1)
        #expect(report.obeyed == 0)
        #expect(report.errors == 0)
    }

    @Test func aStreamWithoutItsEndIsAnError() throws {
        let server = try ScriptedServer([ScriptedServer.stream(isComplete: false)])
        let report = try ReplayRun(try setup(server.port), Self.trace([(0, 3, 2)])).run()
        #expect(report.errors == 1)
        #expect(report.byStatus.isEmpty)
        #expect(report.tokensOut == .zero)
    }

    @Test func anAnswerThatIsNoStreamIsAnErrorWhereOneWasAskedFor() throws {
        let server = try ScriptedServer([
            ScriptedServer.answer("200 OK", ["Content-Type: application/json"], "{}")
        ])
        let report = try ReplayRun(try setup(server.port), Self.trace([(0, 3, 2)])).run()
        #expect(report.errors == 1)
    }

    @Test func aTargetThatIsNotThereGivesErrors() throws {
        let gone = try engine()
        let setup = try setup(gone)
        gone.stop()
        let report = try ReplayRun(setup, Self.trace([(0, 3, 2), (1, 3, 2)])).run()
        #expect(report.errors == 2)
        #expect(report.requests == 2)
    }

    @Test func anAnswerThatTakesTooLongIsAnError() throws {
        let engine = try engine { $0.speed = 1 }
        defer { engine.stop() }
        var setup = try setup(engine)
        setup.timeout = .milliseconds(30)
        let report = try ReplayRun(setup, Self.trace([(0, 3, 1_000)])).run()
        #expect(report.errors == 1)
    }

    @Test func anEmptyTraceGivesAnEmptyReport() throws {
        let report = try ReplayRun(try setup(1), Trace(requests: [])).run()
        #expect(report.requests == 0)
        #expect(
            report.json
                == "{\"requests\":0,\"by_status\":{},\"errors\":0,"
                + "\"ttft_ms\":{\"p50\":null,\"p95\":null,\"p99\":null},"
                + "\"tpot_ms\":{\"p50\":null,\"p95\":null,\"p99\":null},\"tokens_in\":0,"
                + "\"tokens_out\":0,\"goodput\":0.0,\"retry_after\":{\"refused\":0,\"obeyed\":0,"
                + "\"admitted_at_first_return\":0},\"met_slo\":0.0,\"good_tokens_per_s\":0.0,"
                + "\"span_s\":0.0,\"send_delay_ms\":{\"p50\":null,\"p95\":null,\"p99\":null}}")
    }

    @Test func theReportIsJSONAndLines() throws {
        let engine = try engine()
        defer { engine.stop() }
        let report = try ReplayRun(try setup(engine), Self.trace([(0, 30, 5), (3, 30, 5)])).run()
        let json = try #require(JSONValue(report.json))
        #expect(json["by_status"]?["200"]?.number == 2)
        #expect(json["ttft_ms"]?["p95"]?.number ?? 0 > 0)
        #expect(json["tokens_out"]?.number == 10)
        #expect(report.lines.first?.hasPrefix("requests      2 in ") == true)
        #expect(report.lines.contains("tokens        60 in, 10 out"))
    }
}
