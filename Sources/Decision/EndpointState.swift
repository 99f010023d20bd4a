// SPDX-License-Identifier: Apache-2.0

public import Admission
import Policy
public import Routing
public import Units

/// All that is known of one endpoint.
///
/// It is never copied unasked: decisions look at hundreds of them in place, and a copy would cost
/// more than most of what is asked.
public struct EndpointState: ~Copyable, Sendable {
    /// Between two tokens, before an endpoint has shown its pace.
    static let usualPace = Duration.milliseconds(50)

    private static let bunchParts = 8

    /// What holds a value of an unknown type is never loaded as a whole, which the compiler would
    /// do for many a call of a method: it stays where it is, and is looked at there.
    private let pin: any Sendable = ()
    /// How full it is.
    public var ledger: EndpointLedger
    /// The own sequences, at the places that they have in `Decider.seats`.
    var walk = PeakWalk()
    /// The same if all of them go to their bounds.
    var bounds = PeakWalk()
    /// Prompt tokens that several of them hold together, in none of these.
    var common = Tokens.zero
    /// What own sequences are counted with beyond what is expected of them.
    var excess = Tokens.zero
    /// Whether it works.
    public var health: EndpointHealth
    /// How quickly it prefills.
    public internal(set) var prefillRate = PrefillRate()
    /// Uncached prompt tokens of own streams that have not had their first token.
    public internal(set) var committed = Tokens.zero
    /// How many prompt tokens it may take, so that its steps stay within their target.
    public internal(set) var prompts: PromptBudget
    /// The share of its turn that it gets while it is new.
    public internal(set) var ramp: EndpointRamp
    /// It has answered a probe.
    var hasAnswered = false
    /// Own open streams.
    var streams = 0
    /// What other gateways tell of it, and what they leave; nil while nobody shares the store.
    var shared: SharedView?
    /// Prompt tokens sent there to be prefilled, since the beginning.
    var prompted = 0
    /// Between two tokens of one sequence, averaged; nil before the first.
    public private(set) var pace: Duration?
    /// From forwarding to the first token, averaged; nil before the first.
    public private(set) var firstTokenAfter: Duration?
    /// Needs of the open sequences, each divided by the time that it is expected to take, in
    /// thousandths of a token a second. Whole numbers, so that it is zero when all have ended.
    public internal(set) var turnover = 0
    /// When it last delivered a token of ours.
    public internal(set) var lastTokenAt: Instant?
    /// The pool that it serves.
    public private(set) var pool: PoolID
    /// The place of its GPU in the policy, where it shares one.
    public private(set) var gpu: Int?
    /// The configuration does not name it any more: what is there may end, nothing new goes there.
    public private(set) var isRemoved: Bool

    init(_ endpoint: EndpointPolicy, of policy: Policy) {
        ledger = EndpointLedger(
            configuredCapacity: policy.pools[endpoint.pool.index].kvTokens,
            staleAfter: Self.staleAfter(policy.upstream))
        health = EndpointHealth(
            unhealthyAfter: policy.upstream.unhealthyAfter,
            healthyAfter: policy.upstream.healthyAfter)
        let ramp = policy.pools[endpoint.pool.index].ramp
        self.ramp = EndpointRamp(from: ramp.from, over: ramp.over)
        pool = endpoint.pool
        gpu = policy.gpu(of: endpoint.id)
        isRemoved = endpoint.removed
        prompts = PromptBudget(
            target: policy.betweenTokens(of: endpoint.pool),
            share: Self.prefillShare(policy.pools[endpoint.pool.index]),
            perPrompt: policy.pools[endpoint.pool.index].prefillTokensPerSecond.map { 1 / $0 })
    }

    /// As it is at the moment, to be looked at elsewhere.
    init(copying other: borrowing EndpointState) {
        ledger = other.ledger
        walk = other.walk
        bounds = other.bounds
        common = other.common
        excess = other.excess
        health = other.health
        prefillRate = other.prefillRate
        committed = other.committed
        prompts = other.prompts
        ramp = other.ramp
        hasAnswered = other.hasAnswered
        streams = other.streams
        shared = other.shared
        prompted = other.prompted
        pace = other.pace
        firstTokenAfter = other.firstTokenAfter
        turnover = other.turnover
        lastTokenAt = other.lastTokenAt
        pool = other.pool
        gpu = other.gpu
        isRemoved = other.isRemoved
    }

    /// Three readings may be missing before the last one counts as late.
    private static func staleAfter(_ upstream: UpstreamPolicy) -> Duration {
        Duration(nanoseconds: upstream.scrapeInterval.nanoseconds * 3)
    }

    /// The configuration has changed. One that returns to it begins anew, but for what is still
    /// open there.
    mutating func configure(_ endpoint: EndpointPolicy, of policy: Policy) {
        ledger.configure(
            capacity: policy.pools[endpoint.pool.index].kvTokens,
            staleAfter: Self.staleAfter(policy.upstream))
        health.configure(
            unhealthyAfter: policy.upstream.unhealthyAfter,
            healthyAfter: policy.upstream.healthyAfter)
        prompts.configure(
            target: policy.betweenTokens(of: endpoint.pool),
            share: Self.prefillShare(policy.pools[endpoint.pool.index]))
        let ramp = policy.pools[endpoint.pool.index].ramp
        self.ramp.configure(from: ramp.from, over: ramp.over)
        if isRemoved, !endpoint.removed {
            health.restart()
            ledger.forgetReadings()
        }
        pool = endpoint.pool
        gpu = policy.gpu(of: endpoint.id)
        isRemoved = endpoint.removed
    }

    /// New requests may go there.
    public var isAvailable: Bool { health.isAvailable && !isRemoved }

    /// What the own sequences will hold at the worst foreseeable moment, with `newcomer` among
    /// them: for few of them the peak of their expected lengths, which is exact where these are.
    /// For many also half of all that is expected at least, since expectations are means, and the
    /// walk alone, which lets all end in their order, leaves nothing for those that go beyond; and
    /// a quarter of its deviation, which is little for many small ones (fixture A over six times
    /// three seeds: KV peaks 0.84 to 0.88 without it, 0.83 to 0.86 with it).
    func held(adding newcomer: PeakWalk.Sequence? = nil) -> Tokens {
        if let shared {
            let own = heldAlone(adding: newcomer)
            let held = shared.held(walk, newcomer, alone: own, ledger.others)
            return shared.parts > 0 ? held : held + common
        }
        return heldAlone(adding: newcomer)
    }

    private func heldAlone(adding newcomer: PeakWalk.Sequence?) -> Tokens {
        let peak = common + walk.peak(adding: newcomer)
        guard walk.count + (newcomer == nil ? 0 : 1) > PeakWalk.exactly else { return peak }
        var resident = ledger.resident
        var rest = ledger.expectedRest
        if let newcomer {
            resident += newcomer.held
            rest += Tokens(newcomer.rest.count * newcomer.width)
        }
        let half = Tokens((rest.count + 1) / 2)
        let margin = Tokens(walk.deviation(adding: newcomer).count / 4)
        return max(peak, resident + half + margin)
    }

    /// The projected share of its capacity, with `newcomer` among those who are there; nil without
    /// a known capacity.
    func share(adding newcomer: PeakWalk.Sequence?, now: Instant) -> Double? {
        ledger.share(holding: held(adding: newcomer), now: now)
    }

    /// The share that a class's threshold is compared with, with `newcomer` among those who are
    /// there. Where the expected one is over `limit` and the class allows `slack` more to what
    /// cannot be exceeded, the share if all go to their bounds, less the slack, may be less. Nil
    /// without a known capacity.
    func share(
        expecting newcomer: PeakWalk.Sequence, bounding longest: PeakWalk.Sequence,
        over limit: Double, slack: Double, now: Instant
    ) -> Double? {
        let expected = share(adding: newcomer, now: now)
        guard let expected, expected > limit, slack > 0 else { return expected }
        return boundedShare(adding: longest, now: now).map { min(expected, $0 - slack) }
            ?? expected
    }

    /// Tokens by which the newcomer lacks room under `limit`, or, if all go to their bounds,
    /// under `most`.
    func deficit(
        expecting newcomer: PeakWalk.Sequence, under limit: Double,
        bounding longest: PeakWalk.Sequence, within most: Double, now: Instant
    ) -> Tokens? {
        let expected = ledger.deficit(holding: held(adding: newcomer), under: limit, now: now)
        guard let expected, expected > .zero, most > limit, let held = bounded(adding: longest),
            let bounded = ledger.deficit(holding: held, under: most, now: now)
        else { return expected }
        return min(expected, bounded)
    }

    /// The most that all who are there can ever hold; nil where that is not known.
    func bounded(adding longest: PeakWalk.Sequence?) -> Tokens? {
        guard ledger.isFreeOfOthers else { return nil }
        // What nobody can exceed counts in full.
        let own = ledger.givenBack + common
        guard let shared else { return own + bounds.peak(adding: longest) }
        return shared.bounded(bounds, longest).map { $0 + own }
    }

    private func boundedShare(adding longest: PeakWalk.Sequence?, now: Instant) -> Double? {
        bounded(adding: longest).flatMap { ledger.share(holding: $0, now: now) }
    }

    /// Of those who are there, too many will end about when the newcomer would, by an eighth of its
    /// time: more than a quarter over the eighth of `share` of the capacity that a steady stream
    /// has there. They would leave as a wave, and of a wave fewer fit than of a stream.
    func bunches(_ newcomer: PeakWalk.Sequence, under share: Double) -> Bool {
        guard let capacity = ledger.capacity,
            walk.count + (shared?.sum.cohorts.width ?? 0) >= PeakWalk.exactly
        else { return false }
        let whole = walk.companions(
            of: newcomer.rest, within: Self.bunchParts, beside: shared?.sum.cohorts)
        let even = share * Double(capacity.count) / Double(Self.bunchParts)
        return Double(whole.count) > 1.25 * even
    }

    /// The share of its capacity that is projected to be held, everybody's tokens counted: what a
    /// class's thresholds are compared with. Nil without a known capacity.
    public func share(now: Instant) -> Double? { share(adding: nil, now: now) }

    /// Prompts and expected outputs that are open there, and what others hold.
    public var inFlight: Tokens {
        let own = ledger.others + ledger.resident + ledger.expectedRest
        guard let shared else { return own }
        return own + shared.sum.held + shared.sum.cohorts.rest
    }

    /// The same as far as it is expected: whoever was let in because its whole bound fits fills an
    /// endpoint on purpose, and so do all of them within a class's `slack`. What a class's reject
    /// threshold, `limit`, is compared with.
    func likelyShare(over limit: Double, slack: Double, now: Instant) -> Double? {
        guard let share = share(now: now), let capacity = ledger.capacity else { return nil }
        let likely = share - Double(excess.count) / Double(capacity.count)
        guard likely >= limit, slack > 0 else { return likely }
        return boundedShare(adding: nil, now: now).map { min(likely, $0 - slack) } ?? likely
    }

    /// The tokens of that projection, everybody's.
    public var projection: Tokens { ledger.beside + held() }

    /// The rate at which requests like those that are open now are taken in and given back.
    public var turnoverPerSecond: Double {
        Double(turnover + (shared?.sum.turnover ?? 0)) / 1_000
    }

    /// The same of the own ones.
    var ownTurnoverPerSecond: Double { Double(turnover) / 1_000 }

    /// Tokens that sequences of other gateways hold, as these tell.
    public var peerTokens: Tokens { shared?.sum.held ?? .zero }
    /// Tokens for which requests may be let in there without asking the store.
    public var grantedTokens: Tokens { shared?.slack ?? .zero }

    /// Nobody has anything there but the own sequences.
    var isFreeOfOthers: Bool { ledger.isFreeOfOthers && (shared?.isEmpty ?? true) }

    /// What a sequence of `steps` tokens and this `need` adds to `turnover`.
    func turnover(need: Tokens, steps: Int) -> Int {
        let pace = (pace ?? Self.usualPace).seconds
        let takes = (firstTokenAfter?.seconds ?? pace) + Double(steps) * pace
        return Int(Double(need.count) / max(takes, 0.001) * 1_000)
    }

    // MARK: prompts

    /// How much longer the steps there are, where a pace is wanted: seconds until the prompts that
    /// were let in are made up for, and a little for each sequence. Of two endpoints with room the
    /// one with less of it serves both sooner, whatever their caches hold (fixture E at 0.6: of
    /// servegen_mlarge 92.0 % meet their targets for 89.3 %, of servegen_image 89.4 for 87.8).
    func strain(_ now: Instant) -> Double {
        prompts.target == nil
            ? 0 : prompts.untilFull(now) + Self.strainOfSequence * Double(decoding)
    }

    private static let strainOfSequence = 0.002

    /// One more prompt may go there.
    func takesPrompt(_ now: Instant) -> Bool { prompts.takes(isIdle: streams == 0, now: now) }

    /// Until one may.
    func promptWait(_ now: Instant) -> Duration {
        streams == 0 ? .zero : prompts.wait(now)
    }

    /// Prompt tokens before those of one who comes now and whose turn is after `wait`, and how many
    /// are prefilled a second.
    func prefillAhead(waiting wait: Duration) -> (tokens: Tokens, perSecond: Double) {
        let rate = prefillRate.perSecond
        return (max(committedOfAll, Tokens(Int(min(wait.seconds * rate, 1e9)))), rate)
    }

    /// How prompts that begin alike see it, at this load and with this share of its turn.
    func offer(
        of id: EndpointID, share: Double, ramp: Double, now: Instant
    ) -> AffinityChoice.Offer {
        let (committed, rate) = prefillAhead(waiting: promptWait(now))
        return AffinityChoice.Offer(
            endpoint: id, committed: committed, rate: rate * ramp, share: share,
            sequences: decoding)
    }

    /// A sequence has come, has grown or has left.
    mutating func adjustPrompts(_ now: Instant) {
        var resident = ledger.resident + ledger.others + Tokens(ledger.expectedRest.count / 2)
        if let shared { resident += shared.sum.held + Tokens(shared.sum.cohorts.rest.count / 2) }
        prompts.adjust(decoding: decoding, resident: resident, now: now)
    }

    /// Uncached prompt tokens of all gateways' streams that have had no first token.
    var committedOfAll: Tokens { committed + (shared?.sum.committed ?? .zero) }

    /// Sequences of all gateways, as far as they tell.
    var decoding: Int { ledger.sequences + (shared?.sum.cohorts.width ?? 0) }

    /// Tokens that all of them hold, and what is seen of others.
    var residentOfAll: Tokens {
        ledger.resident + ledger.others + (shared?.sum.held ?? .zero)
    }

    mutating func observePace(_ latest: Duration) { pace = Self.average(pace, latest) }

    mutating func observeFirstToken(after latest: Duration) {
        firstTokenAfter = Self.average(firstTokenAfter, latest)
    }

    /// An eighth of the way to the latest.
    private static func average(_ mean: Duration?, _ latest: Duration) -> Duration? {
        guard latest > .zero else { return mean }
        guard let mean else { return latest }
        return Duration(nanoseconds: mean.nanoseconds + (latest - mean).nanoseconds / 8)
    }
}

/// What is kept per pool: the row of refused clients that were told when to return, and what
/// comes besides.
struct PoolState: Sendable {
    /// Prompt tokens that waited for their turn, and for room, when shares moved last.
    var waitedForPrefill = 0
    var waitedForDecode = 0
    var slots = ReturnSlots()
    var flow = ReturnFlow()
}
