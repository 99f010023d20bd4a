// SPDX-License-Identifier: Apache-2.0

/// Reads `pre_tokenizer` of a tokenizer's file.
struct PreTokenizerReader {
    private(set) var stages: [Tokenizer.Stage] = []
    private(set) var preparation = Tokenizer.Preparation()
    private(set) var isByteLevel = false

    /// Of the ByteLevel pre-tokenizer, as the library has it.
    private static let byteLevel =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    mutating func read(_ part: JSONTree) throws(TokenizerFault) {
        let type = part["type"]?.text ?? "one without a type"
        guard stages.count <= 16 else { throw TokenizerFault("more than 16 pre-tokenizers") }
        guard !isByteLevel || type == "Sequence" else {
            throw TokenizerFault("pre_tokenizer: \(type) behind ByteLevel is not known")
        }
        switch type {
        case "Sequence":
            for element in part["pretokenizers"]?.elements ?? [] { try read(element) }
        case "Split": try readSplit(part)
        case "ByteLevel": try readByteLevel(part)
        case "Digits":
            let isSingle = part["individual_digits"]?.flag ?? false
            try add(isSingle ? #"\p{N}"# : #"\p{N}+"#, .isolated)
        case "WhitespaceSplit": try add(#"\s+"#, .onlyGaps)
        case "Whitespace": try add(#"\w+|[^\w\s]+"#, .onlyMatches)
        case "Metaspace": try readMetaspace(part)
        default: throw TokenizerFault("pre_tokenizer: \(type) is not known")
        }
    }

    private mutating func add(
        _ pattern: String, _ behavior: SplitRule.Behavior
    ) throws(TokenizerFault) {
        do throws(PatternFault) {
            stages.append(.split(try SplitRule(pattern, behavior)))
        } catch {
            throw TokenizerFault("pre_tokenizer: the pattern \(pattern): \(error.reason)")
        }
    }

    private mutating func readSplit(_ part: JSONTree) throws(TokenizerFault) {
        let pattern: String
        if let expression = part["pattern"]?["Regex"]?.text {
            pattern = expression
        } else if let text = part["pattern"]?["String"]?.text, !text.isEmpty {
            pattern = text.unicodeScalars.map { scalar in
                scalar.value < 128 && !("0"..."9").contains(scalar)
                    && !scalar.properties.isAlphabetic ? "\\\(scalar)" : String(scalar)
            }.joined()
        } else {
            throw TokenizerFault("pre_tokenizer: Split without a pattern")
        }
        let name = part["behavior"]?.text ?? ""
        let inverted = part["invert"]?.flag ?? false
        switch (name, inverted) {
        case ("Isolated", _): try add(pattern, .isolated)
        case ("Removed", false): try add(pattern, .onlyGaps)
        case ("Removed", true): try add(pattern, .onlyMatches)
        case ("MergedWithPrevious", false): try add(pattern, .endsPiece)
        case ("MergedWithNext", false): try add(pattern, .beginsPiece)
        default:
            throw TokenizerFault("pre_tokenizer: Split with the behavior \(name) is not known")
        }
    }

    private mutating func readByteLevel(_ part: JSONTree) throws(TokenizerFault) {
        if part["add_prefix_space"]?.flag ?? false {
            try prepare(
                Tokenizer.Preparation(prefix: [0x20], scheme: .always), of: "ByteLevel")
        }
        isByteLevel = true
        if part["use_regex"]?.flag ?? true { try add(Self.byteLevel, .isolated) }
    }

    private mutating func readMetaspace(_ part: JSONTree) throws(TokenizerFault) {
        guard part["replacement"]?.text == "\u{2581}" else {
            throw TokenizerFault("pre_tokenizer: Metaspace with another replacement than U+2581")
        }
        let old = part["add_prefix_space"]?.flag ?? true ? "always" : "never"
        let scheme: Tokenizer.Preparation.Scheme
        switch part["prepend_scheme"]?.text ?? old {
        case "always": scheme = .always
        case "first": scheme = .first
        case "never": scheme = .never
        default: throw TokenizerFault("pre_tokenizer: Metaspace with an unknown prepend_scheme")
        }
        try prepare(
            Tokenizer.Preparation(
                prefix: Tokenizer.Preparation.marker, scheme: scheme, marksSpaces: true),
            of: "Metaspace")
        if part["split"]?.flag ?? true { stages.append(.beforeMarkers(each: true)) }
    }

    /// Texts are prepared before they are cut, once.
    private mutating func prepare(
        _ wanted: Tokenizer.Preparation, of type: String
    ) throws(TokenizerFault) {
        guard stages.isEmpty, preparation.isEmpty else {
            throw TokenizerFault("pre_tokenizer: a prefix by \(type) behind others is not known")
        }
        preparation = wanted
    }
}
