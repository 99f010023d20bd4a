// SPDX-License-Identifier: Apache-2.0

public import Units

/// How many requests may be sent a second time: a share of those that were sent at all lately, and
/// a few beside it. Without it every fault of a pool multiplies its load just when it can bear the
/// least (M. Brooker, "Fixing retries with token buckets and circuit breakers"; Finagle's and
/// Linkerd's retry budgets).
public struct RetryBudget: Sendable, Equatable {
    /// What is looked back on, in pieces of a second.
    public static let window = 10

    private var requests: [Int]
    private var retries: [Int]
    /// The second of the newest piece.
    private var second = 0
    private var ratio: Double
    private var reserve: Int

    /// Retries allowed since the start.
    public private(set) var allowed = 0
    /// Retries denied since the start.
    public private(set) var denied = 0

    /// `ratio` of the requests of the last ten seconds, and `reserve` a second.
    public init(ratio: Double, reserve: Int) {
        requests = [Int](repeating: 0, count: Self.window)
        retries = [Int](repeating: 0, count: Self.window)
        self.ratio = ratio
        self.reserve = reserve
    }

    /// The configuration has changed; what was counted stays.
    public mutating func configure(ratio: Double, reserve: Int) {
        self.ratio = ratio
        self.reserve = reserve
    }

    /// A request goes out for the first time.
    public mutating func sent(now: Instant) {
        requests[move(to: now)] += 1
    }

    /// Whether one may go out again; if so it counts.
    public mutating func take(now: Instant) -> Bool {
        let place = move(to: now)
        let most = Double(requests.reduce(0, +)) * ratio + Double(reserve * Self.window)
        guard Double(retries.reduce(0, +) + 1) <= most else {
            denied += 1
            return false
        }
        retries[place] += 1
        allowed += 1
        return true
    }

    /// Forgets what is too old; gives the place of the present second.
    private mutating func move(to now: Instant) -> Int {
        let present = Int(now.nanoseconds / 1_000_000_000)
        if present > second {
            for old in max(second + 1, present - Self.window + 1)...present {
                requests[Self.place(old)] = 0
                retries[Self.place(old)] = 0
            }
            second = present
        }
        return Self.place(second)
    }

    private static func place(_ second: Int) -> Int { second % window }
}
