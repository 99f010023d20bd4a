// SPDX-License-Identifier: Apache-2.0

/// Merges the symbols of a long piece: linear in their number but for what waits out of order.
struct LongMerge {
    private struct Symbol {
        var id: UInt32
        var previous: Int32
        var next: Int32
        /// With the symbol behind it.
        var merge: UInt64
    }

    /// Memory for so many symbols is kept from one piece to the next. A symbol takes 32 bytes
    /// while its piece is merged.
    static let keptSymbols = 1 << 18

    private var symbols: [Symbol] = []
    private var queue = RankQueue()

    /// Begins anew, with room for `count` symbols.
    mutating func begin(_ count: Int) {
        symbols.removeAll(keepingCapacity: symbols.capacity <= LongMerge.keptSymbols)
        symbols.reserveCapacity(count)
    }

    @inline(__always)
    mutating func append(_ id: UInt32) {
        let place = Int32(truncatingIfNeeded: symbols.count)
        symbols.append(
            Symbol(id: id, previous: place - 1, next: place + 1, merge: MergeTable.none))
    }

    /// Merges until nothing merges, and gives the number of tokens.
    mutating func merge(_ table: MergeView) -> Int {
        guard !symbols.isEmpty, table.rankLimit > 0 else { return finish() }
        queue.prepare(ranks: table.rankLimit)
        let last = symbols.count - 1
        symbols[last].next = -1
        for place in 0..<last { join(place, Int32(place + 1), table) }
        var count = symbols.count
        while let entry = queue.take() {
            let place = Int(entry & 0xFFFF_FFFF)
            let merge = symbols[place].merge
            // What waits for a symbol that was merged away, or for a pair that is no more.
            guard merge >> 32 == entry >> 32, merge != MergeTable.none else { continue }
            let gone = Int(symbols[place].next)
            let next = symbols[gone].next
            symbols[place].id = UInt32(truncatingIfNeeded: merge)
            symbols[gone].merge = MergeTable.none
            symbols[place].next = next
            count -= 1
            if next >= 0 {
                symbols[Int(next)].previous = Int32(truncatingIfNeeded: place)
                join(place, next, table)
            } else {
                symbols[place].merge = MergeTable.none
            }
            let previous = Int(symbols[place].previous)
            if previous >= 0 { join(previous, Int32(truncatingIfNeeded: place), table) }
        }
        return count
    }

    /// Nothing merges at all.
    private mutating func finish() -> Int {
        if !symbols.isEmpty { symbols[symbols.count - 1].next = -1 }
        return symbols.count
    }

    @inline(__always)
    private mutating func join(_ place: Int, _ next: Int32, _ table: MergeView) {
        let merge = table.merge(symbols[place].id, symbols[Int(next)].id)
        symbols[place].merge = merge
        guard merge != MergeTable.none else { return }
        let rank = Int(merge >> 32)
        queue.put(
            rank: rank, position: UInt32(truncatingIfNeeded: place),
            isOrdered: table.overlaps(rank))
    }

    /// The first token and the one behind it, where there are two.
    var ends: (first: UInt32, last: UInt32) {
        (symbols[0].id, symbols[Int(max(0, symbols[0].next))].id)
    }

    /// The tokens, in order.
    func append(to ids: inout [UInt32]) {
        var place = symbols.isEmpty ? -1 : 0
        while place >= 0 {
            ids.append(symbols[place].id)
            place = Int(symbols[place].next)
        }
    }
}
