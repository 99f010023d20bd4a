// SPDX-License-Identifier: Apache-2.0

public import Units

/// Hands every refused client its own time to return, so that they come back one after the other
/// and not as the wave that was refused.
///
/// A client is never told less than what its refusal computed: an earlier return would be refused
/// again. Jitter therefore only adds, and never reaches the next one's slot. No client honours more
/// than a minute, so a row of returners that is longer ends in a part that is shared: the last five
/// seconds before the minute, and there chance spreads those who come back.
///
/// Nor is a wait told twice among the last few: where a wait is no more than a guess, each of those
/// refused one after the other would stand first in an empty row, with chance alone between them.
public struct ReturnSlots: Sendable {
    /// What a client is told at least: `Retry-After` of nothing is no wait at all.
    public static let shortest = Duration.milliseconds(1)
    /// What a client is told at most.
    public static let longest = Duration.seconds(60)
    /// The end of the row that is shared.
    private static let shared = Duration.seconds(5)

    /// So many waits told last are not told again.
    private static let remembered = 16

    /// When the last slot that was handed out has had its share of what drains.
    private var nextFree = Instant(nanoseconds: 0)
    /// In milliseconds, which is what clients are told.
    private var told: [16 of Int] = .init(repeating: 0)
    private var oldest = 0

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
            return distinct(max(earliest, Self.longest - spread))
        }
        let step = max(spacing, Self.shortest)
        let jitter = Duration.seconds(random * min(Self.mostJitter(turn), step).seconds)
        let told = distinct(turn + jitter)
        nextFree = max(now + turn + step, now + told + Self.shortest)
        return told
    }

    /// A few milliseconds more, if that was told just before.
    private mutating func distinct(_ wait: Duration) -> Duration {
        var wait = min(wait, Self.longest)
        var tries = 0
        while tries < Self.remembered, wait < Self.longest, wasTold(wait.millisecondsRoundedUp) {
            wait = min(wait + .milliseconds(1), Self.longest)
            tries += 1
        }
        told[oldest] = wait.millisecondsRoundedUp
        oldest = (oldest + 1) % Self.remembered
        return wait
    }

    private func wasTold(_ milliseconds: Int) -> Bool {
        for place in 0..<Self.remembered where told[place] == milliseconds { return true }
        return false
    }
}
