// SPDX-License-Identifier: Apache-2.0

public import Units

/// What the store keeps of one endpoint: a field for each gateway, with a lease. Its one operation
/// takes a gateway's own account over, answers its claim, and tells it the others'.
///
/// This is the arithmetic alone; the script in `Store` does the same in Redis. A claim is granted
/// where the joint projection of all live accounts, the newcomer and what others may let in without
/// asking are within the claim's limit; or where nobody may let in anything without asking, and all
/// would be within its second limit if they went to their bounds. Slack is granted only below
/// `easy`, half of what is left there at most, so that several who ask share it.
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
        /// The same if it goes to its bound.
        public var longest: PeakWalk.Sequence
        /// What all may hold with it if all go to their bounds; zero: that does not matter.
        public var most = Tokens.zero
        /// What it begins with that somebody holds, in neither sequence; `mostWanted` at most.
        public var runs: [CommonRun] = []

        public init(_ sequence: PeakWalk.Sequence, limit: Tokens, beside: Tokens) {
            self.sequence = sequence
            longest = sequence
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
        var sum = EndpointSum()
        for field in fields where field.expiresAt > now { sum.add(field.account) }
        return sum.projection
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
        if settled.isGranted, let want = ask.want { account.add(want) }
        account.slack = settled.slack
        let place = fields.firstIndex { gateway < $0.gateway } ?? fields.count
        fields.insert(
            Field(gateway: gateway, account: account, expiresAt: now + lease), at: place)
        return Reply(isGranted: settled.isGranted, slack: settled.slack, peers: peers)
    }

    private static func settle(
        _ ask: Ask, beside peers: [Peer]
    ) -> (isGranted: Bool, slack: Tokens) {
        var sum = EndpointSum()
        for peer in peers { sum.add(peer.account) }
        var own = ask.account
        own.slack = .zero
        sum.add(own)
        var joint = sum.projection
        var isGranted = false
        if let want = ask.want {
            sum.add(want)
            let with = sum.projection
            let isBounded = want.most > .zero && sum.bounded.map { $0 <= want.most } ?? false
            isGranted = joint <= want.beside && with <= want.limit || isBounded
            if isGranted { joint = with }
        }
        let left = max(0, ask.easy.count - joint.count) / 2
        return (isGranted, Tokens(max(0, min(ask.slack.count, left))))
    }
}

extension EndpointAccount {
    /// What was wanted is there.
    public mutating func add(_ want: SharedEndpoint.Want) {
        cohorts.add(want.sequence)
        bounds?.add(Cohorts.Cohort(want.longest), at: Cohorts.place(of: want.longest.rest))
        let place = Cohorts.place(of: want.sequence.rest)
        for run in want.runs {
            if let known = runs.firstIndex(where: { $0.key == run.key }) {
                runs[known].tokens = max(runs[known].tokens, run.tokens)
                runs[known].place = CommonRun.everybodys
            } else {
                runs.append(CommonRun(key: run.key, tokens: run.tokens, place: place))
            }
        }
    }
}
