// SPDX-License-Identifier: Apache-2.0

public import Units

/// The share of its turn that an endpoint gets which is new among others that serve already: its
/// cache is empty, and its first steps are its slowest. It begins small when the endpoint first
/// answers, and grows evenly.
public struct EndpointRamp: Sendable, Equatable {
    /// One that was away for so long is mostly another process.
    public static let longAway = Duration.seconds(10)

    private enum Stage: Sendable, Equatable {
        /// It has all of its turn.
        case over
        /// It is new, and has not answered yet.
        case awaited
        case since(Instant)
    }

    private var stage = Stage.over
    private var from: Double
    private var span: Duration

    /// From the share `from` to all in `over`; with zero of that there is no ramp.
    public init(from: Double, over: Duration) {
        self.from = from
        span = over
    }

    /// The configuration has changed; a ramp under way goes on with it.
    public mutating func configure(from: Double, over: Duration) {
        self.from = from
        span = over
    }

    /// It is new, and begins when it answers.
    public mutating func expect() { stage = .awaited }

    /// It is new, and has answered.
    public mutating func begin(now: Instant) { stage = .since(now) }

    /// It has answered.
    public mutating func answered(now: Instant) {
        if stage == .awaited { begin(now: now) }
    }

    /// From its first share to 1.
    public func share(_ now: Instant) -> Double {
        guard span > .zero else { return 1 }
        switch stage {
        case .over: return 1
        case .awaited: return from
        case .since(let start):
            let part = max(0, (now - start).seconds / span.seconds)
            return min(1, from + (1 - from) * part)
        }
    }

    /// When it has all of its turn, at the latest that is known.
    public var until: Instant {
        guard span > .zero else { return Instant(nanoseconds: 0) }
        switch stage {
        case .over: return Instant(nanoseconds: 0)
        case .awaited: return .distantFuture
        case .since(let start): return start + span
        }
    }
}
