// SPDX-License-Identifier: Apache-2.0

/// A slot of a `Slab` and the generation of its present tenant: a key that outlived its element
/// finds nothing.
@frozen
public struct SlabKey: Hashable, Sendable {
    /// Generation (24 bits) above slot (32 bits); the top 8 bits are free for the holder.
    public let raw: UInt64

    @inlinable
    public init(raw: UInt64) { self.raw = raw }
    @inlinable
    init(slot: UInt32, generation: UInt32) {
        raw = UInt64(generation) << 32 | UInt64(slot)
    }
    @inlinable
    public var slot: Int { Int(truncatingIfNeeded: raw & 0xFFFF_FFFF) }
    @inlinable
    var generation: UInt32 { UInt32(truncatingIfNeeded: raw >> 32) & 0xFF_FFFF }
}

/// A bounded table with stable keys: insert, find and remove in constant time, slots reused, never
/// moved.
public struct Slab<Element> {
    /// By this an element that stands in a slot is changed where it stands.
    @usableFromInline
    struct Tenant {
        @usableFromInline var element: Element

        @inlinable
        init(_ element: Element) { self.element = element }
        @inlinable
        mutating func apply(_ change: (inout Element) -> Void) { change(&element) }
    }
    @usableFromInline
    struct Slot {
        @usableFromInline var tenant: Tenant?
        @usableFromInline var generation: UInt32
        @usableFromInline var nextFree: Int32

        @inlinable
        init(element: Element, generation: UInt32, nextFree: Int32) {
            tenant = Tenant(element)
            self.generation = generation
            self.nextFree = nextFree
        }
    }
    @usableFromInline var slots: [Slot] = []
    @usableFromInline var firstFree: Int32 = -1
    @usableFromInline var occupied = 0
    /// The most elements it will ever hold at once.
    public let limit: Int

    @inlinable
    public init(limit: Int) { self.limit = limit }

    @inlinable
    public var count: Int { occupied }
    @inlinable
    public var isFull: Bool { occupied >= limit }

    /// The key under which `element` stands from now on, or nil when the slab is full.
    @inlinable
    public mutating func insert(_ element: Element) -> SlabKey? {
        guard occupied < limit else { return nil }
        occupied += 1
        if firstFree >= 0 {
            let slot = Int(firstFree)
            firstFree = slots[slot].nextFree
            slots[slot].tenant = Tenant(element)
            return SlabKey(slot: UInt32(slot), generation: slots[slot].generation)
        }
        slots.append(Slot(element: element, generation: 1, nextFree: -1))
        return SlabKey(slot: UInt32(slots.count - 1), generation: 1)
    }

    /// The key that the next `insert` will give, so that an element can know its own.
    @inlinable
    public var nextKey: SlabKey? {
        guard occupied < limit else { return nil }
        if firstFree >= 0 {
            return SlabKey(slot: UInt32(firstFree), generation: slots[Int(firstFree)].generation)
        }
        return SlabKey(slot: UInt32(slots.count), generation: 1)
    }

    /// The element of `key`; nil when it has left, whoever lives in the slot now.
    @inlinable
    public subscript(key: SlabKey) -> Element? {
        let slot = key.slot
        guard slot < slots.count, slots[slot].generation == key.generation else { return nil }
        return slots[slot].tenant?.element
    }

    /// Calls `change` with the element in place; false when it has left.
    @inlinable
    @discardableResult
    public mutating func update(_ key: SlabKey, _ change: (inout Element) -> Void) -> Bool {
        let slot = key.slot
        guard slot < slots.count, slots[slot].generation == key.generation else { return false }
        return slots[slot].tenant?.apply(change) != nil
    }

    /// Takes the element out; nil when it had left already.
    @inlinable
    @discardableResult
    public mutating func remove(_ key: SlabKey) -> Element? {
        let slot = key.slot
        guard slot < slots.count, slots[slot].generation == key.generation,
            let element = slots[slot].tenant?.element
        else { return nil }
        slots[slot].tenant = nil
        slots[slot].generation = (key.generation &+ 1) & 0xFF_FFFF
        slots[slot].nextFree = firstFree
        firstFree = Int32(slot)
        occupied -= 1
        return element
    }

    /// Every element with its key, in slot order.
    @inlinable
    public func each(_ body: (SlabKey, Element) -> Void) {
        for slot in slots.indices {
            if let element = slots[slot].tenant?.element {
                body(
                    SlabKey(slot: UInt32(slot), generation: slots[slot].generation), element)
            }
        }
    }
}

extension Slab: Sendable where Element: Sendable {}
extension Slab.Slot: Sendable where Element: Sendable {}
extension Slab.Tenant: Sendable where Element: Sendable {}
