// SPDX-License-Identifier: Apache-2.0

/// Finds the slot of a reservation by its name: an open-addressing table with linear probing, at
/// most half full.
///
/// A dictionary would hash each name with SipHash three times a reservation, which is half of what
/// the whole decision costs. Names are ours, nobody outside chooses them, so a mix is enough.
struct ReservationIndex: Sendable {
    private struct Entry: Sendable {
        var id: ReservationID
        /// −1 where there is none.
        var slot: Int32
    }

    private static let none = Entry(id: ReservationID(nonce: 0, number: 0), slot: -1)
    private var entries = [Entry](repeating: none, count: 16)
    private(set) var count = 0

    func slot(of id: ReservationID) -> Int32? {
        let place = place(of: id)
        return entries[place].slot < 0 ? nil : entries[place].slot
    }

    /// Adds a name that is not in it.
    mutating func insert(_ id: ReservationID, slot: Int32) {
        if (count + 1) * 2 > entries.count { grow() }
        entries[place(of: id)] = Entry(id: id, slot: slot)
        count += 1
    }

    /// The slot of the name that was taken out; nil when it was not in.
    mutating func remove(_ id: ReservationID) -> Int32? {
        var hole = place(of: id)
        let slot = entries[hole].slot
        guard slot >= 0 else { return nil }
        count -= 1
        // Whoever probed over the hole moves into it (Knuth, volume 3, 6.4, algorithm R).
        let mask = entries.count - 1
        var next = (hole + 1) & mask
        while entries[next].slot >= 0 {
            let home = home(of: entries[next].id)
            if (next - home) & mask >= (next - hole) & mask {
                entries[hole] = entries[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        entries[hole] = Self.none
        return slot
    }

    /// Where the name is, or the free place where it belongs.
    private func place(of id: ReservationID) -> Int {
        let mask = entries.count - 1
        var place = home(of: id)
        while entries[place].slot >= 0, entries[place].id != id { place = (place + 1) & mask }
        return place
    }

    /// Fibonacci hashing: the high bits of a product depend on all bits of the factor.
    private func home(of id: ReservationID) -> Int {
        let mixed = (id.number ^ (id.nonce &* 0xD6E8_FEB8_6659_FD93)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 32) & (entries.count - 1)
    }

    private mutating func grow() {
        let old = entries
        entries = [Entry](repeating: Self.none, count: old.count * 2)
        for entry in old where entry.slot >= 0 { entries[place(of: entry.id)] = entry }
    }
}
