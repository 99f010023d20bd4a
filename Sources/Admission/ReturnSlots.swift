// SPDX-License-Identifier: Apache-2.0

package import Units

/// Hands every refused client its own time to return, so that they come back one after the other and not
/// as the wave that was refused.
///
/// The wait is never shorter than what the refusal computed: an earlier return would be refused again.
/// Jitter therefore only adds. Waits that clients honour end at 60 s.
package struct ReturnSlots: Sendable {
    package static let shortest = Duration.milliseconds(1)
    package static let longest = Duration.seconds(60)

    private var nextFree = Instant(nanoseconds: 0)

    package init() {}

    /// The wait for a client whose request fits after `wait` when alone. `spacing` is how long the
    /// resource needs for one such request; `random` within 0 ..< 1.
    package mutating func slot(
        after wait: Duration, spacing: Duration, random: Double, now: Instant
    ) -> Duration {
        let earliest = now + max(wait, Self.shortest)
        let start = max(earliest, nextFree)
        let room = Self.longest - (start - now)
        guard room > .zero else {
            // The row of returners is longer than clients wait: its end is shared, spread by jitter.
            return Self.longest - Duration.seconds(random * 5)
        }
        nextFree = start + max(spacing, .milliseconds(1))
        let jitter = Duration.seconds(random * min(0.05 * (start - now).seconds, 1))
        return min(Self.longest, (start - now) + jitter)
    }
}
