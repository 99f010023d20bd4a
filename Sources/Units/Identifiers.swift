// SPDX-License-Identifier: Apache-2.0

/// A place in an ordered table of the policy: dense, so that tables beside it are plain arrays.
///
/// The same name keeps the same identifier over reloads; a name that left is never reused.
public protocol DenseIdentifier: Hashable, Comparable, Sendable {
    var index: Int { get }
    init(_ index: Int)
}

extension DenseIdentifier {
    public static func < (left: Self, right: Self) -> Bool { left.index < right.index }
}

@frozen
public struct TenantID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

/// An organisation, or a team of one.
@frozen
public struct GroupID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

@frozen
public struct ModelID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

@frozen
public struct ClassID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

@frozen
public struct PoolID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

/// One engine address. Endpoints of all pools share one table.
@frozen
public struct EndpointID: DenseIdentifier {
    public let raw: UInt32
    @inlinable public init(_ index: Int) { raw = UInt32(index) }
    @inlinable public var index: Int { Int(raw) }
}

/// One request in one process: the worker that holds it and its slab key there.
@frozen
public struct RequestID: Hashable, Sendable {
    public let raw: UInt64

    @inlinable
    public init(raw: UInt64) { self.raw = raw }

    /// `worker` below 256.
    @inlinable
    public init(worker: Int, key: SlabKey) { raw = UInt64(worker) << 56 | key.raw }

    @inlinable
    public var worker: Int { Int(raw >> 56) }
    @inlinable
    public var key: SlabKey { SlabKey(raw: raw & (1 << 56 - 1)) }
}

/// One gateway among those that share a store; chosen by chance when it starts.
@frozen
public struct GatewayID: Sendable, Hashable, Comparable {
    public let raw: UInt64

    @inlinable public init(raw: UInt64) { self.raw = raw }

    @inlinable public static func < (left: Self, right: Self) -> Bool { left.raw < right.raw }
}
