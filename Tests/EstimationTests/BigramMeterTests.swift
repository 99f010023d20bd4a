// SPDX-License-Identifier: Apache-2.0

import Estimation
import TestSupport
import Testing
import Units

/// The estimate of one text, in units.
private func units(_ bytes: [UInt8]) -> Int {
    var meter = BigramMeter()
    bytes.withRaw { meter.feed($0) }
    return meter.units
}

struct BigramMeterTests {
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
            var meter = BigramMeter()
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
        var meter = BigramMeter()
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
        var meter = BigramMeter()
        [UInt8(ascii: "a")].withRaw { meter.feed($0) }
        #expect(meter.units > 0)
        #expect(meter.units < 12_288)
        #expect(meter.tokens == Tokens(1))
    }

    /// A known weakness, and how far it goes: the tokenizer makes one token of each " word".
    @Test(arguments: [60, 600, 6_000])
    func oneWordAgainAndAgainIsUnderestimatedByMoreThanAFifth(count: Int) {
        let text = Array(String(repeating: "word ", count: count).utf8)
        let tokens = Double(units(text)) / Double(BigramMeter.unitsPerToken)
        #expect((0.77...0.79).contains(tokens / Double(count)))
    }
}
