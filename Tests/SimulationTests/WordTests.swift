// SPDX-License-Identifier: Apache-2.0

import Simulation
import TestSupport
import Testing
import Units

private func tokenize(_ pieces: [String], maxHashes: Int = 100) -> WordTokenizer {
    var tokenizer = WordTokenizer(maxHashes: maxHashes)
    for piece in pieces {
        let bytes = Array(piece.utf8)
        bytes.withRaw { tokenizer.feed($0) }
    }
    return tokenizer
}

@Suite struct WordTests {
    @Test(arguments: [
        ("", 0), ("  \n\t ", 0), ("one", 1), ("one two", 2), ("  one\r\ntwo  ", 2),
        ("twelve_bytes", 1), ("thirteen_byte", 2), ("abcdefghijklabcdefghijkla b", 4),
    ])
    func aRunIsOneTokenForEveryStartedTwelveBytes(text: String, tokens: Int) {
        #expect(tokenize([text]).count == Tokens(tokens))
    }

    /// However the text is cut, the count and the hashes are the same.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func cutsChangeNothing(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let letters = Array("abc  \n".unicodeScalars)
        let text = (0..<400).map { _ in letters[Int(random.next() % UInt64(letters.count))] }
        let whole = tokenize([String(String.UnicodeScalarView(text))])
        var pieces: [String] = []
        var at = 0
        while at < text.count {
            let end = min(text.count, at + Int(random.next() % 9))
            pieces.append(String(String.UnicodeScalarView(text[at..<end])))
            at = end
        }
        let cut = tokenize(pieces)
        #expect(cut.count == whole.count)
        #expect(cut.hashes == whole.hashes)
    }

    @Test func aBoundaryEndsAToken() {
        var tokenizer = tokenize(["one"])
        tokenizer.boundary()
        let bytes = Array("two".utf8)
        bytes.withRaw { tokenizer.feed($0) }
        #expect(tokenizer.count == Tokens(2))
    }

    @Test func hashesStandForFullUnitsOfTheTextUpToThem() {
        let words = (0..<40).map { "w\($0)" }
        let first = tokenize([words.joined(separator: " ")])
        #expect(first.hashes.count == 2)
        #expect(tokenize([words.prefix(16).joined(separator: " ")]).hashes == [first.hashes[0]])
        #expect(tokenize([words.prefix(15).joined(separator: " ")]).hashes.isEmpty)
        var changed = words
        changed[20] = "x"
        let second = tokenize([changed.joined(separator: "\n")])
        #expect(second.hashes[0] == first.hashes[0])
        #expect(second.hashes[1] != first.hashes[1])
        changed[0] = "y"
        #expect(tokenize([changed.joined(separator: " ")]).hashes[0] != first.hashes[0])
    }

    @Test func notMoreHashesAreKeptThanAllowed() {
        let text = String(repeating: "w ", count: 100)
        #expect(tokenize([text], maxHashes: 3).hashes.count == 3)
        #expect(tokenize([text], maxHashes: 3).hashes == Array(tokenize([text]).hashes.prefix(3)))
    }

    @Test func tokensGivenAsNumbersCountAndHash() {
        var first = WordTokenizer(maxHashes: 4)
        var second = WordTokenizer(maxHashes: 4)
        for number in 0..<16 {
            first.feed(tokenNumber: number)
            second.feed(tokenNumber: number + 1)
        }
        #expect(first.count == Tokens(16))
        #expect(first.hashes.count == 1)
        #expect(first.hashes != second.hashes)
    }

    @Test(arguments: [1, 2, 17, 1_000])
    func aTextHasExactlyItsTokens(count: Int) {
        var buffer = ByteBuffer()
        WordText(seed: 9).append(tokens: 0..<count, to: &buffer)
        var tokenizer = WordTokenizer(maxHashes: 0)
        buffer.array.withRaw { tokenizer.feed($0) }
        #expect(tokenizer.count == Tokens(count))
    }

    @Test func aTextDependsOnItsSeedAndOnNothingElse() {
        func text(_ seed: UInt64, _ parts: [Range<Int>]) -> String {
            var buffer = ByteBuffer()
            for part in parts { WordText(seed: seed).append(tokens: part, to: &buffer) }
            return buffer.string
        }
        #expect(text(1, [0..<20]) == text(1, [0..<7, 7..<20]))
        #expect(text(1, [0..<20]) != text(2, [0..<20]))
    }
}
