// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// Lower bounds, caps, priorities and shared GPUs: what holds unless it is said, and what cannot.
@Suite struct ServingTests {
    private func mistake(_ spot: Document.Spot, _ line: String) -> String? {
        let mistakes = Document().with(spot, line).mistakes()
        #expect(mistakes.count == 1, "\(mistakes)")
        return mistakes.first.map { String($0.drop { $0 != " " }.dropFirst()) }
    }

    @Test func theFirstClassLowersBoundsAndTheOthersDoNot() throws {
        let two = Document().with(.trafficClass, "\n  - {name: d, pool: p}\n")
        let classes = try two.load().policy.classes
        #expect(classes.map(\.clamp) == [ClampPolicy(), ClampPolicy(underPressure: false)])
        #expect(classes.map(\.caps) == [nil, nil])
        #expect(classes.map(\.priority) == [0, 0])
        let told = try Document().with(.trafficClass, "clamp: {under_pressure: false}").load()
        #expect(told.policy.classes[0].clamp == ClampPolicy(underPressure: false))
    }

    @Test(arguments: ["yes", "True", "1", "off"])
    func aFlagIsTrueOrFalse(text: String) {
        let advice = ["yes", "off"].contains(text) ? "; write the word itself" : ""
        #expect(
            mistake(.trafficClass, "clamp: {under_pressure: \(text)}")
                == "classes[0].clamp.under_pressure: expected true or false, found '\(text)'"
                + advice)
    }

    @Test func noBoundIsLoweredBelow64() {
        #expect(
            mistake(.trafficClass, "clamp: {min_tokens: 63}")
                == "classes[0].clamp.min_tokens: expected a whole number from 64 to 100000000 "
                + "(tokens), found '63'")
        #expect(
            mistake(
                .tenant, "limits: {min_completion_tokens: 101, max_completion_tokens: 100}")
                == "tenants[0].limits.min_completion_tokens: 101 is above max_completion_tokens, "
                + "which is 100")
    }

    @Test func whatIsOverTheCapsNeedsAnotherClass() throws {
        #expect(
            mistake(.tenant, "limits: {over_interactive: batch}")
                == "tenants[0].limits.over_interactive: batch needs a second class in the "
                + "tenant's list")
        let loaded = try Document().with(.tenant, "limits: {over_interactive: reject}").load()
        #expect(loaded.policy.tenants[0].limits.overCap == .reject)
    }

    @Test(arguments: ["vllm", "sglang", "trtllm", "triton", "llamacpp", "tgi", "openai"])
    func onlySomeEnginesHaveAPriority(engine: String) {
        let document = Document(
            text: Document().with(.pool, "priority_field: true").text
                .replacing("engine: vllm", with: "engine: \(engine)"))
        let isAble = ["vllm", "sglang", "trtllm"].contains(engine)
        #expect(document.mistakes().isEmpty == isAble)
    }

    @Test func aGPUIsWhatEnginesShare() throws {
        let gpus = "gpus: [{name: g, endpoints: [http://127.0.0.1:8000], max_tokens_in_flight: 7}]"
        let policy = try Document().with(.top, gpus).load().policy
        #expect(
            policy.gpus == [
                GPUPolicy(name: "g", endpoints: [EndpointID(0)], maxTokensInFlight: Tokens(7))
            ])
        #expect(policy.gpu(of: EndpointID(0)) == 0)
        #expect(try Document().load().policy.gpu(of: EndpointID(0)) == nil)
    }

    @Test(arguments: [
        (
            "{name: g, endpoints: [http://127.0.0.1:8001], max_tokens_in_flight: 7}",
            "gpus[0].endpoints: 127.0.0.1:8001 stands in no pool"
        ),
        (
            "{name: g, endpoints: [http://127.0.0.1:8000, http://127.0.0.1:8000/], "
                + "max_tokens_in_flight: 7}",
            "gpus[0].endpoints: 127.0.0.1:8000 stands already in line 24; one engine is on one GPU"
        ),
        (
            "{name: g, endpoints: [http://127.0.0.1:8000], max_tokens_in_flight: 0}",
            "gpus[0].max_tokens_in_flight: expected a whole number from 1 to 1099511627776 "
                + "(tokens), found '0'"
        ),
        (
            "{name: g, endpoints: [http://127.0.0.1:8000]}",
            "gpus[0].max_tokens_in_flight: is required"
        ),
    ])
    func whatCannotBeShared(gpu: String, message: String) {
        #expect(mistake(.top, "gpus: [\(gpu)]") == message)
    }

    @Test func aReloadFindsItsEndpointsAgain() throws {
        let first = try Document().load().policy
        let text = Document().text
            .replacing("[http://127.0.0.1:8000]", with: "[http://x:1, http://127.0.0.1:8000]")
        let gpus = "gpus: [{name: g, endpoints: [http://127.0.0.1:8000], max_tokens_in_flight: 7}]"
        let second = try Document(text: text).with(.top, gpus).load(previous: first).policy
        #expect(second.gpus[0].endpoints == [EndpointID(0)])
        #expect(second.gpu(of: EndpointID(1)) == nil)
    }
}
