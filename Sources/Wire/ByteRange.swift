// SPDX-License-Identifier: Apache-2.0

/// Offsets into the buffer that a head was parsed from.
public struct ByteRange: Sendable, Equatable {
    /// The first byte.
    public var start: UInt32
    /// Behind the last byte.
    public var end: UInt32

    /// An empty range at the front.
    public init() {
        start = 0
        end = 0
    }

    /// `start` is not above `end`, and both fit 32 bits: heads are bounded far below that.
    public init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
    }

    /// How many bytes.
    public var count: Int { Int(end) - Int(start) }
    /// Whether there is no byte.
    public var isEmpty: Bool { start == end }
    /// The same as a range of `Int`.
    public var range: Range<Int> { Int(start)..<Int(end) }
}
