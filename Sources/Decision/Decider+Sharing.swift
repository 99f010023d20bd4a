// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Scheduling
import Units

/// Several gateways before the same endpoints.
///
/// Each tells a store what its own sequences hold, in cohorts that can be added up, and is told the
/// others' (`SharedEndpoint`). So each decides by the joint projection; and since two may see the
/// same room, who would take it asks first: a *claim*, granted by the store in one step. While the
/// store is asked for one of a pool's requests, that pool's others wait behind it. Below 0.70 of an
/// endpoint a gateway has some slack, within which it lets in without asking.
///
/// Alone there are no claims: nothing differs from a gateway without a store but the telling.
///
/// Without the store each gateway keeps to one part in as many as there were, beside what scrapes
/// show of the others; and still so for a lease after it has come back, until all have told it.
extension Decider {
    /// Slack is granted up to this share.
    static let easyShare = 0.7
    /// So many requests like the last one are asked for at least.
    private static let slackRequests = 4
    /// After a refusal of what seemed to fit.
    private static let pauseAfterRefusal = Duration.milliseconds(25)

    // MARK: claims

    /// Nothing of the pool is under way to the store.
    func mayDispatch(_ pool: PoolID) -> Bool {
        guard let sharing, pool.index < sharing.claims.count else { return true }
        return sharing.claims[pool.index] == nil
    }

    /// It may go there without asking; what it takes of the slack is taken.
    mutating func cover(_ entry: Entry, at endpoint: EndpointID, now: Instant) -> Bool {
        let place = endpoint.index
        // No copy of it is held: it is changed in place.
        guard sharing?.isShared == true, endpoints[place].ledger.capacity != nil,
            let slack = endpoints[place].shared?.slack,
            let until = endpoints[place].shared?.slackUntil
        else { return true }
        let whole = entry.whole
        sharing?.lines[place].lastNeed = whole
        guard until > now, whole <= slack else { return false }
        sharing?.lines[place].needs += whole
        endpoints[place].shared?.slack -= whole
        return true
    }

    /// The request has begun to wait at a moment at which it might go. True when nothing but the
    /// store is in its way, or it has gone.
    mutating func claims(
        for ticket: Ticket, _ entry: Entry, now: Instant, into actions: inout [Action]
    ) -> Bool {
        guard sharing?.isShared == true, mayDispatch(entry.pool) else { return false }
        dispatch(entry.pool, now: now, into: &actions)
        if case .queued = entries[ticket]?.stage {
            guard sharing?.claims[entry.pool.index]?.ticket == ticket else { return false }
            sharing?.claims[entry.pool.index]?.isQuiet = true
        }
        return true
    }

    /// Asks the store for the room that the claim is about, unless others should have it first.
    mutating func ask(
        for claim: SharedClaim, _ entry: Entry, now: Instant, into actions: inout [Action]
    ) {
        let (place, pool) = (claim.endpoint.index, entry.pool.index)
        guard let line = sharing?.lines[place], line.pending == nil, line.refusedUntil <= now,
            !yields(entry, now: now)
        else { return }
        guard knowsTurns(entry.pool, now: now) else {
            exchange(claim.endpoint, hasReport: true, now: now, into: &actions)
            return
        }
        sharing?.yieldsSince[pool] = nil
        var claim = claim
        claim.number = exchange(
            claim.endpoint, want: want(entry, at: claim.endpoint, now: now), hasReport: true,
            now: now, into: &actions)
        sharing?.claims[pool] = claim
    }

    /// What is known of those who wait elsewhere has just come; else one looks once more before it
    /// claims, since somebody there may have had a turn meanwhile.
    private func knowsTurns(_ pool: PoolID, now: Instant) -> Bool {
        guard let sharing, hasBacklogElsewhere(pool) else { return true }
        return sharing.reportsAt == now
    }

    /// What those may hold who tell of themselves.
    func room(at endpoint: EndpointID, under share: Double, now: Instant) -> Tokens {
        let ledger = endpoints[endpoint.index].ledger
        let deficit = ledger.deficit(holding: .zero, under: share, now: now)
        return max(.zero, .zero - (deficit ?? .zero))
    }

    /// The store has answered the claim on this exchange.
    @discardableResult
    private mutating func settleClaim(
        _ number: Int, isGranted: Bool, now: Instant, into actions: inout [Action]
    ) -> Bool {
        guard
            let pool = sharing?.claims.firstIndex(where: { $0?.number == number }),
            let claim = sharing?.claims[pool]
        else { return false }
        sharing?.claims[pool] = nil
        let place = claim.endpoint.index
        if let entry = entries[claim.ticket], case .queued(let seat) = entry.stage,
            entry.pool.index == pool
        {
            if isGranted, endpoints[place].isAvailable,
                gpuTakes(clamped(entry, at: claim.endpoint, now: now), at: claim.endpoint, now: now)
            {
                sharing?.lines[place].needs += entry.whole
                pass(claim.passed)
                forward(claim.ticket, entry, to: claim.endpoint, now: now, into: &actions)
                leaveQueue(entry, seat)
            } else {
                if claim.isQuiet { actions.append(.queued(entry.request)) }
                sharing?.lines[place].refusedUntil = now + Self.pauseAfterRefusal
            }
        } else if isGranted {
            sharing?.lines[place].hasFreed = true
        }
        return isGranted
    }

    // MARK: exchanges

    /// Tells the store of an endpoint. The number of the exchange.
    @discardableResult
    mutating func exchange(
        _ endpoint: EndpointID, want: SharedEndpoint.Want? = nil, hasReport: Bool,
        now: Instant, into actions: inout [Action]
    ) -> Int {
        refreshRuns(endpoint)
        guard var sharing else { return 0 }
        sharing.number += 1
        if sharing.heardAt == nil { sharing.heardAt = now }
        var line = sharing.lines[endpoint.index]
        let used = 2 * line.needs.count
        line.askedSlack =
            line.needs > .zero || want != nil
            ? Tokens(max(Self.slackRequests * line.lastNeed.count, used))
            : Tokens(line.askedSlack.count / 2)
        line.needs = .zero
        line.hasFreed = false
        line.toldAt = now
        line.pending = (sharing.number, now)
        sharing.lines[endpoint.index] = line
        self.sharing = sharing
        actions.append(
            .exchange(
                ExchangeAsk(
                    number: sharing.number, endpoint: endpoint,
                    ask: SharedEndpoint.Ask(
                        account(of: endpoint), want: want, slack: line.askedSlack,
                        easy: room(at: endpoint, under: Self.easyShare, now: now)),
                    report: hasReport ? report(now: now) : nil)))
        return sharing.number
    }

    mutating func exchanged(
        _ answer: ExchangeAnswer, now: Instant, into actions: inout [Action]
    ) {
        // One that comes after its deadline has been given up.
        guard
            let place = sharing?.lines.firstIndex(where: { $0.pending?.number == answer.number })
        else { return }
        sharing?.lines[place].pending = nil
        heard(now)
        if let reports = answer.reports { take(reports, now: now) }
        take(answer.reply, at: EndpointID(place), now: now)
        let isTaken = settleClaim(
            answer.number, isGranted: answer.reply.isGranted, now: now, into: &actions)
        dispatchAround(endpoints[place].pool, now: now, into: &actions)
        // Who had a turn is told at once, unless the next claim tells it.
        if isTaken, sharing?.lines[place].pending == nil, hasBacklogElsewhere(endpoints[place].pool)
        {
            exchange(EndpointID(place), hasReport: true, now: now, into: &actions)
        }
    }

    private mutating func take(
        _ reply: SharedEndpoint.Reply, at endpoint: EndpointID, now: Instant
    ) {
        guard let shared = sharing, shared.isShared, let view = endpoints[endpoint.index].shared
        else { return }
        let wasSilent = view.peers.isEmpty
        let sent = meet(reply.peers, at: endpoint)
        endpoints[endpoint.index].shared?.slack = reply.slack
        endpoints[endpoint.index].shared?.slackUntil = now + shared.policy.lease
        if wasSilent, view.isNew {
            let certain = reply.peers.reduce(Tokens.zero) { $0 + $1.account.certain }
            endpoints[endpoint.index].ledger.tellApart(certain)
            endpoints[endpoint.index].shared?.isNew = false
        }
        if sent > .zero {
            endpoints[endpoint.index].prompts.admit(sent, now: now)
            prefixes.prefill(sent, on: endpoint)
        }
        let wait = shared.policy.refresh + SharingPolicy.beat
        if let seen = endpoints[endpoint.index].shared?.understood(now, after: wait) {
            endpoints[endpoint.index].ledger.settle(
                seen.0, least: seen.least, most: seen.most, now: now)
        }
        gauge(endpoint, now: now)
    }

    mutating func exchangeFailed(_ number: Int, now: Instant, into actions: inout [Action]) {
        guard let place = sharing?.lines.firstIndex(where: { $0.pending?.number == number })
        else { return }
        sharing?.lines[place].pending = nil
        settleClaim(number, isGranted: false, now: now, into: &actions)
        checkStore(now)
        dispatchAround(endpoints[place].pool, now: now, into: &actions)
    }

    // MARK: scrapes

    mutating func asked(_ endpoint: EndpointID) {
        endpoints[endpoint.index].ledger.asked()
        if sharing?.isShared == true { endpoints[endpoint.index].shared?.asked() }
    }

    mutating func read(_ reading: EngineReading, at endpoint: EndpointID, now: Instant) {
        guard sharing?.isShared == true else {
            return endpoints[endpoint.index].ledger.read(reading, now: now)
        }
        guard let sighting = endpoints[endpoint.index].ledger.sight(reading, now: now) else {
            return
        }
        endpoints[endpoint.index].shared?.saw(sighting, now: now)
    }
}
