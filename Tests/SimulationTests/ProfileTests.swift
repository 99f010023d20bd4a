// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

@Suite struct ProfileTests {
    @Test func aDerivedProfileHasTheReferenceCoefficients() throws {
        let profile = try #require(EngineProfile.named("llama70b-h100-tp2-fp8"))
        guard case .roofline(let law) = profile.cost else {
            Issue.record("derived profiles follow the roofline law")
            return
        }
        #expect(abs(law.fixed - 0.0057680000000000006) < 1e-12)
        #expect(abs(law.perSequence - 4e-05) < 1e-12)
        #expect(abs(law.weights - 0.011906568850661945) < 1e-12)
        #expect(abs(law.perToken - 8.50362434916332e-05) < 1e-14)
        #expect(abs(law.perPair - 3.2324348319317368e-09) < 1e-18)
        #expect(abs(law.perContextToken - 3.493390191897654e-08) < 1e-17)
        #expect(profile.requestOverhead == .milliseconds(12))
    }

    @Test(arguments: [
        ("llama70b-h100-tp2-fp8", 28_724), ("llama70b-h100-tp4-fp8", 84_381),
        ("llama8b-h200-tp1-bf16", 55_108), ("qwen32b-h200-tp8-bf16", 235_424),
        ("llama70b-h100-tp1-fp8", 896), ("qwen32b-h100-tp1-bf16", 1_752),
    ])
    func kvBlocksAreWhatTheWeightsLeave(name: String, blocks: Int) {
        #expect(EngineProfile.named(name)?.blocks == blocks)
    }

    @Test func aModelThatDoesNotFitHasNoProfile() {
        #expect(EngineProfile.named("llama70b-h100-tp1-bf16") == nil)
        #expect(!EngineProfile.catalogNames.contains("llama70b-h100-tp1-bf16"))
    }

    @Test(arguments: [
        "", "llama70b", "llama70b-h100-tp3-fp8", "llama70b-h100-tp2-int4", "llama70b-h100-2-fp8",
        "llama70b-h100-tp2-fp8-x", "gpt-h100-tp2-fp8", "llama70b-b200-tp2-fp8",
        "llama70b-h100-tp02-fp8",
    ])
    func unknownNamesHaveNone(name: String) { #expect(EngineProfile.named(name) == nil) }

    @Test func everyListedNameIsKnownByThatName() {
        let names = EngineProfile.catalogNames
        #expect(Set(names).count == names.count)
        for name in names { #expect(EngineProfile.named(name)?.name == name) }
    }

    @Test func theKVFixtureIsAsItsPageSays() {
        let profile = EngineProfile.fixtureA
        #expect(profile.kvTokens == Tokens(60_000))
        var shape = StepShape()
        shape.decoding = 10
        shape.context = 5_000
        shape.chunks = 1
        shape.prefill = 1_000
        shape.prefilled = 2_000
        #expect(abs(profile.cost.seconds(shape) - (0.015 + 0.047 + 0.001 + 0.00042)) < 1e-12)
    }

    @Test func aSmallEngineAnswersQuickly() throws {
        let small = try #require(EngineProfile.named("small"))
        var prefill = StepShape()
        prefill.chunks = 1
        prefill.prefill = 1_000
        #expect((0.04...0.06).contains(small.cost.seconds(prefill)))
        var decode = StepShape()
        decode.decoding = 24
        decode.context = 8_000
        #expect((0.015...0.025).contains(small.cost.seconds(decode)))
    }

    @Test func bothTermsOfTheRooflineHaveASoftCorner() {
        let law = StepCost.Roofline(
            fixed: 0, perSequence: 0, weights: 1, perToken: 1, perPair: 0, perContextToken: 0)
        var shape = StepShape()
        shape.prefill = 1
        #expect(abs(StepCost.roofline(law).seconds(shape) - 1.189207115002721) < 1e-12)
        shape.prefill = 100
        #expect(abs(StepCost.roofline(law).seconds(shape) - 100) < 1e-6)
    }
}
