// SPDX-License-Identifier: Apache-2.0

/// Counts the tokens of texts: the memory that this takes, kept from one text to the next. For one
/// thread.
public final class TokenCounter {
    var count = 0
    var keepsIDs = false
    var ids: [UInt32] = []
    let short = ShortMerge()
    var long = LongMerge()
    var cache = MergeCache()
    /// A text as normalisers leave it, and the same before the last one.
    var changed: [UInt8] = []
    var before: [UInt8] = []
    /// A text as a pre-tokenizer wants it.
    var prepared: [UInt8] = []

    /// Memory grows with the longest text that was counted.
    public init() {}

    /// The number of tokens of `text`, as the reference library counts them without the tokens that
    /// it would put around a prompt.
    ///
    /// `text` should be UTF-8; a byte that is part of no character counts as one of its own.
    public func count(_ text: RawSpan, _ tokenizer: Tokenizer) -> Int {
        keepsIDs = false
        return encode(text, tokenizer)
    }

    /// The tokens of `text`.
    public func tokens(of text: RawSpan, _ tokenizer: Tokenizer) -> [UInt32] {
        keepsIDs = true
        ids.removeAll(keepingCapacity: true)
        _ = encode(text, tokenizer)
        return ids
    }

    private func encode(_ text: RawSpan, _ tokenizer: Tokenizer) -> Int {
        count = 0
        cache.begin(tokenizer)
        unsafe text.withUnsafeBytes { bytes in
            unsafe tokenizer.encode(Text(bytes), self)
        }
        return count
    }

    @inline(__always)
    func add(_ id: UInt32) {
        count &+= 1
        if keepsIDs { ids.append(id) }
    }
}

@available(*, unavailable) extension TokenCounter: Sendable {}
