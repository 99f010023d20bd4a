// SPDX-License-Identifier: Apache-2.0

import Admission
import Units

/// What is known of the other gateways at one endpoint.
struct SharedView: Sendable {
    /// By their gateways.
    private(set) var peers: [SharedEndpoint.Peer] = []
    /// Sums over them.
    private(set) var cohorts = Cohorts()
    private(set) var kept = Tokens.zero
    private(set) var committed = Tokens.zero
    private(set) var turnover = 0
    /// Tokens for which requests may be let in without asking, and until when.
    var slack = Tokens.zero
    var slackUntil = Instant(nanoseconds: 0)
    /// Without the store each gateway has one part in so many; 0: with it.
    var parts = 0
    /// The others have not told anything since they are known: scrapes still show them.
    var isNew = true
    /// What the others held when the engine was asked, and what it answered, until they have told
    /// what they held after it.
    private var before: [SharedEndpoint.Peer]?
    private var sighting: (EndpointLedger.Sighting, at: Instant)?

    /// Nobody has anything there.
    var isEmpty: Bool { cohorts.isEmpty && kept == .zero }

    // MARK: the projection

    /// What all of those hold at the worst foreseeable moment who tell of themselves. `alone`: the
    /// own ones; `others`: those who do not tell.
    func held(
        _ walk: PeakWalk, _ newcomer: PeakWalk.Sequence?, alone: Tokens, _ others: Tokens
    ) -> Tokens {
        guard parts > 0 else {
            return walk.cohorts.projection(adding: newcomer, beside: cohorts) + kept
        }
        // One by itself would never fit otherwise, and what others hold is seen anyway.
        let own = walk.count + (newcomer == nil ? 0 : 1)
        return own <= 1 ? alone : max(alone, Tokens(alone.count * parts) - others)
    }

    // MARK: what they tell

    /// The others have told. The prompt tokens that they have sent since they told before.
    mutating func update(_ new: [SharedEndpoint.Peer]) -> Tokens {
        var sent = 0
        for peer in new {
            if let old = Self.account(of: peer.gateway, in: peers) {
                sent += max(0, peer.account.prompts - old.prompts)
            }
        }
        peers = new
        cohorts = Cohorts()
        kept = .zero
        committed = .zero
        turnover = 0
        for peer in new {
            cohorts.add(peer.account.cohorts)
            kept += peer.account.slack
            committed += peer.account.committed
            turnover += peer.account.turnover
        }
        return Tokens(sent)
    }

    private static func account(
        of gateway: GatewayID, in peers: [SharedEndpoint.Peer]
    ) -> EndpointAccount? {
        peers.first { $0.gateway == gateway }?.account
    }

    // MARK: scrapes

    /// The engine is being asked. While an answer waits to be understood, the next one is not.
    mutating func asked() {
        if sighting == nil { before = peers }
    }

    mutating func saw(_ sighting: EndpointLedger.Sighting, now: Instant) {
        if self.sighting == nil { self.sighting = (sighting, now) }
    }

    /// The answer that can be understood now, since all others have told again: what they held at
    /// the time is between what they had told before, less what has left since, and what they told
    /// then, with what has left.
    mutating func understood(
        _ now: Instant, after wait: Duration
    ) -> (EndpointLedger.Sighting, least: Tokens, most: Tokens)? {
        guard let (sighting, at) = sighting, now - at >= wait else { return nil }
        let old = before ?? []
        var (least, most) = (Tokens.zero, Tokens.zero)
        for peer in peers {
            let account = peer.account
            let unseen = Tokens(EndpointLedger.unseenPerSequence * account.cohorts.width)
            most += account.resident + unseen
            guard let before = Self.account(of: peer.gateway, in: old) else { continue }
            let left = Tokens(max(0, account.left - before.left))
            most += left
            least += max(.zero, before.certain - left)
        }
        for peer in old where Self.account(of: peer.gateway, in: peers) == nil {
            most += peer.account.resident
        }
        self.sighting = nil
        before = nil
        return (sighting, least, most)
    }
}
