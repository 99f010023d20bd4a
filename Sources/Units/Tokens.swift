// SPDX-License-Identifier: Apache-2.0

/// A number of tokens. Never negative by convention; differences may be.
@frozen
package struct Tokens: Hashable, Comparable, Sendable, AdditiveArithmetic, CustomStringConvertible {
    package var count: Int

    @inlinable
    package init(_ count: Int) { self.count = count }

    package static let zero = Tokens(0)

    @inlinable
    package static func < (left: Tokens, right: Tokens) -> Bool { left.count < right.count }
    @inlinable
    package static func + (left: Tokens, right: Tokens) -> Tokens {
        Tokens(left.count &+ right.count)
    }
    @inlinable
    package static func - (left: Tokens, right: Tokens) -> Tokens {
        Tokens(left.count &- right.count)
    }
    @inlinable
    package static func += (left: inout Tokens, right: Tokens) { left.count &+= right.count }
    @inlinable
    package static func -= (left: inout Tokens, right: Tokens) { left.count &-= right.count }

    package var description: String { String(count) }
}
