// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// Estimates the tokens of texts in one pass, from pairs of neighbouring bytes and from the words
/// that they stand in.
///
/// A text costs the sum of what its bytes cost behind the byte before (`ByteClass`) and in the
/// state of the word (`WordState`), as if it stood behind a space, but at least one token a word
/// and a twelfth of its bytes, and at most all of them: no tokenizer has two words in a token, so
/// that a few common ones again and again are not taken for less. A text may come in pieces of any
/// size: the result is the same. How far it is off, by tokenizer and kind of text: docs/tokens.md.
public struct TokenMeter: TextMeter, Sendable {
    /// Sums are exact in this part of a token: the least common multiple of 4,096 and 12.
    public static let unitsPerToken = 12_288

    /// Whose tokens are counted: to be changed between texts.
    public var family: TokenizerFamily {
        didSet { if family != oldValue { table = family.table } }
    }
    private var table: FamilyTable
    private var previous = TokenMeter.space
    /// The byte before a text counts as a space.
    private static let space: UInt8 = 0x20
    /// 32 × the state of the present word.
    private var word = FamilyTable.start
    /// Of the present text, in 1/4096 token.
    private var sum = 0
    /// Words of the present text.
    private var begun = 0
    /// Of the present text.
    private var bytes = 0
    /// Of the texts before it, in units.
    private var settled = 0

    /// Nothing fed yet.
    public init(family: TokenizerFamily = .llama3) {
        self.family = family
        table = family.table
    }

    /// Takes the next piece; the cost is linear, about a nanosecond a byte and less.
    public mutating func feed(_ text: RawSpan) {
        var start = 0
        while start < text.byteCount {
            let end = min(text.byteCount, start + Lane.longest)
            feedPiece(text.extracting(start..<end))
            start = end
        }
    }

    private mutating func feedPiece(_ text: RawSpan) {
        let before = previous
        var lane = Lane(word: word)
        unsafe text.withUnsafeBytes { octets in
            unsafe table.read { pairs, words, alone in
                guard let start = octets.baseAddress else { return }
                // Two bytes make an index below 65,536, a state and a kind one of the words'.
                let reader = unsafe PriceReader(
                    octets: start.assumingMemoryBound(to: UInt8.self), pairs: pairs, words: words,
                    alone: alone)
                let first = unsafe pairs[Int(before) | Int(octets[0]) << 8]
                var sums = (pairs: 0, words: 0)
                unsafe reader.take(first, &lane.word, &sums)
                (lane.pairs, lane.words) = sums
                lane = unsafe reader.read(1..<octets.count, lane)
                unsafe previous = octets[octets.count - 1]
            }
        }
        word = lane.word
        sum &+= lane.sum
        begun &+= lane.begun
        bytes &+= text.byteCount
    }

    /// Ends the present text.
    public mutating func boundary() {
        settled = units
        begin()
    }

    /// Begins anew, as if nothing had been fed.
    public mutating func reset() {
        settled = 0
        begin()
    }

    private mutating func begin() {
        previous = TokenMeter.space
        word = FamilyTable.start
        sum = 0
        begun = 0
        bytes = 0
    }

    /// Of all texts fed, in `unitsPerToken`ths of a token.
    public var units: Int {
        settled + min(bytes * 12_288, max(bytes * 1024, begun * 12_288, sum * 3))
    }

    /// Of all texts fed, rounded up to whole tokens.
    public var tokens: Tokens {
        Tokens((units + TokenMeter.unitsPerToken - 1) / TokenMeter.unitsPerToken)
    }
}
