// SPDX-License-Identifier: Apache-2.0

import DequeModule

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
