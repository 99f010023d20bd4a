// SPDX-License-Identifier: Apache-2.0

private import Units

/// What a head may take before it is refused.
public struct HeadLimits: Sendable, Equatable {
    /// Bytes of a request target.
    public var maxTarget: Int
    /// Bytes from the first byte to the empty line, that included.
    public var maxHead: Int
    /// Field lines.
    public var maxFields: Int

    /// Each at least one, `maxHead` below 1 GiB.
    public init(maxTarget: Int, maxHead: Int, maxFields: Int) {
        invariant(maxTarget > 0 && maxHead > 0 && maxFields > 0, "head limits are positive")
        invariant(maxHead < 1 << 30, "a head's offsets fit 32 bits")
        self.maxTarget = maxTarget
        self.maxHead = maxHead
        self.maxFields = maxFields
    }
}
