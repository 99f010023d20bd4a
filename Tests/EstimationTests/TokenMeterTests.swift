// SPDX-License-Identifier: Apache-2.0

import Estimation
import Policy
import TestSupport
import Testing
import Units

/// The estimate of one text, in units.
private func units(_ bytes: [UInt8]) -> Int {
    var meter = TokenMeter()
    bytes.withRaw { meter.feed($0) }
    return meter.units
}

struct TokenMeterTests {
    @Test(arguments: EstimateRow.all)
    func theEstimateIsTheReferencesToTheUnit(row: EstimateRow) {
        #expect(units(Array(row.text.utf8)) == row.units)
    }

    @Test func thereAreEightyRowsAndTheyDiffer() {
        #expect(EstimateRow.all.count == 80)
        #expect(Set(EstimateRow.all.map { $0.units }).count > 70)
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func anyCutOfATextCostsTheSame(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for row in EstimateRow.all {
            var meter = TokenMeter()
            var rest = Array(row.text.utf8)[...]
            while !rest.isEmpty {
                let piece = rest.prefix(1 + Int(random.next() % 9))
                Array(piece).withRaw { meter.feed($0) }
                rest = rest.dropFirst(piece.count)
            }
            #expect(meter.units == row.units)
        }
    }

    @Test func textsAddUpAndNothingCarriesOver() {
        var meter = TokenMeter()
        var sum = 0
        for row in EstimateRow.all {
            meter.boundary()
            Array(row.text.utf8).withRaw { meter.feed($0) }
            sum += row.units
        }
        meter.boundary()
        #expect(meter.units == sum)
        #expect(meter.tokens == Tokens((sum + 12_287) / 12_288))
        meter.reset()
        #expect(meter.units == 0)
        #expect(meter.tokens == .zero)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func anyBytesCostBetweenATwelfthAndAllOfThem(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let bytes = (0..<Int(random.next() % 300)).map { _ in UInt8(random.next() % 256) }
        let units = units(bytes)
        #expect(units >= bytes.count * 1_024)
        #expect(units <= bytes.count * 12_288)
    }

    @Test func tokensAreRoundedUp() {
        var meter = TokenMeter()
        [UInt8(ascii: "\n")].withRaw { meter.feed($0) }
        #expect(meter.units > 0)
        #expect(meter.units < 12_288)
        #expect(meter.tokens == Tokens(1))
    }

    /// The tokenizer makes one token of each " word"; letter by letter it would cost half of one.
    @Test(arguments: [60, 600, 6_000])
    func oneWordAgainAndAgainIsAToken(count: Int) {
        let text = Array(String(repeating: "word ", count: count).utf8)
        let tokens = Double(units(text)) / Double(TokenMeter.unitsPerToken)
        #expect((0.97...1.03).contains(tokens / Double(count)))
    }

    /// Long texts are read at four places at once where they have spaces and the like, else in one
    /// row; byte by byte there is one place only.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func aLongTextCostsWhatItsBytesDoOneByOne(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var text: [UInt8] = []
        while text.count < 9_000 {
            let row = EstimateRow.all[Int(random.next() % UInt64(EstimateRow.all.count))]
            switch random.next() % 8 {
            case 0: text += (0..<300).map { _ in UInt8(random.next() % 256) }
            case 1: text += [UInt8](repeating: UInt8(random.next() % 256), count: 400)
            default: text += Array(row.text.utf8)
            }
        }
        var meter = TokenMeter(family: .qwen2)
        for byte in text { [byte].withRaw { meter.feed($0) } }
        var whole = TokenMeter(family: .qwen2)
        text.withRaw { whole.feed($0) }
        #expect(whole.units == meter.units)
        #expect(whole.units > 0)
    }

    @Test func everyFamilyHasATableOfItsOwn() {
        let text = Array(EstimateRow.all.map(\.text).joined(separator: " ").utf8)
        let found = TokenizerFamily.allCases.map { family in
            var meter = TokenMeter(family: family)
            text.withRaw { meter.feed($0) }
            return meter.units
        }
        #expect(Set(found).count == TokenizerFamily.allCases.count)
    }

    @Test func theFamilyMayChangeBetweenTexts() {
        let text = Array(EstimateRow.all[0].text.utf8)
        var meter = TokenMeter(family: .gpt2)
        meter.family = .llama3
        text.withRaw { meter.feed($0) }
        #expect(meter.units == EstimateRow.all[0].units)
    }
}

struct TokenizerFamilyTests {
    @Test(arguments: [
        ("llama-3.1-8b", TokenizerFamily.llama3), ("meta-llama/Llama-2-7b-chat", .llama2),
        ("Qwen/Qwen2.5-72B-Instruct", .qwen2), ("deepseek-ai/DeepSeek-V3", .deepseekV3),
        ("deepseek-r1-distill-qwen-7b", .qwen2), ("gpt-4o-mini", .o200k), ("gpt-4-turbo", .cl100k),
        ("o3-mini", .o200k), ("gpt-oss-120b", .o200k), ("gpt2-medium", .gpt2),
        ("tiiuae/falcon-7b", .falcon), ("c4ai-command-r-plus", .commandR),
        ("claude-sonnet-4-5", .claude), ("microsoft/Phi-3.5-mini-instruct", .llama2),
        ("mixtral-8x7b", .llama2), ("somebody/own-model", .llama3),
    ])
    func aModelsNameTellsWhoseTokensItCounts(name: String, family: TokenizerFamily) {
        #expect(TokenizerFamily(model: name) == family)
    }
}
