// SPDX-License-Identifier: Apache-2.0

/// Merges the symbols of a long piece: linear in their number but for what waits out of order.
///
/// A symbol that merges with the one behind it stands in the list of the merge's rank, and leaves
/// it when one of the two changes: what is taken from a list is always good. Where the order within
/// a rank matters and a symbol comes in left of one that waits, it goes to a heap beside, which is
/// rare; there it stays, and is passed over when it has changed meanwhile.
@safe
struct LongMerge: ~Copyable {
    private struct Symbol {
        var id: UInt32
        var previous: Int32
        var next: Int32
        /// Of the merge with the symbol behind it, and what it makes.
        var rank = LongMerge.noRank
        var merged: UInt32 = 0
        /// Those that wait before it and behind it for a merge of the same rank.
        var before = LongMerge.unlisted
        var behind: Int32 = -1
    }

    /// Memory for so many symbols, of 28 bytes each, is kept from one piece to the next.
    static let keptSymbols = 1 << 18

    private static let noRank = UInt32.max
    private static let unlisted: Int32 = -2

    private var symbols: UnsafeMutablePointer<Symbol>
    private var capacity = 0
    private var count = 0
    private var queue = RankQueue()
    private var late = LeastFirst()

    init() { unsafe symbols = UnsafeMutablePointer.allocate(capacity: 1) }

    deinit { unsafe symbols.deallocate() }

    /// Begins anew, with room for `room` symbols.
    mutating func begin(_ room: Int) {
        count = 0
        guard capacity < room || capacity > max(room, LongMerge.keptSymbols) else { return }
        capacity = room
        unsafe symbols.deallocate()
        unsafe symbols = UnsafeMutablePointer.allocate(capacity: room)
    }

    @inline(__always)
    mutating func append(_ id: UInt32) {
        precondition(count < capacity, "a piece has no more symbols than bytes")
        let place = Int32(truncatingIfNeeded: count)
        unsafe (symbols + count).initialize(
            to: Symbol(id: id, previous: place &- 1, next: place &+ 1))
        count &+= 1
    }

    /// Merges until nothing merges, and gives the number of tokens.
    mutating func merge(_ table: MergeView) -> Int {
        guard count > 0 else { return 0 }
        unsafe symbols[count - 1].next = -1
        guard table.rankLimit > 0 else { return count }
        queue.prepare(ranks: table.rankLimit)
        for place in 0..<count - 1 {
            join(Int32(truncatingIfNeeded: place), Int32(truncatingIfNeeded: place + 1), table)
        }
        var tokens = count
        while true {
            let place = take()
            if place < 0 { return tokens }
            tokens &-= 1
            mergeNext(place, table)
        }
    }

    /// The symbol becomes one with the one behind it.
    @inline(__always)
    private mutating func mergeNext(_ place: Int32, _ table: MergeView) {
        let symbol = unsafe symbols[Int(place)]
        let gone = symbol.next
        if unsafe symbols[Int(gone)].rank != LongMerge.noRank { leave(gone) }
        let next = unsafe symbols[Int(gone)].next
        unsafe symbols[Int(place)].id = symbol.merged
        unsafe symbols[Int(place)].next = next
        unsafe symbols[Int(place)].rank = LongMerge.noRank
        if next >= 0 {
            unsafe symbols[Int(next)].previous = place
            join(place, next, table)
        }
        let previous = symbol.previous
        guard previous >= 0 else { return }
        if unsafe symbols[Int(previous)].rank != LongMerge.noRank { leave(previous) }
        join(previous, place, table)
    }

    /// Looks up the merge of two neighbours, of which the left one waits for none.
    @inline(__always)
    private mutating func join(_ place: Int32, _ next: Int32, _ table: MergeView) {
        let merge = unsafe table.merge(symbols[Int(place)].id, symbols[Int(next)].id)
        guard merge != MergeTable.none else { return }
        let rank = UInt32(truncatingIfNeeded: merge >> 32)
        unsafe symbols[Int(place)].rank = rank
        unsafe symbols[Int(place)].merged = UInt32(truncatingIfNeeded: merge)
        var list = queue[Int(rank)]
        guard list.tail < place || !table.overlaps(Int(rank)) else {
            unsafe symbols[Int(place)].before = LongMerge.unlisted
            return late.put(UInt64(rank) << 32 | UInt64(place))
        }
        unsafe symbols[Int(place)].before = list.tail
        unsafe symbols[Int(place)].behind = -1
        if list.tail >= 0 {
            unsafe symbols[Int(list.tail)].behind = place
        } else {
            list.head = place
            queue.mark(Int(rank))
        }
        list.tail = place
        queue[Int(rank)] = list
    }

    /// The symbol waits no longer.
    @inline(__always)
    private mutating func leave(_ place: Int32) {
        let symbol = unsafe symbols[Int(place)]
        unsafe symbols[Int(place)].rank = LongMerge.noRank
        guard symbol.before != LongMerge.unlisted else { return }
        let rank = Int(symbol.rank)
        var list = queue[rank]
        if symbol.before >= 0 {
            unsafe symbols[Int(symbol.before)].behind = symbol.behind
        } else {
            list.head = symbol.behind
        }
        if symbol.behind >= 0 {
            unsafe symbols[Int(symbol.behind)].before = symbol.before
        } else {
            list.tail = symbol.before
        }
        queue[rank] = list
        if list.head < 0 { queue.unmark(rank) }
    }

    /// The symbol that merges first; -1 where none does.
    @inline(__always)
    private mutating func take() -> Int32 {
        let rank = queue.lowest()
        let place = rank < 0 ? -1 : queue[rank].head
        if let entry = late.least {
            let first = rank < 0 ? UInt64.max : UInt64(rank) << 32 | UInt64(place)
            if entry < first { return takeLate() }
        }
        if place >= 0 { leave(place) }
        return place
    }

    /// The first of the heap, if it is still good; else the first of all that are left.
    private mutating func takeLate() -> Int32 {
        while let entry = late.least {
            let rank = queue.lowest()
            if rank >= 0, UInt64(rank) << 32 | UInt64(queue[rank].head) < entry { break }
            late.removeLeast()
            let place = Int32(truncatingIfNeeded: entry & 0xFFFF_FFFF)
            guard unsafe symbols[Int(place)].rank == UInt32(truncatingIfNeeded: entry >> 32)
            else { continue }
            leave(place)
            return place
        }
        let rank = queue.lowest()
        guard rank >= 0 else { return -1 }
        let place = queue[rank].head
        leave(place)
        return place
    }

    /// The first token and the one behind it, where there are two.
    var ends: (first: UInt32, last: UInt32) {
        unsafe (symbols[0].id, symbols[Int(max(0, symbols[0].next))].id)
    }

    /// The tokens, in order.
    func append(to ids: inout [UInt32]) {
        var place: Int32 = count == 0 ? -1 : 0
        while place >= 0 {
            unsafe ids.append(symbols[Int(place)].id)
            place = unsafe symbols[Int(place)].next
        }
    }
}
