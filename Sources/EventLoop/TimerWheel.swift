// SPDX-License-Identifier: Apache-2.0
public import Units

/// A scheduled timer, to cancel it by. One that has fired or was cancelled cancels nothing.
public struct TimerKey: Hashable, Sendable {
    fileprivate let index: Int32
    fileprivate let generation: UInt32
}

/// A hierarchical timer wheel (Varghese and Lauck, SOSP 1987): schedule and cancel in constant
/// time, never early, at most one millisecond late. A pure value: time comes in with the calls.
///
/// Time counts in ticks of one millisecond from the wheel's start. A level has 64 slots, each as
/// wide as the whole level below. A timer lives on the level of the highest digit, in base 64, in
/// which its tick differs from the present one; when the present reaches its slot it moves down. So
/// the slots of a level never wrap, the first slot taken on the lowest level taken is the next
/// thing to happen, and eight levels cover every `Instant`: nothing is too far away.
public struct TimerWheel {
    private struct Node {
        var token: Token
        var tick: UInt64
        /// Neighbours in the slot's list, −1 at its ends; `next` also links free nodes.
        var next: Int32
        var previous: Int32
        var generation: UInt32
        /// Which slot of which level; `unscheduled` while free.
        var slot: UInt16
    }
    private static let levels = 8
    private static let digitBits = 6
    private static let unscheduled = UInt16.max
    private static let tickNanoseconds: UInt64 = 1_000_000

    private let start: Instant
    private let limit: Int
    /// The tick up to which timers have fired.
    private var present: UInt64 = 0
    private var nodes: [Node] = []
    private var firstFree: Int32 = -1
    /// First node of each slot, level by level.
    private var heads: [Int32]
    /// One bit a slot that has timers, for each level.
    private var taken: [UInt64]
    /// One bit a level that has timers.
    private var takenLevels: UInt8 = 0
    /// Timers scheduled and not yet fired or cancelled.
    public private(set) var count = 0

    /// Holds at most `limit` timers at once.
    public init(now: Instant, limit: Int) {
        invariant(limit >= 0 && limit < Int(Int32.max), "a wheel's limit fits its links")
        start = now
        self.limit = limit
        heads = Array(repeating: -1, count: TimerWheel.levels << TimerWheel.digitBits)
        taken = Array(repeating: 0, count: TimerWheel.levels)
    }

    /// Fires `token` once `time` has come; at a time that has passed, with the next `expire`. Nil
    /// when the wheel is full.
    public mutating func schedule(_ token: Token, at time: Instant) -> TimerKey? {
        guard count < limit else { return nil }
        let index = takeNode(token, max(tickNotBefore(time), present))
        link(index)
        count += 1
        return TimerKey(index: index, generation: nodes[Int(index)].generation)
    }

    /// Forgets a timer, unless it has fired or was cancelled before.
    public mutating func cancel(_ key: TimerKey) {
        let index = Int(key.index)
        guard nodes[index].generation == key.generation,
            nodes[index].slot != TimerWheel.unscheduled
        else { return }
        unlink(key.index)
        release(key.index)
    }

    /// Appends the token of every timer that is due, each once, and forgets them.
    public mutating func expire(now: Instant, into fired: inout [Token]) {
        let target = tickReached(now)
        while let next = nextSlot(), next.tick <= target {
            present = next.tick
            open(next.level, next.slot, &fired)
        }
        present = max(present, target)
    }

    /// When to call `expire` next; nil without timers. Never later than the earliest timer, and
    /// exact for one less than 64 ms away; a farther one may be announced up to a few times on its
    /// way down.
    public var nextDeadline: Instant? {
        guard let next = nextSlot() else { return nil }
        return start
            + Duration(nanoseconds: Int64(clamping: next.tick * TimerWheel.tickNanoseconds))
    }

    // MARK: Ticks

    private func tickNotBefore(_ time: Instant) -> UInt64 {
        guard time > start else { return 0 }
        // No `Instant` that a clock gives lies behind it; so a tick's time can be told without
        // overflow.
        let past = min(time, .distantFuture).nanoseconds &- start.nanoseconds
        let whole = past / TimerWheel.tickNanoseconds
        return past % TimerWheel.tickNanoseconds > 0 ? whole + 1 : whole
    }

    private func tickReached(_ now: Instant) -> UInt64 {
        guard now > start else { return 0 }
        return (now.nanoseconds &- start.nanoseconds) / TimerWheel.tickNanoseconds
    }

    // MARK: Slots

    /// The first slot taken on the lowest level taken, and the tick with which it begins.
    private func nextSlot() -> (level: Int, slot: Int, tick: UInt64)? {
        guard takenLevels != 0 else { return nil }
        let level = takenLevels.trailingZeroBitCount
        let slot = taken[level].trailingZeroBitCount
        let shift = UInt64(level * TimerWheel.digitBits)
        let higher = present >> shift & ~63
        return (level, slot, (higher | UInt64(slot)) << shift)
    }

    /// Empties a slot that the present has reached: due timers fire, the others move down.
    private mutating func open(_ level: Int, _ slot: Int, _ fired: inout [Token]) {
        let place = level << TimerWheel.digitBits | slot
        var index = heads[place]
        heads[place] = -1
        markEmpty(place)
        while index >= 0 {
            let node = nodes[Int(index)]
            if node.tick <= present {
                fired.append(node.token)
                release(index)
            } else {
                link(index)
            }
            index = node.next
        }
    }

    private mutating func link(_ index: Int32) {
        let tick = nodes[Int(index)].tick
        let difference = tick ^ present
        let highestBit = 63 - (difference | 1).leadingZeroBitCount
        let level = highestBit / TimerWheel.digitBits
        let slot = Int(truncatingIfNeeded: tick >> UInt64(level * TimerWheel.digitBits) & 63)
        let place = level << TimerWheel.digitBits | slot
        let head = heads[place]
        nodes[Int(index)].slot = UInt16(truncatingIfNeeded: place)
        nodes[Int(index)].next = head
        nodes[Int(index)].previous = -1
        if head >= 0 { nodes[Int(head)].previous = index }
        heads[place] = index
        taken[level] |= 1 << UInt64(slot)
        takenLevels |= 1 << UInt8(truncatingIfNeeded: level)
    }

    private mutating func unlink(_ index: Int32) {
        let node = nodes[Int(index)]
        if node.next >= 0 { nodes[Int(node.next)].previous = node.previous }
        if node.previous >= 0 {
            nodes[Int(node.previous)].next = node.next
            return
        }
        let place = Int(node.slot)
        heads[place] = node.next
        if node.next < 0 { markEmpty(place) }
    }

    private mutating func markEmpty(_ place: Int) {
        let level = place >> TimerWheel.digitBits
        taken[level] &= ~(1 << UInt64(place & 63))
        if taken[level] == 0 { takenLevels &= ~(1 << UInt8(truncatingIfNeeded: level)) }
    }

    // MARK: Nodes

    private mutating func takeNode(_ token: Token, _ tick: UInt64) -> Int32 {
        let index = firstFree
        guard index >= 0 else {
            nodes.append(
                Node(
                    token: token, tick: tick, next: -1, previous: -1, generation: 0,
                    slot: TimerWheel.unscheduled))
            return Int32(nodes.count - 1)
        }
        firstFree = nodes[Int(index)].next
        nodes[Int(index)].token = token
        nodes[Int(index)].tick = tick
        return index
    }

    private mutating func release(_ index: Int32) {
        nodes[Int(index)].generation &+= 1
        nodes[Int(index)].slot = TimerWheel.unscheduled
        nodes[Int(index)].next = firstFree
        firstFree = index
        count -= 1
    }
}
