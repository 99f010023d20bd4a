// SPDX-License-Identifier: Apache-2.0

public import Units

/// What share of its turn an engine gets that is new in its pool, and how long until it has all.
public struct RampPolicy: Sendable, Equatable {
    /// The share that it begins with, above zero.
    public var from: Double
    /// Until it has all of it; zero: at once.
    public var over: Duration

    public init(from: Double = 0.1, over: Duration = .seconds(30)) {
        self.from = from
        self.over = over
    }
}
