// SPDX-License-Identifier: Apache-2.0

/// Which two tokens merge into which one, and which merge comes first.
struct MergeTable: Sendable {
    struct Slot: Sendable {
        var pair = MergeTable.noPair
        /// The rank in the high half, the lowest first; the merged token in the low one.
        var merge = MergeTable.none
    }

    static let noPair = UInt64.max
    /// Two tokens that do not merge.
    static let none = UInt64.max

    fileprivate private(set) var slots: [Slot]
    /// Ranks are below it.
    private(set) var rankLimit = 0
    /// Of each rank: whether pairs of it may overlap, so that the leftmost has to go first.
    private(set) var overlaps: [Bool] = []
    private var count = 0

    /// Empty, with room for about so many merges; it grows.
    init(expecting merges: Int = 0) {
        var size = 64
        while size * 6 / 10 < merges { size *= 2 }
        slots = Array(repeating: Slot(), count: size)
        overlaps.reserveCapacity(merges)
    }

    /// Adds a merge of rank `rank`; of two for one pair the first stays: false.
    mutating func insert(_ left: UInt32, _ right: UInt32, rank: Int, into id: UInt32) -> Bool {
        while overlaps.count <= rank { overlaps.append(false) }
        // Pairs of one rank may be different ones: then any two may overlap.
        if left == right || rank < rankLimit { overlaps[rank] = true }
        rankLimit = max(rankLimit, rank + 1)
        let slot = Slot(
            pair: UInt64(left) << 32 | UInt64(right), merge: UInt64(rank) << 32 | UInt64(id))
        guard place(slot) else { return false }
        count += 1
        guard count * 10 > slots.count * 6 else { return true }
        let old = slots
        slots = Array(repeating: Slot(), count: old.count * 2)
        for slot in old where slot.pair != MergeTable.noPair { _ = place(slot) }
        return true
    }

    private mutating func place(_ slot: Slot) -> Bool {
        var at = MergeTable.hash(slot.pair) >> MergeTable.shift(slots.count)
        while slots[at].pair != MergeTable.noPair {
            if slots[at].pair == slot.pair { return false }
            at = (at + 1) & (slots.count - 1)
        }
        slots[at] = slot
        return true
    }

    @inline(__always)
    fileprivate static func hash(_ pair: UInt64) -> Int {
        var mixed = pair &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ mixed >> 32) &* 0xD6E8_FEB8_6659_FD93
        return Int(truncatingIfNeeded: mixed >> 1)
    }

    fileprivate static func shift(_ size: Int) -> Int { 63 - size.trailingZeroBitCount }
}

/// A table at work: pointers into it, valid while it is held.
@safe
struct MergeView {
    private let slots: UnsafePointer<MergeTable.Slot>
    private let shift: Int
    private let mask: Int
    private let overlapping: UnsafePointer<Bool>?
    let rankLimit: Int

    @inline(__always)
    static func with<Result>(_ table: MergeTable, _ body: (MergeView) -> Result) -> Result {
        unsafe table.slots.withUnsafeBufferPointer { slots in
            unsafe table.overlaps.withUnsafeBufferPointer { overlaps in
                unsafe body(
                    MergeView(
                        slots: slots.baseAddress.unsafelyUnwrapped,
                        shift: MergeTable.shift(slots.count), mask: slots.count - 1,
                        overlapping: overlaps.baseAddress, rankLimit: table.rankLimit))
            }
        }
    }

    /// Rank and token of the merge of two neighbours; `MergeTable.none` where they stay two.
    @inline(__always)
    func merge(_ left: UInt32, _ right: UInt32) -> UInt64 {
        let pair = UInt64(left) << 32 | UInt64(right)
        var at = MergeTable.hash(pair) >> shift
        while true {
            let slot = unsafe slots[at]
            if slot.pair == pair { return slot.merge }
            if slot.pair == MergeTable.noPair { return MergeTable.none }
            at = (at &+ 1) & mask
        }
    }

    /// Whether of two merges of this rank the left one may exclude the right one.
    @inline(__always)
    func overlaps(_ rank: Int) -> Bool { unsafe overlapping.unsafelyUnwrapped[rank] }
}
