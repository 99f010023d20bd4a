// SPDX-License-Identifier: Apache-2.0

public import Units

/// Hands every refused client its own time to return, so that they come back one after the other
/// and not as the wave that was refused.
///
/// A client is never told less than what its refusal computed: an earlier return would be refused
/// again. Jitter therefore only adds. No client honours more than a minute, so a row of returners
/// that is longer ends in a part that is shared: the last five seconds before the minute, and there
/// chance spreads those who come back.
public struct ReturnSlots: Sendable {
    /// What a client is told at least: `Retry-After` of nothing is no wait at all.
    public static let shortest = Duration.milliseconds(1)
    /// What a client is told at most.
    public static let longest = Duration.seconds(60)
    /// The end of the row that is shared.
    private static let shared = Duration.seconds(5)

    /// When the last slot that was handed out has had its share of what drains.
    private var nextFree = Instant(nanoseconds: 0)

    /// An empty row.
    public init() {}

    /// What chance adds to a wait at most: a twentieth, never over a second.
    public static func mostJitter(_ wait: Duration) -> Duration {
        min(Duration(nanoseconds: wait.nanoseconds / 20), .seconds(1))
    }

    /// The wait for a client whose request fits after `wait` when alone; between the two bounds.
    ///
    /// `spacing` is how long the resource needs for one such request; `random` within 0 ..< 1.
    public mutating func slot(
        after wait: Duration, spacing: Duration, random: Double, now: Instant
    ) -> Duration {
        let earliest = max(wait, Self.shortest)
        let turn = max(earliest, nextFree - now)
        guard turn < Self.longest else {
            let spread = Duration.seconds((1 - random) * Self.shared.seconds)
            return min(Self.longest, max(earliest, Self.longest - spread))
        }
        nextFree = now + turn + max(spacing, Self.shortest)
        let jitter = Duration.seconds(random * Self.mostJitter(turn).seconds)
        return min(Self.longest, turn + jitter)
    }
}
