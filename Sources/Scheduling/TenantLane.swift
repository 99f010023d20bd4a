// SPDX-License-Identifier: Apache-2.0

import Units

/// The requests of one tenant that wait in a class, in rows of like cost: two to an octave, each
/// first come, first served. Whoever's turn it is stands at the head of a row.
struct TenantLane: Sendable {
    struct Row: Sendable {
        var first: SlabKey?
        var last: SlabKey?
        /// Sum over the row.
        var needs = 0
    }

    private static let count = 32

    /// Empty before the first request.
    private(set) var rows: [Row] = []
    /// Bit n: row n is not empty.
    private(set) var occupied: UInt64 = 0
    /// Sum over the rows.
    private(set) var needs = 0
    /// Cost that its oldest is owed, where the cheapest go first.
    var owed = 0

    var isEmpty: Bool { occupied == 0 }

    /// Two to an octave from 64 tokens of cost on; the first and the last are open at their ends.
    static func row(of cost: Tokens) -> Int {
        guard cost.count >= 64 else { return 0 }
        let octave = Int.bitWidth - 1 - cost.count.leadingZeroBitCount
        return min(count - 1, 2 * (octave - 6) + (cost.count >> (octave - 1)) & 1)
    }

    func row(_ row: Int) -> Row { rows.isEmpty ? Row() : rows[row] }

    /// The row has become this.
    mutating func set(_ row: Int, to new: Row) {
        if rows.isEmpty { rows = [Row](repeating: Row(), count: Self.count) }
        needs += new.needs - rows[row].needs
        rows[row] = new
        let bit: UInt64 = 1 << UInt64(row)
        if new.first == nil { occupied &= ~bit } else { occupied |= bit }
    }

    /// Needs of those whose cost is like this one's or less.
    func needs(upTo cost: Tokens) -> Int {
        guard !rows.isEmpty else { return 0 }
        return rows[...Self.row(of: cost)].reduce(0) { $0 + $1.needs }
    }

    /// The heads of the rows, those of the least cost first.
    func eachHead(_ body: (SlabKey) -> Void) {
        var left = occupied
        while left != 0 {
            if let first = rows[left.trailingZeroBitCount].first { body(first) }
            left &= left - 1
        }
    }
}
