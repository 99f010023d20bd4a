// SPDX-License-Identifier: Apache-2.0

/// Which ranks wait, and between which symbols of each the list of those that wait reaches: the
/// lowest rank is found in as many steps as there are levels, however many wait.
@safe
struct RankQueue: ~Copyable {
    /// The ends of a rank's list, as places of symbols.
    struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
    }

    /// Bits over 64 words of the level before: enough for as many tokens as a file may have, twice.
    private static let levels = 4

    private var lists: UnsafeMutablePointer<List>
    /// The words of all levels, the widest first.
    private var words: UnsafeMutablePointer<UInt64>
    private var starts = InlineArray<4, Int>(repeating: 0)
    private var limit = 0
    /// No rank below it waits.
    private var low = 0

    init() {
        unsafe lists = UnsafeMutablePointer.allocate(capacity: 1)
        unsafe words = UnsafeMutablePointer.allocate(capacity: 1)
    }

    deinit {
        unsafe lists.deallocate()
        unsafe words.deallocate()
    }

    /// Gets ready for ranks below `ranks`; it is empty before and after.
    mutating func prepare(ranks: Int) {
        low = limit
        guard limit < ranks else { return }
        // More than is asked for, because a table under construction asks again and again.
        limit = ranks * 2
        low = limit
        unsafe lists.deallocate()
        unsafe words.deallocate()
        unsafe lists = UnsafeMutablePointer.allocate(capacity: limit)
        unsafe lists.initialize(repeating: List(), count: limit)
        var width = limit
        var total = 0
        for level in 0..<RankQueue.levels {
            width = (width + 63) / 64
            starts[level] = total
            total += width
        }
        precondition(width == 1, "four levels are enough for all ranks")
        unsafe words = UnsafeMutablePointer.allocate(capacity: total)
        unsafe words.initialize(repeating: 0, count: total)
    }

    subscript(_ rank: Int) -> List {
        @inline(__always) get { unsafe lists[rank] }
        @inline(__always) nonmutating set { unsafe lists[rank] = newValue }
    }

    /// The lowest rank that waits; -1 where none does.
    @inline(__always)
    mutating func lowest() -> Int {
        if low < limit, unsafe lists[low].head >= 0 { return low }
        guard unsafe words[starts[RankQueue.levels - 1]] != 0 else { return -1 }
        var rank = 0
        for level in stride(from: RankQueue.levels - 1, through: 0, by: -1) {
            rank = unsafe rank << 6 | words[starts[level] &+ rank].trailingZeroBitCount
        }
        low = rank
        return rank
    }

    /// `rank` waits from now on.
    @inline(__always)
    mutating func mark(_ rank: Int) {
        low = min(low, rank)
        var at = rank
        for level in 0..<RankQueue.levels {
            let place = starts[level] &+ at >> 6
            let word = unsafe words[place]
            unsafe words[place] = word | 1 << UInt64(at & 63)
            if word != 0 { return }
            at >>= 6
        }
    }

    /// `rank` does not wait any more.
    @inline(__always)
    func unmark(_ rank: Int) {
        var at = rank
        for level in 0..<RankQueue.levels {
            let place = starts[level] &+ at >> 6
            let word = unsafe words[place] & ~(1 << UInt64(at & 63))
            unsafe words[place] = word
            if word != 0 { return }
            at >>= 6
        }
    }
}

/// Entries of which the least is taken first.
struct LeastFirst {
    private var entries: [UInt64] = []

    var least: UInt64? { entries.first }

    mutating func put(_ entry: UInt64) {
        entries.append(entry)
        var at = entries.count - 1
        while at > 0, entries[at] < entries[(at - 1) / 2] {
            entries.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    /// Takes the least away; there has to be one.
    mutating func removeLeast() {
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var at = 0
        while true {
            var least = at
            for child in (2 * at + 1)...(2 * at + 2)
            where child < entries.count && entries[child] < entries[least] {
                least = child
            }
            if least == at { return }
            entries.swapAt(at, least)
            at = least
        }
    }
}
