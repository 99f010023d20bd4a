// SPDX-License-Identifier: Apache-2.0

public import Units

/// What newcomers leave of that which a pool gives back, for those who were told to return.
///
/// Nobody can see whether who comes has come before. But all who come are counted, let in or not,
/// and so is what was promised for each second: what came beyond that are newcomers. They are
/// looked at over a few seconds only, so that the row of returners gives way as soon as more come
/// than can be served, and is served fast as soon as they are gone; and the two fullest of these
/// seconds are left out, since a wave is no flow: it is over before those whom it refused return.
///
/// Under load without end there is no good time to return: then slots are given out slowly, since
/// most who come back meet newcomers who want the same room, and waits become long.
public struct ReturnFlow: Sendable {
    /// Of the rate at which room is given back, what is counted on.
    public static let safeShare = 0.75
    /// Of the same rate, what is left to those who return however many newcomers there are.
    public static let leastShare = 0.15
    /// Newcomers are counted over so many seconds, and two of them left out.
    public static let seconds = 10

    /// Needs of all who came.
    private var arrived = SecondWindow()
    /// Needs of refused clients in the seconds in which they were told to return.
    private var promised = SecondWindow()

    /// Nobody has come, nobody was told to.
    public init() {}

    /// Somebody has come, for the first time or again, let in or not.
    public mutating func arrived(_ need: Tokens, now: Instant) {
        arrived.add(need.count, at: now)
    }

    /// Somebody was told to come at `instant`, within a minute.
    public mutating func promised(_ need: Tokens, at instant: Instant) {
        promised.add(need.count, at: instant)
    }

    /// Needs a second of those who came without having been told to.
    public func newcomersPerSecond(_ now: Instant) -> Double {
        var (sum, most, second) = (0, 0, 0)
        for back in 0..<Self.seconds {
            let came =
                arrived.amount(now, secondsAgo: back) - promised.amount(now, secondsAgo: back)
            sum += came
            if came > most {
                (most, second) = (came, most)
            } else if came > second {
                second = came
            }
        }
        return Double(max(0, sum - most - second)) / Double(Self.seconds - 2)
    }

    /// Needs a second for which those who return will find room, when `givenBack` is what all that
    /// is open gives back.
    public func returnsPerSecond(givenBack: Double, now: Instant) -> Double {
        max(Self.leastShare * givenBack, Self.safeShare * givenBack - newcomersPerSecond(now))
    }
}
