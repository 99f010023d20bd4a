// SPDX-License-Identifier: Apache-2.0

import Estimation
import Routing
import Units

/// Takes a request's texts: prices them and, where an endpoint has to be chosen, names their
/// blocks.
struct PromptMeter: TextMeter {
    private var price = BigramMeter()
    private var prefix = PrefixMeter(maxBlocks: 1)
    private var bytes = 0
    private var namesBlocks = false

    /// Begins anew. Up to `maxBlocks` blocks get a name, none where that is zero.
    mutating func begin(maxBlocks: Int) {
        price.reset()
        bytes = 0
        namesBlocks = maxBlocks > 0
        if namesBlocks { prefix.begin(maxBlocks: maxBlocks) }
    }

    mutating func feed(_ text: RawSpan) {
        price.feed(text)
        guard namesBlocks else { return }
        bytes += text.byteCount
        prefix.feed(text)
    }

    mutating func boundary() {
        price.boundary()
        if namesBlocks { prefix.boundary() }
    }

    /// Of all texts.
    var tokens: Tokens { price.tokens }

    /// What all texts begin with, where `other` was before them.
    func prefix(behind other: PromptMeter) -> PromptPrefix {
        guard namesBlocks else { return PromptPrefix() }
        return PromptPrefix(blocks: prefix.blocks, textBytes: bytes).salted(other.prefix.digest)
    }
}
