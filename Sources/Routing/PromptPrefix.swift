// SPDX-License-Identifier: Apache-2.0

/// What a prompt begins with, as far as the choice of an endpoint looks.
public struct PromptPrefix: Sendable, Equatable {
    /// The names of its leading blocks; see `PrefixMeter`.
    public private(set) var blocks: [UInt64]
    /// Bytes of all its text.
    public let textBytes: Int

    /// Without blocks it is like no other prompt.
    public init(blocks: [UInt64] = [], textBytes: Int = 0) {
        self.blocks = blocks
        self.textBytes = textBytes
    }

    /// The same text where another `salt` makes it another prefix: for another model, or with other
    /// tools declared before it.
    public func salted(_ salt: UInt64) -> PromptPrefix {
        guard !blocks.isEmpty else { return self }
        var salted = self
        for place in salted.blocks.indices {
            salted.blocks[place] = PrefixHash.mix(salted.blocks[place], salt)
        }
        return salted
    }
}
