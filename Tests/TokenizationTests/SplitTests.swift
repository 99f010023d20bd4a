// SPDX-License-Identifier: Apache-2.0

import Testing
import Tokenization

struct SplitTests {
    /// Two letters merge, so that a cut between them shows.
    private static let toy = ToyTokenizer(
        [("a", "b"), ("a", "a"), ("1", "1"), (".", "."), ("\u{120}", "\u{120}")])

    private static func count(_ text: String, _ pattern: String, _ behavior: String = "Isolated")
        throws -> Int
    {
        let escaped = pattern.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        let part = """
            {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\(escaped)"},\
            "behavior":"\(behavior)","invert":false},\
            {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
            """
        return tokens(text, try toy.load(toy.file(preTokenizer: part))).count
    }

    @Test func digitsGoByThrees() throws {
        #expect(try Self.count("1111111", #"\p{N}{1,3}"#) == 5)
        #expect(try Self.count("1111111", #"\p{N}"#) == 7)
        #expect(try Self.count("1111111", #"\p{N}+"#) == 4)
    }

    @Test func contractionsComeInAnyCase() throws {
        #expect(try Self.count("a'Sa", "(?i:'s|'t)|[a-z]+") == 4)
    }

    @Test func spaceBeforeInkKeepsItsLastCharacter() throws {
        let pattern = #" ?\p{L}+|\s+(?!\S)|\s+"#
        #expect(try Self.count("a   ab", pattern) == 4)
        #expect(try Self.count("a    ", pattern) == 3)
    }

    @Test func whatMatchesMayBeTakenOut() throws {
        #expect(try Self.count("aa..aa", #"\.+"#, "Removed") == 2)
        #expect(try Self.count("a.a", #"\."#, "MergedWithPrevious") == 3)
    }

    @Test(arguments: [
        (#"\p{Greek}+"#, #"`\p{Greek}`"#),
        (#"(?<=a)b"#, "a group of an unknown kind"),
        (#"a*?b"#, "a lazy quantifier"),
        (#"a+ab"#, "an alternative has to give back what it took"),
        (#"\s*[\r\n]+|a"#, "an alternative may take time with the square of the text"),
        (#"a++b?ab"#, "an alternative keeps what a later part has to take"),
        (#"a?+a"#, "an alternative keeps what a later part has to take"),
        (#"a{1,9999}"#, "more than 2048 steps"),
        (#"a*"#, "an alternative matches nothing at all"),
        (#"[à-ç]+"#, "a range of characters that no table has"),
        (#"(a"#, "a group without an end"),
        (#"[a"#, "`[` without an end"),
        (#"(ab)+"#, "an alternative is of a form that is not known"),
        (#"\bword"#, #"`\b`"#),
        (#"^a"#, "`^` where a character should be"),
    ])
    func aPatternThatIsNotKnownIsRefusedByName(pattern: String, reason: String) throws {
        let fault = #expect(throws: TokenizerFault.self) { try Self.count("a", pattern) }
        #expect(fault?.reason.contains(reason) == true, "\(fault?.reason ?? "")")
        #expect(fault?.reason.contains(pattern) == true)
    }

    @Test func deepGroupsAreRefused() {
        let pattern = String(repeating: "(", count: 4_000) + "a"
        #expect(throws: TokenizerFault.self) { try Self.count("a", pattern) }
    }
}
