// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("SplitMix64")
struct SplitMix64Tests {
    /// The first numbers of the authors' own program (splitmix64.c, Vigna).
    @Test(
        "the numbers are those of the reference implementation",
        arguments: [
            (0, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]),
            (
                1_234_567,
                [
                    6_457_827_717_110_365_317, 3_203_168_211_198_807_973,
                    9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
                    16_408_922_859_458_223_821,
                ]
            ),
        ] as [(UInt64, [UInt64])])
    func vectors(seed: UInt64, expected: [UInt64]) {
        var random = SplitMix64(seed: seed)
        #expect(expected.map { _ in random.next() } == expected)
    }

    @Test("unit numbers lie below one and are spread evenly")
    func unit() {
        var random = SplitMix64(seed: 7)
        var buckets = [Int](repeating: 0, count: 10)
        for _ in 0..<100_000 {
            let number = random.unit()
            guard (0..<1).contains(number) else {
                Issue.record("\(number)")
                return
            }
            buckets[Int(number * 10)] += 1
        }
        #expect(buckets.allSatisfy { (9_500...10_500).contains($0) })
    }
}
