// SPDX-License-Identifier: Apache-2.0

public import Units

/// The part of each second that prompts may take at an endpoint whose streams have no target that
/// would tell: found by a controller, in steps.
///
/// It moves towards the queue that grows faster. Where more and more wait for their prompt's turn,
/// prompts get more; where they wait for room in the cache, which ends of streams bring, decoding
/// does. A cache that is nearly full takes from prompts whatever waits. When nobody waits it goes
/// back to where it began, half a step at a time.
public struct PrefillShare: Sendable, Equatable {
    /// How often it moves.
    public static let interval = Duration.milliseconds(250)
    /// By how much: from one bound to the other takes a few seconds.
    public static let step = 0.05
    /// A cache is nearly full above this.
    public static let full = 0.85

    /// What grew faster since the last step.
    public enum Growth: Sendable, Equatable {
        case prefill, decode, neither
        /// Nobody waits.
        case none
    }

    /// The share now.
    public private(set) var now: Double
    private var start: Double
    private var least: Double
    private var most: Double

    /// `least` ≤ `start` ≤ `most`.
    public init(from start: Double, least: Double, most: Double) {
        now = start
        self.start = start
        self.least = least
        self.most = most
    }

    /// The configuration has changed to that of `other`; the share goes on within its bounds.
    public func configured(like other: PrefillShare) -> PrefillShare {
        var share = other
        share.now = min(max(now, other.least), other.most)
        return share
    }

    /// An interval is over. True where the share has changed.
    public mutating func move(_ growth: Growth, isFull: Bool) -> Bool {
        let before = now
        if isFull {
            now -= Self.step
        } else {
            switch growth {
            case .prefill: now += Self.step
            case .decode: now -= Self.step
            case .neither: break
            case .none:
                let half = Self.step / 2
                now += min(max(start - now, -half), half)
            }
        }
        now = min(max(now, least), most)
        return now != before
    }
}
