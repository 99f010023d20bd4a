// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
public import Units

/// A request as endpoints see it that may take it.
struct Newcomer {
    let sequence: PeakWalk.Sequence
    /// The same if it goes to its bound.
    let longest: PeakWalk.Sequence
    /// What it will hold at its end.
    let whole: Tokens
    let throttleAt: Double
    let slack: Double
    /// What becomes common with it, besides.
    let promoted: Int

    @inline(__always)
    init(_ entry: borrowing Entry, _ policy: borrowing Policy) {
        let limits = policy.classes[entry.trafficClass.index]
        sequence = entry.sequence
        longest = entry.longest
        whole = entry.whole
        promoted = entry.promoted.count
        throttleAt = limits.throttleAt
        slack = limits.boundedSlack
    }

    /// Alone in its prompt.
    init(
        _ sequence: PeakWalk.Sequence, longest: PeakWalk.Sequence, throttleAt: Double, slack: Double
    ) {
        self.sequence = sequence
        self.longest = longest
        whole = sequence.held + sequence.rest
        self.throttleAt = throttleAt
        self.slack = slack
        promoted = 0
    }
}

/// What an endpoint holds at the least and at the most, in two cache lines: only those are looked
/// at closely that may have room, and where much is free not even these. Brought up to date with
/// every change of the endpoint, by `Decider.gauge`. The peak in it may be a few changes old
/// (`PeakWalk.least`), so that one may be passed over that has room by a hair.
struct EndpointGauge: Sendable {
    private(set) var isAvailable = false
    /// Zero where it is not known.
    private(set) var capacity = 0
    /// What others have there, and the prompts and tokens of the own.
    private var resident = 0
    /// Half of what the own are expected to add, where they are many.
    private var half = 0
    private var isMany = false
    /// The peak without a newcomer, of what is expected and by all bounds.
    private var peak = 0
    private var bounded: Int?
    /// What all expect, as if none ended before the last; nil where other gateways have a part.
    private var most: Int?
    /// Of the own sequences, counted beyond what is expected.
    private var excess = 0
    /// From then on each second costs room.
    private var staleness = 0.0
    private(set) var turnoverPerSecond = 0.0
    private(set) var ownTurnoverPerSecond = 0.0
    /// Nobody is there.
    private(set) var isEmpty = true

    init(_ state: borrowing EndpointState, now: Instant) {
        isAvailable = state.isAvailable
        capacity = state.ledger.capacity?.count ?? 0
        let others = state.ledger.others.count
        let beside = state.ledger.beside.count
        resident = beside + state.ledger.resident.count
        isMany = state.walk.count >= PeakWalk.exactly
        half = isMany ? state.ledger.expectedRest.count : 0
        // The peak of all may be lower than a walk of the own: cohorts are coarser.
        if state.shared == nil { peak = beside + (state.common + state.walk.least).count }
        if state.ledger.isFreeOfOthers, state.shared?.sum.bounds.map({ _ in true }) ?? true {
            bounded = others
            if state.shared == nil { bounded = others + (state.common + state.bounds.least).count }
        }
        if state.shared == nil {
            most =
                resident + (state.common + state.ledger.expectedRest).count
                + Self.rounding * state.walk.cohorts.width
        }
        excess = state.excess.count
        staleness = state.ledger.staleness(now)
        turnoverPerSecond = state.turnoverPerSecond
        ownTurnoverPerSecond = state.ownTurnoverPerSecond
        isEmpty = state.ledger.sequences == 0
    }

    /// No less than this is held by all with `newcomer` among them.
    private func least(_ newcomer: PeakWalk.Sequence) -> Int {
        let held = resident + newcomer.held.count
        guard isMany else { return max(peak, held) }
        return max(peak, held + (half + newcomer.rest.count * newcomer.width) / 2)
    }

    private func least(bounding longest: PeakWalk.Sequence) -> Int? {
        bounded.map { max($0, resident + longest.held.count) }
    }

    private func share(_ tokens: Int) -> Double { Double(tokens) / Double(capacity) + staleness }

    /// `EndpointState.load` is no less; infinite where the request does not fit for certain.
    func least(_ newcomer: Newcomer) -> Double {
        guard isAvailable else { return .infinity }
        guard capacity > 0 else { return 0 }
        var share = share(least(newcomer.sequence))
        if share > newcomer.throttleAt, newcomer.slack > 0,
            let bounded = least(bounding: newcomer.longest)
        {
            share = min(share, self.share(bounded) - newcomer.slack)
        }
        share += Double(newcomer.promoted) / Double(capacity)
        return share <= newcomer.throttleAt || isEmpty ? share : .infinity
    }

    /// It has room for certain, however long all take and however late the next scrape is.
    func surelyFits(_ newcomer: Newcomer) -> Bool {
        guard isAvailable else { return false }
        guard capacity > 0 else { return true }
        guard let most else { return false }
        let sequence = newcomer.sequence
        let own = sequence.held.count + (sequence.rest.count + Self.rounding) * sequence.width
        let share = Double(most + own + newcomer.promoted) / Double(capacity)
        return share + EndpointLedger.staleShareLimit <= newcomer.throttleAt
    }

    /// A choice is counted with up to half a block and a token more than it is expected to take.
    private static let rounding = Cohorts.halfBlock + 1

    /// `EndpointState.deficit` is no less; nil where that is.
    func deficit(
        expecting newcomer: PeakWalk.Sequence, under limit: Double,
        bounding longest: PeakWalk.Sequence, within most: Double
    ) -> Tokens? {
        guard capacity > 0 else { return nil }
        let room = { (limit: Double) in Int((limit - staleness) * Double(capacity)) }
        var deficit = least(newcomer) - room(limit)
        if most > limit, let bounded = least(bounding: longest) {
            deficit = min(deficit, bounded - room(most))
        }
        return Tokens(deficit)
    }

    /// `EndpointState.likelyShare` is no less.
    func likelyShare(over limit: Double, slack: Double) -> Double {
        guard capacity > 0 else { return 0 }
        let likely = share(max(peak, resident + half / 2) - excess)
        guard slack > 0, let bounded else { return likely }
        return min(likely, share(bounded) - slack)
    }
}

extension Decider {
    /// Something has changed at the endpoint.
    mutating func gauge(_ endpoint: EndpointID, now: Instant) {
        gauges[endpoint.index] = EndpointGauge(endpoints[endpoint.index], now: now)
        changes += 1
        changedAt[endpoint.index] = changes
    }

    /// Everything may have changed.
    mutating func gaugeAll(now: Instant) {
        changes += 1
        changedAt = Array(repeating: changes, count: endpoints.count)
        for place in endpoints.indices {
            let gauge = EndpointGauge(endpoints[place], now: now)
            if place < gauges.count { gauges[place] = gauge } else { gauges.append(gauge) }
        }
    }
}

extension Decider {
    /// Where a gauge does not bound what a close look at its endpoint finds, for a request with
    /// this prompt and expectation in each class; nil where all do, or by less than `margin` of
    /// the capacity do not. For tests.
    public func unsoundGauge(
        input: Tokens, expected: Tokens, bound: Tokens, margin: Double, now: Instant
    ) -> String? {
        for limits in policy.classes {
            let claim = Newcomer(
                PeakWalk.Sequence(held: input, rest: expected),
                longest: PeakWalk.Sequence(held: input, rest: bound),
                throttleAt: limits.throttleAt, slack: limits.boundedSlack)
            for id in policy.pools[limits.pool.index].endpoints {
                let gauge = gauges[id.index]
                let load = endpoints[id.index].load(claim, now: now)
                guard gauge.isAvailable == endpoints[id.index].isAvailable else {
                    return "\(id): available \(gauge.isAvailable)"
                }
                let (least, fits) = (gauge.least(claim), gauge.surelyFits(claim))
                if gauge.isAvailable, least > (load ?? .infinity) + margin || fits && load == nil {
                    return "\(id): \(least) at least, fits \(fits), \(load as Double?) found"
                }
            }
        }
        return nil
    }
}

extension EndpointState {
    /// The share that is taken when the request goes there, or a measure behind every share:
    /// without a known capacity nothing can be refused, and the fewest tokens in flight win. Nil
    /// where it does not fit.
    func load(_ newcomer: Newcomer, now: Instant) -> Double? {
        let promoted = ledger.capacity.map { Double(newcomer.promoted) / Double($0.count) } ?? 0
        let whole = share(
            expecting: newcomer.sequence, bounding: newcomer.longest,
            over: newcomer.throttleAt - promoted, slack: newcomer.slack, now: now)
        guard let whole else { return 1 + Double(held().count) }
        let share = whole + promoted
        if share <= newcomer.throttleAt { return share }
        return takesAlone(newcomer, now: now) ? 1 : nil
    }

    /// It is too large to be there beside others, and there are none.
    private func takesAlone(_ newcomer: Newcomer, now: Instant) -> Bool {
        !ledger.canHold(newcomer.whole, under: newcomer.throttleAt) && isFreeOfOthers
            && ledger.takesAlone(newcomer.whole, now: now)
    }
}
