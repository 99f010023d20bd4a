// SPDX-License-Identifier: Apache-2.0

public import Units

/// What the store keeps of one endpoint: a field for each gateway, with a lease. Its one operation
/// takes a gateway's own account over, answers its claim, and tells it the others'.
///
/// This is the arithmetic alone; the script in `Store` does the same in Redis. A claim is granted
/// where the joint projection of all live accounts, the newcomer and what others may let in without
/// asking are within the claim's limit. Slack is granted only below `easy`, half of what is left
/// there at most, so that several who ask share it.
public struct SharedEndpoint: Sendable {
    /// Fields at most; a gateway beyond them is refused what it asks for, until leases expire.
    public static let most = 64

    /// A request for which there is to be room.
    public struct Want: Sendable, Equatable {
        public var sequence: PeakWalk.Sequence
        /// What all may hold with it.
        public var limit: Tokens
        /// What all may hold without it: less than the limit for one that has to be alone.
        public var beside: Tokens

        public init(_ sequence: PeakWalk.Sequence, limit: Tokens, beside: Tokens) {
            self.sequence = sequence
            self.limit = limit
            self.beside = beside
        }
    }

    /// What a gateway says and asks.
    public struct Ask: Sendable, Equatable {
        /// The own account, without slack.
        public var account: EndpointAccount
        public var want: Want?
        /// Slack that would be used.
        public var slack: Tokens
        /// What all may hold while there is slack for anybody.
        public var easy: Tokens

        public init(_ account: EndpointAccount, want: Want? = nil, slack: Tokens, easy: Tokens) {
            self.account = account
            self.want = want
            self.slack = slack
            self.easy = easy
        }
    }

    /// The account of another gateway.
    public struct Peer: Sendable, Equatable {
        public var gateway: GatewayID
        public var account: EndpointAccount

        public init(_ gateway: GatewayID, _ account: EndpointAccount) {
            self.gateway = gateway
            self.account = account
        }
    }

    public struct Reply: Sendable, Equatable {
        /// What was wanted is in the own account from now on.
        public var isGranted: Bool
        public var slack: Tokens
        /// All others whose leases are live, by their identifiers.
        public var peers: [Peer]

        public init(isGranted: Bool, slack: Tokens, peers: [Peer]) {
            self.isGranted = isGranted
            self.slack = slack
            self.peers = peers
        }
    }

    private struct Field: Sendable {
        var gateway: GatewayID
        var account: EndpointAccount
        var expiresAt: Instant
    }

    /// By their gateways.
    private var fields: [Field] = []

    /// Nobody has told anything yet.
    public init() {}

    /// What all that live hold together, slack included: never above the limit of the last claim
    /// that was granted, but for sequences that grew beyond what was expected of them.
    public func reserved(now: Instant) -> Tokens {
        var (sum, slack) = (Cohorts(), Tokens.zero)
        for field in fields where field.expiresAt > now {
            sum.add(field.account.cohorts)
            slack += field.account.slack
        }
        return sum.projection() + slack
    }

    /// The gateway's account becomes what it says, with what it wanted where that is granted, for
    /// the time of `lease`.
    public mutating func exchange(
        _ ask: Ask, of gateway: GatewayID, lease: Duration, now: Instant
    ) -> Reply {
        fields.removeAll { $0.expiresAt <= now || $0.gateway == gateway }
        let peers = fields.map { Peer($0.gateway, $0.account) }
        guard fields.count < Self.most else {
            return Reply(isGranted: false, slack: .zero, peers: peers)
        }
        var account = ask.account
        let settled = Self.settle(ask, beside: peers)
        if settled.isGranted, let want = ask.want { account.cohorts.add(want.sequence) }
        account.slack = settled.slack
        let place = fields.firstIndex { gateway < $0.gateway } ?? fields.count
        fields.insert(
            Field(gateway: gateway, account: account, expiresAt: now + lease), at: place)
        return Reply(isGranted: settled.isGranted, slack: settled.slack, peers: peers)
    }

    private static func settle(
        _ ask: Ask, beside peers: [Peer]
    ) -> (isGranted: Bool, slack: Tokens) {
        var (others, kept) = (Cohorts(), Tokens.zero)
        for peer in peers {
            others.add(peer.account.cohorts)
            kept += peer.account.slack
        }
        var joint = ask.account.cohorts.projection(beside: others) + kept
        var isGranted = false
        if let want = ask.want {
            let with =
                ask.account.cohorts.projection(adding: want.sequence, beside: others) + kept
            isGranted = joint <= want.beside && with <= want.limit
            if isGranted { joint = with }
        }
        let left = max(0, ask.easy.count - joint.count) / 2
        return (isGranted, Tokens(max(0, min(ask.slack.count, left))))
    }
}
