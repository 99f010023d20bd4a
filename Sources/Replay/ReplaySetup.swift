// SPDX-License-Identifier: Apache-2.0

public import Simulation
public import Units

/// How a trace is replayed.
public struct ReplaySetup: Sendable {
    /// How answers are asked for.
    public enum Delivery: Sendable, Equatable {
        case stream
        case whole
    }
    /// What is done when a refusal says when to come back.
    public enum Patience: Sendable, Equatable {
        /// The request is over.
        case none
        /// It is sent again then, so many times at most.
        case obeys(returns: Int)
    }
    /// Whether a line about the progress goes to standard error each second.
    public enum Progress: Sendable, Equatable {
        case silent
        case everySecond
    }

    public var target: ReplayTarget
    /// Trace seconds in a real one.
    public var speed = 1.0
    /// After this no more requests are sent; those under way are waited for.
    public var duration = Duration.infinite
    /// The model's name; engines of one model mostly do without.
    public var model: String?
    /// The keys of the trace's tenants, in turn.
    public var keys: [String] = []
    /// `X-Traffic-Class`.
    public var trafficClass: String?
    /// Clients ask for so many tokens at most, and only the simulated engine is told how long the
    /// answer is. Not given, they ask for exactly the trace's output.
    public var stated: Tokens?
    /// Prompts have other texts with another seed: replays beside each other share none.
    public var seed: UInt32 = 0
    public var delivery = Delivery.stream
    public var patience = Patience.none
    public var progress = Progress.silent
    public var targets = LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))
    /// One request's, from its sending to the end of its answer.
    public var timeout = Duration.seconds(600)
    /// Requests open at once: what would be more is not sent, and counted as an error.
    public var maxOpen = 8_192

    public init(target: ReplayTarget) { self.target = target }
}
