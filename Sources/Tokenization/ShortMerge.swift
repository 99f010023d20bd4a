// SPDX-License-Identifier: Apache-2.0

/// Merges the symbols of a short piece by looking through all of them for each merge.
@safe
struct ShortMerge: ~Copyable {
    /// Symbols in a piece at most: of these a look costs less than keeping order.
    static let limit = 64

    private let ids: UnsafeMutablePointer<UInt32>
    private let pairs: UnsafeMutablePointer<UInt64>

    init() {
        unsafe ids = UnsafeMutablePointer.allocate(capacity: ShortMerge.limit)
        unsafe pairs = UnsafeMutablePointer.allocate(capacity: ShortMerge.limit)
    }

    deinit {
        unsafe ids.deallocate()
        unsafe pairs.deallocate()
    }

    subscript(_ place: Int) -> UInt32 {
        @inline(__always) get { unsafe ids[place] }
        @inline(__always) nonmutating set { unsafe ids[place] = newValue }
    }

    /// Merges the first `count` symbols until nothing merges, and gives the number of tokens.
    @inline(__always)
    func merge(_ symbols: Int, _ table: MergeView) -> Int {
        var count = symbols
        guard count > 1 else { return count }
        for place in 0..<count - 1 { join(place, table) }
        while count > 1 {
            var best = MergeTable.none
            var place = 0
            for at in 0..<count - 1 {
                let pair = unsafe pairs[at]
                if pair >> 32 < best >> 32 {
                    best = pair
                    place = at
                }
            }
            if best == MergeTable.none { break }
            unsafe ids[place] = UInt32(truncatingIfNeeded: best)
            count -= 1
            for at in place + 1..<max(count, place + 1) {
                unsafe ids[at] = ids[at + 1]
                unsafe pairs[at] = pairs[at + 1]
            }
            if place + 1 < count { join(place, table) }
            if place > 0 { join(place - 1, table) }
        }
        return count
    }

    @inline(__always)
    private func join(_ place: Int, _ table: MergeView) {
        unsafe pairs[place] = table.merge(ids[place], ids[place + 1])
    }
}
