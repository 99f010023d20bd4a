// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Tokenization
import Units

/// Cuts compared with those that Swift's own regular expressions make, which go back where a match
/// fails; tables do not.
struct CutTests {
    private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
    private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#

    private static let patterns = [
        contractions + #"|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"#
            + #"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"#,
        contractions + #"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"#
            + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        #"[^\r\n\p{L}\p{N}]?"# + upper + "*" + lower + "+" + contractions
            + #"?|[^\r\n\p{L}\p{N}]?"# + upper + "+" + lower + "*" + contractions
            + #"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        #"'s|'re|'ll| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
        #"[!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"#
            + #"|\s*[\r\n]+|\s+(?!\S)|\s+"#,
        "ab|abc|a|bc+|c{2,3}|d?a", #"\p{N}{1,3}"#,
    ]

    /// All pairs of these letters merge, and then again: where a text is cut changes its tokens.
    private static let letters = ["a", "b", "c", "s", "S", "t", "B", "'", ".", "/", "1", "\u{120}"]
    private static let toy: ToyTokenizer = {
        let pairs = letters.flatMap { left in letters.map { (left, $0) } }
        return ToyTokenizer(pairs + pairs.prefix(60).map { ($0.0 + $0.1, $0.0 + $0.1) })
    }()

    private static let characters =
        letters.dropLast() + [" ", " ", "\n", "\r", "\t", "é", "É", "你", "\u{301}", "😀", "½"]

    private static func tokenizer(_ pattern: String) throws -> Tokenizer {
        let escaped = pattern.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return try toy.load(
            toy.file(
                preTokenizer: """
                    {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":\
                    {"Regex":"\(escaped)"},"behavior":"Isolated","invert":false},\
                    {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
                    """))
    }

    /// What matches, and what stands between.
    private static func pieces(_ text: String, _ expression: Regex<AnyRegexOutput>) -> [String] {
        var pieces: [String] = []
        var gap = text.startIndex
        for match in text.matches(of: expression) where !match.range.isEmpty {
            let range = match.range
            if gap < range.lowerBound { pieces.append(String(text[gap..<range.lowerBound])) }
            pieces.append(String(text[range]))
            gap = range.upperBound
        }
        if gap < text.endIndex { pieces.append(String(text[gap...])) }
        return pieces
    }

    @Test(arguments: patterns)
    func textsAreCutAsTheyAreWithGoingBack(pattern: String) throws {
        let expression = try Regex(pattern).matchingSemantics(.unicodeScalar)
        let tokenizer = try Self.tokenizer(pattern)
        let uncut = try Self.toy.load()
        var random = SplitMix64(seed: 7)
        for _ in 0..<300 {
            let text = (0..<Int(random.next() % 24)).map { _ in
                Self.characters[Int(random.next() % UInt64(Self.characters.count))]
            }.joined()
            let right = Self.pieces(text, expression).flatMap { tokens($0, uncut) }
            #expect(tokens(text, tokenizer) == right, "\(text.debugDescription)")
        }
    }
}
