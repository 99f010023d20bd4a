// SPDX-License-Identifier: Apache-2.0

/// Blocks after which prompts were seen to go on differently: where gateways cut what their prompts
/// begin with, so that they name the parts alike.
///
/// A table of fixed size: a new block takes the place of another one. One that is forgotten costs
/// nothing but that a part counts with what follows it, for each who holds it.
public struct PrefixCuts: Sendable {
    /// Blocks that are known at most: 32 KiB.
    public static let count = 4_096

    private var blocks = [UInt64](repeating: 0, count: count)

    /// No block is known.
    public init() {}

    private static func place(_ block: UInt64) -> Int { Int(block % UInt64(count)) }

    /// True where it was not known.
    @discardableResult
    public mutating func insert(_ block: UInt64) -> Bool {
        let place = Self.place(block)
        defer { blocks[place] = block }
        return blocks[place] != block
    }

    public func contains(_ block: UInt64) -> Bool { blocks[Self.place(block)] == block }
}
