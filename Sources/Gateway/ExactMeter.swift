// SPDX-License-Identifier: Apache-2.0

import Tokenization
import Units

/// Takes a request's texts and counts their tokens as the model's tokenizer does, each text by
/// itself: what a template puts between them is no part of any.
struct ExactMeter: TextMeter {
    /// Memory that is kept from one request to the next.
    private static let keptBytes = 1 << 20

    private let counter: TokenCounter
    private let tokenizer: Tokenizer
    private var text: [UInt8] = []
    private var counted = 0

    init(_ counter: TokenCounter, _ tokenizer: Tokenizer) {
        self.counter = counter
        self.tokenizer = tokenizer
    }

    mutating func feed(_ piece: RawSpan) {
        for at in 0..<piece.byteCount {
            unsafe text.append(piece.unsafeLoad(fromByteOffset: at, as: UInt8.self))
        }
    }

    mutating func boundary() {
        guard !text.isEmpty else { return }
        unsafe counted += counter.count(text.span.bytes, tokenizer)
        text.removeAll(keepingCapacity: text.capacity <= Self.keptBytes)
    }

    /// Of all texts, the last one ended.
    mutating func finish() -> Tokens {
        boundary()
        return Tokens(counted)
    }
}
