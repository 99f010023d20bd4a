// SPDX-License-Identifier: Apache-2.0

import Estimation
import Policy
import Routing
import Units

/// Takes a request's texts: prices them and, where an endpoint has to be chosen, names their
/// blocks.
struct PromptMeter: TextMeter {
    private var price = TokenMeter()
    private var prefix: PrefixMeter?
    private var bytes = 0

    /// Begins anew, for a model of `family`. Up to `maxBlocks` blocks get a name, none where that
    /// is zero.
    mutating func begin(family: TokenizerFamily, maxBlocks: Int) {
        price.reset()
        price.family = family
        bytes = 0
        prefix = maxBlocks > 0 ? PrefixMeter(maxBlocks: maxBlocks) : nil
    }

    mutating func feed(_ text: RawSpan) {
        price.feed(text)
        bytes += text.byteCount
        prefix?.feed(text)
    }

    mutating func boundary() {
        price.boundary()
        prefix?.boundary()
    }

    var family: TokenizerFamily { price.family }

    /// Of all texts.
    var tokens: Tokens { price.tokens }

    /// What all texts begin with, where `other` was before them.
    func prefix(behind other: borrowing PromptMeter) -> PromptPrefix {
        guard let prefix, !prefix.blocks.isEmpty else { return PromptPrefix() }
        return PromptPrefix(blocks: prefix.blocks, textBytes: bytes)
            .salted(other.prefix?.digest ?? 0)
    }
}
