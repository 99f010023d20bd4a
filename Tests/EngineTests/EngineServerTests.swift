// SPDX-License-Identifier: Apache-2.0

import Engine
import EventLoop
import Simulation
import TestSupport
import Testing
import Units

@Suite struct EngineServerTests {
    @Test func theSameRequestGetsTheSameAnswerWhateverElseGoesOn() throws {
        let first = try EngineBench()
        let second = try EngineBench()
        _ = try second.chat("\"max_tokens\":5", content: "something else")
        for members in ["\"max_tokens\":400", "\"seed\":7,\"max_tokens\":400"] {
            let one = try first.chat(members).json
            let other = try second.chat(members).json
            #expect(one?["choices"] == other?["choices"])
            #expect(one?["usage"]?["completion_tokens"] == other?["usage"]?["completion_tokens"])
        }
    }

    @Test func textsDifferBySeedPromptAndChoice() throws {
        let bench = try EngineBench()
        func text(_ members: String, _ content: String, choice: Int = 0) throws -> String? {
            try bench.chat("\"max_tokens\":30,\"ignore_eos\":true" + members, content: content)
                .json?["choices"]?[choice]?["message"]?["content"]?.text
        }
        let plain = try text("", "a")
        #expect(try text(",\"seed\":1", "a") != plain)
        #expect(try text("", "b") != plain)
        #expect(try text(",\"n\":2", "a") == plain)
        #expect(try text(",\"n\":2", "a", choice: 1) != plain)
    }

    @Test func lengthsVaryBelowTheBoundAndSayWhyTheyEnded() throws {
        let bench = try EngineBench { $0.medianOutput = Tokens(20) }
        var lengths: [Double] = []
        for prompt in 0..<12 {
            let json = try bench.chat("\"max_tokens\":40", content: "p\(prompt)").json
            let length = try #require(json?["usage"]?["completion_tokens"]?.number)
            lengths.append(length)
            #expect(
                json?["choices"]?[0]?["finish_reason"]?.text == (length == 40 ? "length" : "stop"))
        }
        #expect(Set(lengths).count > 4)
        #expect(lengths.allSatisfy { (1...40).contains($0) })
    }

    @Test func aLowerBoundHolds() throws {
        let bench = try EngineBench { $0.medianOutput = Tokens(1) }
        let json = try bench.chat("\"max_tokens\":60,\"min_tokens\":50").json
        #expect(json?["usage"]?["completion_tokens"]?.number ?? 0 >= 50)
    }

    @Test func tokensComeAtTheEnginesPaceAndNotFaster() throws {
        let bench = try EngineBench { $0.speed = 1 }
        let begun = MonotonicClock.now()
        _ = try bench.chat("\"max_tokens\":10,\"ignore_eos\":true")
        // A step takes 15 ms at least: a prefill and nine more.
        #expect(MonotonicClock.now() - begun >= .milliseconds(150))
    }

    @Test func aClientThatLeavesFreesItsBlocksAtOnce() throws {
        let bench = try EngineBench { $0.speed = 1 }
        for isStream in [true, false] {
            let caller = try bench.caller()
            try caller.send(
                "POST", "/v1/chat/completions",
                body: EngineBench.body(
                    "\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":\(isStream)"))
            #expect(try bench.waitFor("vllm:num_requests_running", 1))
            caller.close()
            let closed = MonotonicClock.now()
            #expect(try bench.waitFor("vllm:num_requests_running", 0))
            #expect(MonotonicClock.now() - closed < .seconds(5))
            #expect(try bench.metric("vllm:kv_cache_usage_perc") == 0)
        }
        #expect(try bench.metric("vllm:request_success_total") == 0, "aborts are not counted")
    }

    @Test func aClientThatLeavesTheQueueIsForgotten() throws {
        let bench = try EngineBench {
            $0.speed = 1
            $0.profile.maxSequences = 1
        }
        let body = EngineBench.body("\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true")
        let running = try bench.caller()
        try running.send("POST", "/v1/chat/completions", body: body)
        #expect(try bench.waitFor("vllm:num_requests_running", 1))
        let waiting = try bench.caller()
        try waiting.send("POST", "/v1/chat/completions", body: body)
        #expect(try waiting.head().status == 200, "the head comes before the turn does")
        #expect(try bench.waitFor("vllm:num_requests_waiting", 1))
        waiting.close()
        #expect(try bench.waitFor("vllm:num_requests_waiting", 0))
    }

    @Test func aClientThatDoesNotReadIsNotWaitedForAndMissesNothing() throws {
        let bench = try EngineBench {
            $0.speed = 2_000
            $0.contextLength = Tokens(8_000)
        }
        let slow = try bench.caller()
        try slow.send(
            "POST", "/v1/chat/completions",
            body: EngineBench.body("\"max_tokens\":7000,\"ignore_eos\":true,\"stream\":true"))
        #expect(try bench.waitFor("vllm:request_success_total", 1))
        _ = try slow.head()
        let events = try slow.events()
        #expect(events.count == 1 + 7_000 + 1)
        #expect(events.last == "[DONE]")
    }

    @Test func requestsFollowEachOtherOnOneConnection() throws {
        let bench = try EngineBench()
        let caller = try bench.caller()
        for _ in 0..<3 {
            let answer = try caller.call(
                "POST", "/v1/chat/completions", body: EngineBench.body("\"max_tokens\":3"))
            #expect(answer.status == 200)
        }
        let body = EngineBench.body("\"max_tokens\":3,\"stream\":true")
        for _ in 0..<2 {
            try caller.send("POST", "/v1/chat/completions", body: body)
            _ = try caller.head()
            #expect(try caller.events().last == "[DONE]")
        }
    }

    @Test func aRepeatedPrefixIsFoundInTheCache() throws {
        let bench = try EngineBench()
        let prompt = (0..<40).map { "w\($0)" }.joined(separator: " ")
        let first = try bench.chat("\"max_tokens\":1", content: prompt).json
        #expect(cachedTokens(first) == 0)
        let second = try bench.chat("\"max_tokens\":1", content: prompt + " more").json
        #expect(cachedTokens(second) == 32, "whole blocks of 16")
        #expect(try bench.metric("vllm:prefix_cache_hits_total") == 32)
        #expect(try bench.metric("vllm:prefix_cache_queries_total") == 81)
        #expect(try bench.metric("vllm:prompt_tokens_cached_total") == 32)
    }

    private func cachedTokens(_ answer: JSONValue?) -> Double? {
        answer?["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.number
    }

    @Test func countersCountEveryChoice() throws {
        let bench = try EngineBench()
        _ = try bench.chat("\"n\":4,\"max_tokens\":5,\"ignore_eos\":true", content: "a b c")
        #expect(try bench.metric("vllm:prompt_tokens_total") == 12)
        #expect(try bench.metric("vllm:generation_tokens_total") == 20)
        #expect(try bench.metric("vllm:request_success_total") == 4)
        #expect(try bench.metric("vllm:time_to_first_token_seconds_count") == 4)
        #expect(try bench.metric("vllm:inter_token_latency_seconds_count") == 16)
    }

    @Test func capacityIsWhatTheMetricsSay() throws {
        let bench = try EngineBench()
        let page = try bench.caller().call("GET", "/metrics").text
        #expect(page.contains("block_size=\"16\""))
        #expect(page.contains("num_gpu_blocks=\"513\""))
        #expect(page.contains("kv_cache_size_tokens=\"8208\""))
    }

    @Test func moreThanItMayHoldGets503AndNothingOfItStays() throws {
        let bench = try EngineBench { $0.maxHeld = 4 }
        let answer = try bench.post(
            "/v1/completions", "{\"model\":\"tiny\",\"prompt\":[\"a\",\"b\"],\"n\":3}")
        #expect(answer.status == 503)
        #expect(answer.json?["error"]?["type"]?.text == "Service Unavailable")
        #expect(try bench.metric("vllm:num_requests_running") == 0)
        #expect(try bench.chat("\"max_tokens\":1").status == 200)
    }

    @Test func anEngineCanBeToldToRefuse() throws {
        let bench = try EngineBench { $0.misbehaviour = .refuses }
        #expect(try bench.chat("\"max_tokens\":1").status == 503)
        #expect(try bench.caller().call("GET", "/health").status == 200)
    }

    @Test func anEngineCanDieInTheMiddleOfAStream() throws {
        let bench = try EngineBench { $0.misbehaviour = .dies(after: Tokens(20)) }
        let caller = try bench.caller()
        try caller.send(
            "POST", "/v1/chat/completions",
            body: EngineBench.body("\"max_tokens\":500,\"ignore_eos\":true,\"stream\":true"))
        _ = try caller.head()
        var text: [UInt8] = []
        #expect(throws: (any Error).self) {
            while let chunk = try caller.chunk() { text += chunk }
        }
        #expect(HTTPCaller.events(in: text).count >= 20)
        bench.wait()
        #expect(throws: (any Error).self) { try bench.caller() }
    }

    @Test func severalEnginesListenInOneProcessAndATakenPortIsAFault() throws {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let profile = try #require(EngineProfile.named("small"))
        let setups = (0..<3).map { number in
            var setup = EngineSetup(address: address, profile: profile)
            setup.model = "m\(number)"
            return setup
        }
        let server = try EngineServer.start(setups)
        for (number, address) in server.addresses.enumerated() {
            let port = try #require(address.port)
            let models = try HTTPCaller(port: port).call("GET", "/v1/models").json
            #expect(models?["data"]?[0]?["id"]?.text == "m\(number)")
        }
        server.stop()
        var broken = setups
        broken[0].speed = 0
        #expect(throws: EngineStartFault.setup("an engine's speed is above zero")) {
            try EngineServer.start(broken)
        }
    }

    @Test func stoppingCutsWhatIsOpen() throws {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let profile = try #require(EngineProfile.named("small"))
        let server = try EngineServer.start([EngineSetup(address: address, profile: profile)])
        let caller = try HTTPCaller(port: try #require(server.addresses[0].port))
        _ = try caller.call("GET", "/health")
        server.stop()
        #expect(caller.isClosedByPeer())
    }
}
