// SPDX-License-Identifier: Apache-2.0

extension Tokenizer {
    /// The largest file that is read, in bytes.
    public static let maxFileBytes = 64 << 20

    /// A tokenizer from the bytes of its file: a `tokenizer.json`, a file of ranks as tiktoken has
    /// them, or a model of SentencePiece. `name` is the file's, without its folder.
    ///
    /// What is not known to be counted as the reference library counts is refused: a fault names
    /// it.
    public static func load(_ file: RawSpan, name: String) throws(TokenizerFault) -> Tokenizer {
        guard file.byteCount <= maxFileBytes else {
            throw TokenizerFault("it is larger than \(maxFileBytes) bytes")
        }
        if name.hasSuffix(".tiktoken") { return try RankedFile.load(file, name: name) }
        if name.hasSuffix(".model") { return try SentencePieceFile.load(file) }
        return try HuggingFaceFile.load(file)
    }
}
