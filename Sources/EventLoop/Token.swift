// SPDX-License-Identifier: Apache-2.0
package import Units

/// What a registration is for: the owner's own kind, and the slab key of the object.
///
/// An event or a timer that outlived its object carries a key that finds nothing in the owner's
/// slab.
package struct Token: Hashable, Sendable {
    let raw: UInt64

    init(raw: UInt64) { self.raw = raw }

    package init(kind: UInt8, key: SlabKey) {
        invariant(key.raw >> 56 == 0, "a slab key leaves the top 8 bits free")
        raw = UInt64(kind) << 56 | key.raw
    }

    package var kind: UInt8 { UInt8(truncatingIfNeeded: raw >> 56) }
    package var key: SlabKey { SlabKey(raw: raw & (1 << 56 - 1)) }
}
