// SPDX-License-Identifier: Apache-2.0

import Units

/// Which prefix units an engine holds, who uses them, and in what order the unused ones go.
///
/// A unit is a run of blocks that stand for one hash. In use it is counted; unused it stays
/// findable until its blocks are needed, least recently released first (vLLM:
/// vllm/v1/core/block_pool.py, `free_block_queue`). Its owner bounds it: every unit here has blocks
/// behind it.
struct PrefixCache {
    private struct Unit {
        var hash: UInt64
        var users: Int
        /// Neighbours in the queue of unused units; in the list of empty places `newer` leads on.
        var older: Int
        var newer: Int
    }
    private static let none = -1

    private var places: [UInt64: Int] = [:]
    private var units: [Unit] = []
    private var firstEmpty = none
    private var oldest = none
    private var newest = none
    /// Units that nobody uses.
    private(set) var unused = 0
    /// Units that somebody uses.
    private(set) var used = 0

    /// What a unit was before it was taken into use.
    enum Found { case absent, unused, inUse }

    func find(_ hash: UInt64) -> Found {
        guard let place = places[hash] else { return .absent }
        return units[place].users == 0 ? .unused : .inUse
    }

    /// Counts one more user; an absent unit is made, and its owner has to find blocks for it.
    mutating func retain(_ hash: UInt64) -> Found {
        guard let place = places[hash] else {
            insert(hash)
            used += 1
            return .absent
        }
        units[place].users += 1
        guard units[place].users == 1 else { return .inUse }
        unlink(place)
        used += 1
        return .unused
    }

    /// Counts one user less; the last one's leaving makes the unit the newest of the unused.
    mutating func release(_ hash: UInt64) {
        guard let place = places[hash], units[place].users > 0 else {
            invariant(false, "a released prefix is in use")
            return
        }
        units[place].users -= 1
        guard units[place].users == 0 else { return }
        used -= 1
        link(place)
    }

    /// Forgets the unit that has been unused for longest; there must be one.
    mutating func dropOldest() {
        let place = oldest
        invariant(place != Self.none, "an unused prefix to drop")
        unlink(place)
        places[units[place].hash] = nil
        units[place].newer = firstEmpty
        firstEmpty = place
    }

    private mutating func insert(_ hash: UInt64) {
        let unit = Unit(hash: hash, users: 1, older: Self.none, newer: Self.none)
        let place: Int
        if firstEmpty == Self.none {
            place = units.count
            units.append(unit)
        } else {
            place = firstEmpty
            firstEmpty = units[place].newer
            units[place] = unit
        }
        places[hash] = place
    }

    private mutating func link(_ place: Int) {
        units[place].older = newest
        units[place].newer = Self.none
        if newest == Self.none { oldest = place } else { units[newest].newer = place }
        newest = place
        unused += 1
    }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (units[place].older, units[place].newer)
        if older == Self.none { oldest = newer } else { units[older].newer = newer }
        if newer == Self.none { newest = older } else { units[newer].older = older }
        unused -= 1
    }
}
