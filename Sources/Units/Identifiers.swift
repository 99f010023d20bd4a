// SPDX-License-Identifier: Apache-2.0

/// A place in an ordered table of the policy: dense, so that tables beside it are plain arrays.
///
/// The same name keeps the same identifier over reloads; a name that left is never reused.
package protocol DenseIdentifier: Hashable, Comparable, Sendable {
    var index: Int { get }
    init(_ index: Int)
}

extension DenseIdentifier {
    package static func < (left: Self, right: Self) -> Bool { left.index < right.index }
}

@frozen
package struct TenantID: DenseIdentifier {
    package let raw: UInt32
    @inlinable package init(_ index: Int) { raw = UInt32(index) }
    @inlinable package var index: Int { Int(raw) }
}

@frozen
package struct ModelID: DenseIdentifier {
    package let raw: UInt32
    @inlinable package init(_ index: Int) { raw = UInt32(index) }
    @inlinable package var index: Int { Int(raw) }
}

@frozen
package struct ClassID: DenseIdentifier {
    package let raw: UInt32
    @inlinable package init(_ index: Int) { raw = UInt32(index) }
    @inlinable package var index: Int { Int(raw) }
}

@frozen
package struct PoolID: DenseIdentifier {
    package let raw: UInt32
    @inlinable package init(_ index: Int) { raw = UInt32(index) }
    @inlinable package var index: Int { Int(raw) }
}

/// One engine address. Endpoints of all pools share one table.
@frozen
package struct EndpointID: DenseIdentifier {
    package let raw: UInt32
    @inlinable package init(_ index: Int) { raw = UInt32(index) }
    @inlinable package var index: Int { Int(raw) }
}

/// One request in one process: the worker that holds it and its slab key there.
@frozen
package struct RequestID: Hashable, Sendable {
    package let raw: UInt64

    @inlinable
    package init(raw: UInt64) { self.raw = raw }

    /// `worker` below 256.
    @inlinable
    package init(worker: Int, key: SlabKey) { raw = UInt64(worker) << 56 | key.raw }

    @inlinable
    package var worker: Int { Int(raw >> 56) }
    @inlinable
    package var key: SlabKey { SlabKey(raw: raw & (1 << 56 - 1)) }
}
