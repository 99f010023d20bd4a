// SPDX-License-Identifier: Apache-2.0

package import Simulation
package import Units

/// How a trace is replayed.
package struct ReplaySetup: Sendable {
    /// How answers are asked for.
    package enum Delivery: Sendable, Equatable {
        case stream
        case whole
    }
    /// What is done when a refusal says when to come back.
    package enum Patience: Sendable, Equatable {
        /// The request is over.
        case none
        /// It is sent again then, so many times at most.
        case obeys(returns: Int)
    }
    /// Whether a line about the progress goes to standard error each second.
    package enum Progress: Sendable, Equatable {
        case silent
        case everySecond
    }

    package var target: ReplayTarget
    /// Trace seconds in a real one.
    package var speed = 1.0
    /// After this no more requests are sent; those under way are waited for.
    package var duration = Duration.infinite
    /// The model's name; engines of one model mostly do without.
    package var model: String?
    /// The keys of the trace's tenants, in turn.
    package var keys: [String] = []
    /// `X-Traffic-Class`.
    package var trafficClass: String?
    package var delivery = Delivery.stream
    package var patience = Patience.none
    package var progress = Progress.silent
    package var targets = LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))
    /// One request's, from its sending to the end of its answer.
    package var timeout = Duration.seconds(600)
    /// Requests open at once: what would be more is not sent, and counted as an error.
    package var maxOpen = 8_192

    package init(target: ReplayTarget) { self.target = target }
}
