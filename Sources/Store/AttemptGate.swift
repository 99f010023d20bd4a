// SPDX-License-Identifier: Apache-2.0

import Units

/// Says when a worker may try to reach Redis: while it is away, all workers together try ten times
/// a second; once one of them got through, the others follow at once.
struct AttemptGate: Sendable {
    static let interval = Duration.milliseconds(100)
    /// How far attempts that went ahead freely may push those that have to wait.
    static let mostAhead = Duration.seconds(1)

    /// Optimistic at first: at the start all workers connect.
    private var isUp = true
    private var nextSlot = Instant(nanoseconds: 0)

    enum Answer: Equatable {
        case now
        case askAgain(at: Instant)
    }

    /// Takes a turn, or says when to ask again.
    mutating func attempt(now: Instant) -> Answer {
        guard isUp || nextSlot <= now else {
            return .askAgain(at: min(nextSlot, now + Self.interval))
        }
        nextSlot = min(max(nextSlot, now) + Self.interval, now + Self.mostAhead)
        return .now
    }

    mutating func succeeded() { isUp = true }
    mutating func failed() { isUp = false }
}
