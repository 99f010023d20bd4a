// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Tokenization
import Units

struct MergeTests {
    /// Merges of random tokens, in an order that makes some before what they are made of.
    private static func merges(_ random: inout SplitMix64, letters: [String]) -> [(String, String)]
    {
        var tokens = letters
        var merges: [(String, String)] = []
        for _ in 0..<24 {
            let left = tokens[Int(random.next() % UInt64(tokens.count))]
            let right = tokens[Int(random.next() % UInt64(tokens.count))]
            guard left.count + right.count <= 9, !merges.contains(where: { $0 == (left, right) })
            else { continue }
            merges.append((left, right))
            tokens.append(left + right)
        }
        for place in merges.indices where random.next() % 3 == 0 {
            merges.swapAt(place, Int(random.next() % UInt64(merges.count)))
        }
        return merges
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func piecesOfAnyLengthMergeAsThePlainestWayDoes(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let letters = ["a", "b", "c"].prefix(1 + Int(random.next() % 3)).map { $0 }
        let toy = ToyTokenizer(Self.merges(&random, letters: letters))
        let tokenizer = try toy.load()
        for length in [0, 1, 2, 3, 7, 20, 63, 64, 65, 66, 100, 190] {
            let text = (0..<length).map { _ in
                letters[Int(random.next() % UInt64(letters.count))]
            }.joined()
            #expect(tokens(text, tokenizer) == toy.tokens(of: text), "\(text)")
        }
    }

    /// Ranks that come back again and again from behind: the queue's order within a rank.
    @Test func overlappingPairsGoFromTheLeft() throws {
        let toy = ToyTokenizer([("a", "a"), ("aa", "aa"), ("b", "aa"), ("aa", "a"), ("b", "a")])
        let tokenizer = try toy.load()
        for length in 1...140 {
            let text = String(repeating: "a", count: length)
            #expect(tokens(text, tokenizer) == toy.tokens(of: text))
            #expect(tokens("b" + text, tokenizer) == toy.tokens(of: "b" + text))
        }
    }

    @Test func aTokenThatMergesDoNotReachIsTakenWholeOnlyWhereMergesAreIgnored() throws {
        let toy = ToyTokenizer([("a", "b"), ("b", "c"), ("a", "bc")])
        #expect(tokens("abc", try toy.load()) == toy.tokens(of: "abc"))
        #expect(toy.tokens(of: "abc").count == 2)
        let whole = try toy.load(toy.file(model: #""ignore_merges":true,"#))
        #expect(tokens("abc", whole).count == 1)
    }

    @Test func manyEqualBytesTakeLinearTime() throws {
        let toy = ToyTokenizer([("a", "a"), ("aa", "aa"), ("aaaa", "aaaa")])
        let tokenizer = try toy.load()
        #expect(tokens(String(repeating: "a", count: 200_000), tokenizer).count == 25_000)
    }

    @Test func aByteWithoutATokenIsLeftOut() throws {
        let tokenizer = try ToyTokenizer([("a", "b")]).load()
        #expect(tokens("a\u{1}b", tokenizer) == tokens("ab", tokenizer))
    }

    @Test func bytesThatAreNoTextAreCountedToo() throws {
        let tokenizer = try ToyTokenizer([("a", "b")]).load()
        for bytes in [[0xFF], [0xE2, 0x96], [0xF4, 0x90, 0x80, 0x80], [0xC0], [0x61, 0x80]]
            as [[UInt8]]
        {
            let count = bytes.withRaw { TokenCounter().count($0, tokenizer) }
            #expect(count <= bytes.count)
        }
    }
}
