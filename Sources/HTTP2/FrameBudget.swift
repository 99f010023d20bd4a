// SPDX-License-Identifier: Apache-2.0

import Units

/// How often something may happen: so many times at once, and so many a second after that.
struct FrameBudget {
    private let perSecond: Int
    private var left: Int
    private var filledAt: Instant

    init(perSecond: Int, now: Instant) {
        self.perSecond = perSecond
        left = perSecond
        filledAt = now
    }

    /// Takes one; false when there is none.
    mutating func take(now: Instant) -> Bool {
        if left == 0 { fill(now) }
        guard left > 0 else { return false }
        left -= 1
        return true
    }

    private mutating func fill(_ now: Instant) {
        let span = Duration.seconds(1).nanoseconds
        let passed = min((now - filledAt).nanoseconds, span)
        left = Int(passed) * perSecond / Int(span)
        // What has passed of the next one is not lost.
        if left > 0 { filledAt = now }
    }
}
