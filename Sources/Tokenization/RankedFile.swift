// SPDX-License-Identifier: Apache-2.0

/// A vocabulary as tiktoken keeps it: a line for each token, its bytes as Base64 and its rank.
///
/// The file does not say how texts are cut: that goes by its name.
enum RankedFile {
    private static let gpt2 =
        #"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"#
    private static let cl100k =
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"#
        + #" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"#
    private static let o200k = [
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
            + "(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
            + "(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        #"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    ].joined(separator: "|")

    /// By the names that tiktoken gives its encodings.
    private static let patterns = [
        ("cl100k_base", cl100k), ("o200k_base", o200k), ("o200k_harmony", o200k),
        ("p50k_base", gpt2), ("p50k_edit", gpt2), ("r50k_base", gpt2), ("gpt2", gpt2),
    ]

    /// `name` is the file's, without its folder.
    static func load(_ text: RawSpan, name: String) throws(TokenizerFault) -> Tokenizer {
        guard let pattern = patterns.first(where: { name.hasPrefix($0.0) })?.1 else {
            throw TokenizerFault(
                "a file of ranks has to be named after its encoding: "
                    + patterns.map(\.0).joined(separator: ", "))
        }
        var builder = try unsafe text.withUnsafeBytes {
            (bytes) throws(TokenizerFault) in try unsafe read(Text(bytes))
        }
        let bytes = builder.byteTokens { [$0] }
        guard !bytes.contains(PieceTable.none) else {
            throw TokenizerFault("a byte has no token of its own")
        }
        builder.mergeByRank(bytes)
        do throws(PatternFault) {
            let rule = try SplitRule(pattern)
            return Tokenizer(
                stages: [.split(rule)],
                encoding: builder.encoding(.bytes(bytes), takesWhole: true))
        } catch {
            throw TokenizerFault("the pattern of \(name): \(error.reason)")
        }
    }

    private static func read(_ text: Text) throws(TokenizerFault) -> PairBuilder {
        var lines: [(rank: UInt32, bytes: [UInt8])] = []
        var number = 0
        var at = 0
        while at < text.count {
            number += 1
            var end = at
            while end < text.count, text.byte(end) != 0x0A { end += 1 }
            if end > at { lines.append(try line(text, at, end, number)) }
            at = end + 1
        }
        lines.sort { $0.rank < $1.rank }
        guard lines.count <= PairBuilder.tokenLimit else {
            throw TokenizerFault("more than \(PairBuilder.tokenLimit) tokens")
        }
        var builder = PairBuilder(expecting: lines.count)
        var last: UInt32?
        for line in lines {
            guard line.rank != last else { throw TokenizerFault("rank \(line.rank) twice") }
            last = line.rank
            guard builder.add(line.bytes, line.rank) else {
                throw TokenizerFault("the token of rank \(line.rank) twice")
            }
        }
        return builder
    }

    private static func line(
        _ text: Text, _ start: Int, _ end: Int, _ number: Int
    ) throws(TokenizerFault) -> (UInt32, [UInt8]) {
        var space = start
        while space < end, text.byte(space) != 0x20 { space += 1 }
        let symbols = (start..<space).lazy.map { text.byte($0) }
        guard let bytes = Base64.decoded(symbols), !bytes.isEmpty,
            let rank = rank(text, space + 1, end)
        else { throw TokenizerFault("line \(number) is not a token in Base64 and its rank") }
        return (rank, bytes)
    }

    private static func rank(_ text: Text, _ start: Int, _ end: Int) -> UInt32? {
        var end = end
        if end > start, text.byte(end - 1) == 0x0D { end -= 1 }
        guard start < end, end - start < 8 else { return nil }
        var rank: UInt32 = 0
        for at in start..<end {
            guard (0x30...0x39).contains(text.byte(at)) else { return nil }
            rank = rank * 10 + UInt32(text.byte(at) - 0x30)
        }
        return rank < PairBuilder.tokenLimit ? rank : nil
    }
}
