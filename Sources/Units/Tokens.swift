// SPDX-License-Identifier: Apache-2.0

/// A number of tokens. Never negative by convention; differences may be.
@frozen
public struct Tokens: Hashable, Comparable, Sendable, AdditiveArithmetic, CustomStringConvertible {
    public var count: Int

    @inlinable
    public init(_ count: Int) { self.count = count }

    public static let zero = Tokens(0)

    @inlinable
    public static func < (left: Tokens, right: Tokens) -> Bool { left.count < right.count }
    @inlinable
    public static func + (left: Tokens, right: Tokens) -> Tokens {
        Tokens(left.count &+ right.count)
    }
    @inlinable
    public static func - (left: Tokens, right: Tokens) -> Tokens {
        Tokens(left.count &- right.count)
    }
    @inlinable
    public static func += (left: inout Tokens, right: Tokens) { left.count &+= right.count }
    @inlinable
    public static func -= (left: inout Tokens, right: Tokens) { left.count &-= right.count }

    public var description: String { String(count) }
}
