// SPDX-License-Identifier: Apache-2.0

/// A size in bytes, as the configuration states it.
@frozen
public struct Bytes: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var count: Int

    @inlinable
    public init(_ count: Int) { self.count = count }

    @inlinable
    public static func kibi(_ count: Int) -> Bytes { Bytes(count << 10) }
    @inlinable
    public static func mebi(_ count: Int) -> Bytes { Bytes(count << 20) }
    @inlinable
    public static func < (left: Bytes, right: Bytes) -> Bool { left.count < right.count }

    /// The largest unit that divides the size: `8MiB`, `96KiB`, `100B`.
    public var description: String {
        if count != 0, count % (1 << 30) == 0 { return "\(count >> 30)GiB" }
        if count != 0, count % (1 << 20) == 0 { return "\(count >> 20)MiB" }
        if count != 0, count % (1 << 10) == 0 { return "\(count >> 10)KiB" }
        return "\(count)B"
    }
}
