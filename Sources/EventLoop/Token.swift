// SPDX-License-Identifier: Apache-2.0
public import Units

/// What a registration is for: the owner's own kind, and the slab key of the object.
///
/// An event or a timer that outlived its object carries a key that finds nothing in the owner's
/// slab.
@frozen
public struct Token: Hashable, Sendable {
    @usableFromInline let raw: UInt64

    @inlinable
    init(raw: UInt64) { self.raw = raw }

    @inlinable
    public init(kind: UInt8, key: SlabKey) {
        invariant(key.raw >> 56 == 0, "a slab key leaves the top 8 bits free")
        raw = UInt64(kind) << 56 | key.raw
    }

    @inlinable public var kind: UInt8 { UInt8(truncatingIfNeeded: raw >> 56) }
    @inlinable public var key: SlabKey { SlabKey(raw: raw & (1 << 56 - 1)) }
}
