// SPDX-License-Identifier: Apache-2.0

public import Units

/// What happened in each of the last sixty seconds, or will in each of the next sixty.
///
/// A ring of whole seconds, each with its own date: nothing has to be swept as time passes.
public struct SecondWindow: Sendable {
    /// How far it looks back, in seconds.
    public static let span = 60
    private static let places = 128

    private var amounts: [128 of Int] = .init(repeating: 0)
    private var dates: [128 of UInt64] = .init(repeating: 0)

    /// Nothing happened.
    public init() {}

    /// Counts `amount` in the second of `instant`, at most a minute before or after the present.
    public mutating func add(_ amount: Int, at instant: Instant) {
        let second = instant.nanoseconds / 1_000_000_000
        let place = Int(second % UInt64(Self.places))
        if dates[place] != second {
            dates[place] = second
            amounts[place] = 0
        }
        amounts[place] += amount
    }

    /// The sum of the last sixty seconds, the present one included.
    public func sum(_ now: Instant) -> Int {
        var sum = 0
        for back in 0..<Self.span { sum += amount(now, secondsAgo: back) }
        return sum
    }

    /// What was counted in the second that was so many before the present one, sixty at most.
    public func amount(_ now: Instant, secondsAgo back: Int) -> Int {
        let present = now.nanoseconds / 1_000_000_000
        guard back >= 0, UInt64(back) <= present else { return 0 }
        let place = Int((present - UInt64(back)) % UInt64(Self.places))
        return dates[place] == present - UInt64(back) ? amounts[place] : 0
    }
}
