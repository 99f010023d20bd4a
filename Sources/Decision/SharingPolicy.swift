// SPDX-License-Identifier: Apache-2.0

public import Admission
public import Scheduling
public import Units

/// How a gateway shares its endpoints with others through a store.
public struct SharingPolicy: Sendable, Equatable {
    /// Chosen by chance at the start of the process.
    public var gateway: GatewayID
    /// What is told is told again after so long.
    public var refresh: Duration
    /// For so long what a gateway told counts when nothing more is heard of it. Some refreshes.
    public var lease: Duration
    /// No answer for so long: there is none.
    public var deadline: Duration

    /// As the issue has it: told four times a second, and held for two.
    public init(
        _ gateway: GatewayID, refresh: Duration = .milliseconds(250),
        lease: Duration = .seconds(2), deadline: Duration = SharingPolicy.shortestDeadline
    ) {
        self.gateway = gateway
        self.refresh = refresh
        self.lease = lease
        self.deadline = deadline
    }

    /// A store that takes longer is of no use to anybody who waits.
    public static let shortestDeadline = Duration.milliseconds(100)
    /// `Event.sharingDue` comes so often.
    public static let beat = Duration.milliseconds(25)
}

/// How sharing stands.
public struct SharingStatus: Sendable, Equatable {
    /// Whether the store answers.
    public enum Store: String, Sendable {
        case there
        /// Each gateway keeps to its part.
        case lost
        /// It answers again, and not all others may have told it yet.
        case back
    }

    /// Other gateways, as far as they were heard of last.
    public var peers: Int
    public var store: Store
}

/// What the store is to be told of one endpoint, and asked.
public struct ExchangeAsk: Sendable, Equatable {
    /// Comes back with the answer.
    public var number: Int
    public var endpoint: EndpointID
    public var ask: SharedEndpoint.Ask
    /// Of the own queues, for reports of the others'; nil: those are not asked for.
    public var report: GatewayReport?
}

/// What the store answered.
public struct ExchangeAnswer: Sendable, Equatable {
    /// That of the ask.
    public var number: Int
    public var reply: SharedEndpoint.Reply
    /// Nil where none was given.
    public var reports: [PeerReport]?

    /// To the ask of this number.
    public init(number: Int, reply: SharedEndpoint.Reply, reports: [PeerReport]?) {
        self.number = number
        self.reply = reply
        self.reports = reports
    }
}
