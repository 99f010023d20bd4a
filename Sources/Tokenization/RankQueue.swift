// SPDX-License-Identifier: Apache-2.0

/// The merges that a long piece waits for: the lowest rank first, of one rank the leftmost.
///
/// A list for each rank and a tree of bits over the ranks in use: putting in and taking out cost
/// the same however many wait. Where the order within a rank matters and a merge comes in left of
/// one that waits, it goes to a heap beside, which is rare.
struct RankQueue {
    private struct Node {
        var position: UInt32
        var next: UInt32
    }

    private static let end = UInt32.max

    private var heads: [UInt32] = []
    private var tails: [UInt32] = []
    private var nodes: [Node] = []
    /// Nodes that were taken out, in a list.
    private var free = RankQueue.end
    /// Bits over 64 words of the level before, the widest level first.
    private var levels: [[UInt64]] = []
    private var late: [UInt64] = []

    /// Gets ready for ranks below `limit`; it is empty before and after.
    mutating func prepare(ranks limit: Int) {
        nodes.removeAll(keepingCapacity: nodes.capacity <= LongMerge.keptSymbols)
        free = RankQueue.end
        guard heads.count < limit else { return }
        // More than is asked for, because a table under construction asks again and again.
        heads = Array(repeating: RankQueue.end, count: limit * 2)
        tails = heads
        levels = []
        var width = limit * 2
        repeat {
            width = (width + 63) / 64
            levels.append(Array(repeating: 0, count: width))
        } while width > 1
    }

    @inline(__always)
    mutating func put(rank: Int, position: UInt32, isOrdered: Bool) {
        if isOrdered, heads[rank] != RankQueue.end,
            nodes[Int(tails[rank])].position > position
        {
            return putLate(UInt64(rank) << 32 | UInt64(position))
        }
        let node = made(position)
        if heads[rank] == RankQueue.end {
            heads[rank] = node
            mark(rank)
        } else {
            nodes[Int(tails[rank])].next = node
        }
        tails[rank] = node
    }

    @inline(__always)
    private mutating func made(_ position: UInt32) -> UInt32 {
        let node = Node(position: position, next: RankQueue.end)
        guard free != RankQueue.end else {
            nodes.append(node)
            return UInt32(nodes.count - 1)
        }
        let place = free
        free = nodes[Int(place)].next
        nodes[Int(place)] = node
        return place
    }

    /// The first one: its rank in the high half, its position in the low one.
    @inline(__always)
    mutating func take() -> UInt64? {
        guard levels[levels.count - 1][0] != 0 else { return late.isEmpty ? nil : takeLate() }
        var rank = 0
        for level in stride(from: levels.count - 1, through: 0, by: -1) {
            rank = rank << 6 | levels[level][rank].trailingZeroBitCount
        }
        let place = heads[rank]
        let node = nodes[Int(place)]
        let first = UInt64(rank) << 32 | UInt64(node.position)
        if let other = late.first, other < first { return takeLate() }
        heads[rank] = node.next
        nodes[Int(place)].next = free
        free = place
        if node.next == RankQueue.end { unmark(rank) }
        return first
    }

    @inline(__always)
    private mutating func mark(_ rank: Int) {
        var at = rank
        for level in levels.indices {
            let isNew = levels[level][at >> 6] == 0
            levels[level][at >> 6] |= 1 << UInt64(at & 63)
            if !isNew { return }
            at >>= 6
        }
    }

    @inline(__always)
    private mutating func unmark(_ rank: Int) {
        var at = rank
        for level in levels.indices {
            levels[level][at >> 6] &= ~(1 << UInt64(at & 63))
            if levels[level][at >> 6] != 0 { return }
            at >>= 6
        }
    }

    private mutating func putLate(_ entry: UInt64) {
        late.append(entry)
        var at = late.count - 1
        while at > 0, late[at] < late[(at - 1) / 2] {
            late.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    private mutating func takeLate() -> UInt64 {
        late.swapAt(0, late.count - 1)
        let first = late.removeLast()
        var at = 0
        while true {
            var least = at
            for child in (2 * at + 1)...(2 * at + 2)
            where child < late.count && late[child] < late[least] {
                least = child
            }
            if least == at { return first }
            late.swapAt(at, least)
            at = least
        }
    }
}
