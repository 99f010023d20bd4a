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
        let loaded: Tokenizer
        if name.hasSuffix(".tiktoken") {
            loaded = try RankedFile.load(file, name: name)
        } else if name.hasSuffix(".model") {
            loaded = try SentencePieceFile.load(file)
        } else {
            loaded = try HuggingFaceFile.load(file)
        }
        return Tokenizer(loaded, fingerprint: fingerprint(of: file, name: name))
    }

    private convenience init(_ other: Tokenizer, fingerprint: UInt64) {
        self.init(
            added: other.added, normalizers: other.normalizers,
            addedToNormalized: other.addedToNormalized, preparation: other.preparation,
            stages: other.stages, encoding: other.encoding, fingerprint: fingerprint)
    }

    /// A hash by which a file that has not changed is known.
    public static func fingerprint(of file: RawSpan, name: String) -> UInt64 {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        hash ^= UInt64(file.byteCount)
        var at = 0
        while at + 8 <= file.byteCount {
            let word = unsafe file.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
            at += 8
        }
        while at < file.byteCount {
            let byte = unsafe file.unsafeLoad(fromByteOffset: at, as: UInt8.self)
            hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211
            at += 1
        }
        return hash
    }
}
