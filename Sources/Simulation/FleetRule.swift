// SPDX-License-Identifier: Apache-2.0

/// Who decides in front of the engines: the gateway's own core, or a baseline to compare it with.
public enum FleetRule: Sendable, Equatable, CustomStringConvertible {
    /// The decider of the gateway.
    case penstock
    case plain(PlainRule)

    /// Where a name of a baseline speaks of routers, and where of the order of a queue.
    public enum Setting: Sendable {
        /// Requests go to an engine as they come.
        case routing
        /// Requests wait in front of the engines, and are let in while the peak of their KV use
        /// fits, all lengths known.
        case queueing
        /// The same, but let in as the gateway does: by the projection, from estimates. What is
        /// left to differ is the order.
        case ordering
    }

    /// Every name that `named` knows; those that end in a colon want a number behind it.
    public static let names = [
        "penstock", "none", "reactive", "reserve", "fcfs", "round_robin", "least_requests",
        "least_tokens", "vtc", "prefix", "bounded_hash", "rate:", "work:",
    ]

    /// The rule of a name, hyphens as good as underscores; nil for any other.
    public static func named(_ text: String, in setting: Setting) -> FleetRule? {
        let name = String(text.map { $0 == "-" ? "_" : $0 })
        if name == "penstock" { return .penstock }
        return PlainRule(name, setting).map { .plain($0) }
    }

    /// The name it is asked for by.
    public var description: String {
        switch self {
        case .penstock: "penstock"
        case .plain(let rule): rule.name
        }
    }
}

/// A baseline: when it lets a request in, who is next, and where it goes.
public struct PlainRule: Sendable, Equatable {
    enum Admission: Sendable, Equatable {
        /// Everything, at once.
        case all
        /// Where the last scrape showed a KV cache below 0.85 and fewer than 5 waiting: what
        /// gateways do that look at metrics alone.
        case reactive
        /// Where prompt and output bound of everyone there fit together.
        case reserve
        /// Where the peak of everyone's KV use fits, all lengths known (VTC, OSDI'24).
        case peakWalk
        /// Where everyone's tokens and half of their expected rest stay below 0.85.
        case projection
        /// A bucket of requests: refilled with this share of the fleet's capacity, a second deep.
        case rate(Double)
        /// A bucket per engine, refilled with so many engine seconds a second, a second deep; a
        /// request takes what it will cost, its length known.
        case work(Double)
    }
    enum Order: Sendable, Equatable {
        case arrival
        /// One request of each tenant that waits.
        case turns
        /// Virtual token counters: the tenant with the least service by weight; the prompt is
        /// charged at dispatch, each token as it is made (VTC, OSDI'24).
        case counters
    }
    enum Choice: Sendable, Equatable {
        case turns
        case leastRequests
        case leastTokens
        /// The least work in front of the prompt, every engine's prefix cache known exactly.
        case prefix
        /// Consistent hash of the first prefix unit; no endpoint above 1.25 of the mean load.
        case boundedHash
    }

    let name: String
    let admission: Admission
    let order: Order
    let choice: Choice

    init?(_ name: String, _ setting: FleetRule.Setting) {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        let number = parts.count == 2 ? Double(parts[1]) : nil
        guard parts.count == 1 || number.map({ $0 > 0 && $0.isFinite }) ?? false else { return nil }
        var admission = Admission.all
        var order = Order.arrival
        var choice = Choice.leastRequests
        switch (String(parts[0]), number) {
        case ("none", nil), ("least_requests", nil): break
        case ("reactive", nil): admission = .reactive
        case ("reserve", nil): admission = .reserve
        case ("fcfs", nil): admission = setting == .ordering ? .projection : .peakWalk
        case ("vtc", nil):
            (admission, order) = (setting == .ordering ? .projection : .peakWalk, .counters)
        case ("round_robin", nil):
            switch setting {
            case .routing: choice = .turns
            case .queueing: (admission, order) = (.peakWalk, .turns)
            case .ordering: (admission, order) = (.projection, .turns)
            }
        case ("least_tokens", nil): choice = .leastTokens
        case ("prefix", nil): choice = .prefix
        case ("bounded_hash", nil): choice = .boundedHash
        case ("rate", let share?): (admission, choice) = (.rate(share), .turns)
        case ("work", let share?): admission = .work(share)
        default: return nil
        }
        self.name = name
        self.admission = admission
        self.order = order
        self.choice = choice
    }

    /// Requests may wait in front of the engines.
    var isQueueing: Bool {
        switch admission {
        case .all, .rate, .work: false
        case .reactive, .reserve, .peakWalk, .projection: true
        }
    }
}
