// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Units

/// Settlements that wait for Redis: kept while it is away, the oldest given up when there are too
/// many.
struct SettlementQueue {
    private var queue: Deque<Settlement> = []
    private let limit: Int
    /// Given up: their reservations stay charged as they were reserved.
    private(set) var lost = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { queue.count }

    mutating func append(_ settlement: Settlement) {
        if queue.count >= limit {
            queue.removeFirst()
            lost += 1
        }
        queue.append(settlement)
    }

    /// Puts back one that was sent and may not have arrived: a second time does no harm.
    mutating func putBack(_ settlement: Settlement) {
        if queue.count >= limit {
            lost += 1
        } else {
            queue.prepend(settlement)
        }
    }

    mutating func next() -> Settlement? { queue.popFirst() }
}

/// Settlements of tenants whose slot is between two servers of a cluster: nobody waits for them, so
/// they rest and are tried again, few at a time until they are taken.
struct RestingSettlements {
    static let rest = Duration.milliseconds(50)
    /// How many show whether the slot has arrived.
    private static let sample = 64

    private var queue: Deque<ScriptRun> = []
    private let limit: Int
    private var dueAt = Instant.distantFuture
    private var wereRefused = false
    /// Given up, because too many rested.
    private(set) var lost = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { queue.count }

    var nextDue: Instant? { queue.isEmpty ? nil : dueAt }

    mutating func append(_ task: ScriptRun, now: Instant) {
        if queue.isEmpty { dueAt = now + Self.rest }
        wereRefused = true
        if queue.count >= limit {
            queue.removeFirst()
            lost += 1
        }
        queue.append(task)
    }

    /// What is to be tried: all where of the last ones none came back.
    mutating func takeDue(now: Instant) -> [ScriptRun] {
        guard !queue.isEmpty, dueAt <= now else { return [] }
        let count = wereRefused ? min(Self.sample, queue.count) : queue.count
        let due = Array(queue.prefix(count))
        queue.removeFirst(count)
        wereRefused = false
        dueAt = now + Self.rest
        return due
    }
}
