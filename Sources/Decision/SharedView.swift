// SPDX-License-Identifier: Apache-2.0

import Admission
import Units

/// What is known of the other gateways at one endpoint.
struct SharedView: Sendable {
    /// By their gateways.
    private(set) var peers: [SharedEndpoint.Peer] = []
    /// All of them, without what the own sequences begin with too.
    private(set) var sum = EndpointSum()
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
    var isEmpty: Bool { sum.isEmpty }

    // MARK: the projection

    /// What all of those hold at the worst foreseeable moment who tell of themselves. `alone`: the
    /// own ones; `others`: those who do not tell.
    func held(
        _ walk: PeakWalk, _ newcomer: PeakWalk.Sequence?, alone: Tokens, _ others: Tokens
    ) -> Tokens {
        guard parts > 0 else {
            return walk.cohorts.projection(adding: newcomer, beside: sum.cohorts) + sum.fixed
                + sum.kept
        }
        // One by itself would never fit otherwise, and what others hold is seen anyway.
        let own = walk.count + (newcomer == nil ? 0 : 1)
        return own <= 1 ? alone : max(alone, Tokens(alone.count * parts) - others)
    }

    /// What all of those can hold at the most who tell of themselves; nil where that is not known.
    func bounded(_ bounds: PeakWalk, _ longest: PeakWalk.Sequence?) -> Tokens? {
        guard parts == 0, sum.kept == .zero, let others = sum.bounds else { return nil }
        return bounds.cohorts.peak(adding: longest, beside: others) + sum.fixed + sum.alone
    }

    // MARK: what they tell

    /// The others have told. The prompt tokens that they have sent since they told before. `holds`:
    /// the own sequences hold the run of this name.
    mutating func update(
        _ new: [SharedEndpoint.Peer], _ holds: (_ key: UInt64) -> Bool
    ) -> Tokens {
        var sent = 0
        for peer in new {
            if let old = Self.account(of: peer.gateway, in: peers) {
                sent += max(0, peer.account.prompts - old.prompts)
            }
        }
        peers = new
        sum = EndpointSum()
        for peer in new { sum.add(peer.account) }
        for peer in new {
            for run in peer.account.runs where holds(run.key) { sum.omit(run.key, true) }
        }
        return Tokens(sent)
    }

    /// The own sequences hold the run of this name now, or do not.
    mutating func owns(_ key: UInt64, _ isOwn: Bool) { sum.omit(key, isOwn) }

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
        let (twice, twiceBefore) = (countedTwice(peers), countedTwice(old))
        var least = .zero - twiceBefore
        var most = .zero - min(twice, twiceBefore)
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
        return (sighting, max(.zero, least), max(.zero, most))
    }

    /// Tokens that are in more than one account, or in the own one.
    private func countedTwice(_ peers: [SharedEndpoint.Peer]) -> Tokens {
        var (all, once) = (0, EndpointSum())
        for peer in peers {
            var account = EndpointAccount()
            account.runs = peer.account.runs
            for run in account.runs {
                all += run.tokens
            }
            once.add(account)
        }
        for peer in peers {
            for run in peer.account.runs where sum.run(run.key) != nil && !sum.counts(run.key) {
                once.omit(run.key, true)
            }
        }
        return Tokens(all) - once.held
    }
}
