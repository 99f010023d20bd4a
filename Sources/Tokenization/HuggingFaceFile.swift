// SPDX-License-Identifier: Apache-2.0

import Wire

/// A tokenizer as the `tokenizers` library writes it: `tokenizer.json`. Every part is known or
/// refused by its name.
struct HuggingFaceFile {
    /// All of the file but `model`.
    private var members: [(name: String, value: JSONTree)] = []
    /// `model` but `vocab` and `merges`.
    private var model: JSONTree = .null
    private var vocabulary = 0..<0
    private var merges = 0..<0

    static func load(_ text: RawSpan) throws(TokenizerFault) -> Tokenizer {
        var file = HuggingFaceFile()
        do throws(JSONFault) {
            try file.read(text)
        } catch {
            throw TokenizerFault("it is not JSON: \(error)")
        }
        return try file.tokenizer(text)
    }

    private mutating func read(_ text: RawSpan) throws(JSONFault) {
        var scanner = JSONScanner()
        guard try scanner.next(in: text) == .beginObject else { throw .malformed(at: 0) }
        while case .key(let name) = try scanner.next(in: text) {
            if name.equals("model", in: text) {
                try readModel(&scanner, text)
            } else {
                members.append((name.string(in: text), try JSONTree.read(&scanner, text)))
            }
        }
        _ = try scanner.next(in: text)
    }

    private mutating func readModel(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        guard try scanner.next(in: text) == .beginObject else {
            throw .malformed(at: scanner.tokenStart)
        }
        var found: [(name: String, value: JSONTree)] = []
        while case .key(let name) = try scanner.next(in: text) {
            let start = scanner.offset
            if name.equals("vocab", in: text) {
                try scanner.skipValue(in: text)
                vocabulary = start..<scanner.offset
            } else if name.equals("merges", in: text) {
                try scanner.skipValue(in: text)
                merges = start..<scanner.offset
            } else {
                found.append((name.string(in: text), try JSONTree.read(&scanner, text)))
            }
        }
        model = .object(found)
    }

    private subscript(name: String) -> JSONTree? { JSONTree.object(members)[name] }

    // MARK: The whole

    private func tokenizer(_ text: RawSpan) throws(TokenizerFault) -> Tokenizer {
        try refuseOptions()
        var cuts = PreTokenizerReader()
        if let part = self["pre_tokenizer"] { try cuts.read(part) }
        let normalizers = try NormalizerReader.read(self["normalizer"])
        let added = try addedTokens()
        let builder = try VocabularyReader.read(
            isByteLevel: cuts.isByteLevel, vocabulary: text.extracting(vocabulary),
            merges: text.extracting(merges))
        let markers = cuts.stages.isEmpty && !cuts.isByteLevel ? builder.markerStages : []
        return Tokenizer(
            added: AddedTokens(added.filter { !$0.isNormalized }.map(\.token)),
            normalizers: normalizers,
            addedToNormalized: AddedTokens(
                added.filter(\.isNormalized).map { $0.token.normalized(normalizers) }),
            preparation: cuts.preparation, stages: cuts.stages + markers,
            encoding: builder.encoding(
                try units(builder, isByteLevel: cuts.isByteLevel),
                takesWhole: model["ignore_merges"]?.flag ?? false))
    }

    private func refuseOptions() throws(TokenizerFault) {
        let type = model["type"]?.text ?? "BPE"
        guard type == "BPE" else { throw TokenizerFault("model.type: \(type) is not known") }
        for name in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
            guard let value = model[name], value != .string(""), value != .number(0) else {
                continue
            }
            throw TokenizerFault("model.\(name) is not known")
        }
    }

    private func units(
        _ builder: PairBuilder, isByteLevel: Bool
    ) throws(TokenizerFault) -> PairEncoding.Units {
        if isByteLevel {
            let bytes = builder.byteTokens { [$0] }
            guard model["unk_token"] == nil || !bytes.contains(PieceTable.none) else {
                throw TokenizerFault("model.unk_token where bytes have no token of their own")
            }
            return .bytes(bytes)
        }
        var bytes: [UInt32] = []
        if model["byte_fallback"]?.flag ?? false {
            bytes = builder.byteTokens { PairBuilder.byteName($0) }
            guard !bytes.contains(PieceTable.none) else {
                throw TokenizerFault("model.byte_fallback where a byte has no token")
            }
        }
        var unknown = PieceTable.none
        if let name = model["unk_token"]?.text {
            guard let id = builder.find(Array(name.utf8)) else {
                throw TokenizerFault("model.unk_token is not in model.vocab")
            }
            unknown = id
        }
        return .characters(
            bytes: bytes, unknown: unknown, isFused: model["fuse_unk"]?.flag ?? false)
    }

    // MARK: Added tokens

    private func addedTokens() throws(TokenizerFault) -> [(
        token: AddedTokens.Token, isNormalized: Bool
    )] {
        var tokens: [(AddedTokens.Token, Bool)] = []
        for entry in self["added_tokens"]?.elements ?? [] {
            guard let id = entry["id"]?.number.flatMap({ UInt32(exactly: $0) }),
                let content = entry["content"]?.text
            else { throw TokenizerFault("added_tokens: an entry without id or content") }
            let flag = { (name: String) in entry[name]?.flag ?? false }
            let token = AddedTokens.Token(
                id: id, content: Array(content.utf8), isSingleWord: flag("single_word"),
                stripsLeft: flag("lstrip"), stripsRight: flag("rstrip"))
            tokens.append((token, entry["normalized"]?.flag ?? !flag("special")))
        }
        return tokens
    }
}

extension AddedTokens.Token {
    /// As it is to be found in texts behind `normalizers`.
    fileprivate func normalized(_ normalizers: [Normalizer]) -> AddedTokens.Token {
        let counter = TokenCounter()
        let isChanged = unsafe content.withUnsafeBytes { bytes in
            unsafe Normalizer.apply(normalizers, to: Text(bytes), counter)
        }
        guard isChanged else { return self }
        return AddedTokens.Token(
            id: id, content: counter.changed, isSingleWord: isSingleWord, stripsLeft: stripsLeft,
            stripsRight: stripsRight)
    }
}
