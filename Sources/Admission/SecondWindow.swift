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
        let present = now.nanoseconds / 1_000_000_000
        var sum = 0
        for back in 0..<UInt64(Self.span) where back <= present {
            let place = Int((present - back) % UInt64(Self.places))
            if dates[place] == present - back { sum += amounts[place] }
        }
        return sum
    }
}
