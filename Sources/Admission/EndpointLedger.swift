// SPDX-License-Identifier: Apache-2.0

public import Units

/// What one endpoint's KV cache holds and will hold, as far as the gateway knows.
///
/// Two sources, and neither is enough: a scrape sees everybody's sequences but is late, the own
/// account is exact at once but sees only what this gateway sent. So a scrape is used for the
/// others' share alone: what it shows beyond the own account. That account is not known for the
/// very moment at which the engine looked, and prompts that wait in the engine are in no cache yet;
/// so the own share of a reading is known within bounds. Inside these bounds the last belief about
/// the others stands, outside it moves to the nearer bound: nothing is counted twice, whatever
/// began, grew or ended while the scrape was under way.
///
/// What a reading lacks of the own account is given back slowly: `LedgerError`.
///
/// A scrape that stays away neither fills nor empties the endpoint: the own account stands, the
/// others' share stands, and the room shrinks slowly.
public struct EndpointLedger: Sendable {
    /// Share of the capacity that is lost for each second without a scrape.
    public static let staleSharePerSecond = 0.01
    /// The most that is lost so.
    public static let staleShareLimit = 0.15
    /// The share of an empty endpoint that one request may take, whatever its class's threshold:
    /// with nobody beside it, only its own length is uncertain.
    public static let aloneLimit = 0.98
    /// Own tokens of each sequence that a scrape may show beyond the own account: engines hand out
    /// their caches in blocks (vLLM: 16 tokens), and the last tokens were not reported yet.
    public static let unseenPerSequence = 16
    /// What an engine says beyond this many tokens is nonsense, and is cut off here.
    private static let most = 1 << 40

    /// What holds a value of an unknown type is looked at where it stands, and not copied for it.
    private let pin: any Sendable = ()

    /// KV tokens of the endpoint; nil while neither engine nor operator has told.
    public var capacity: Tokens? { toldCapacity ?? configuredCapacity }
    /// Prompts and streamed tokens of the own open sequences.
    public private(set) var resident = Tokens.zero
    /// What the own open sequences are expected to add.
    public private(set) var expectedRest = Tokens.zero
    /// Prompt tokens of own sequences that have not had their first token.
    public private(set) var prefilling = Tokens.zero
    /// Own open sequences.
    public private(set) var sequences = 0
    /// Tokens that scrapes showed beyond the own account.
    public private(set) var others = Tokens.zero
    /// The last scrape, and when it came.
    public private(set) var reading: EngineReading?
    /// When the last scrape came, whatever it told.
    public private(set) var readAt: Instant?

    private var configuredCapacity: Tokens?
    private var toldCapacity: Tokens?
    private var staleAfter: Duration
    /// When a scrape last told how full the cache is.
    private var toldAt: Instant?
    /// Own tokens that were in the cache for certain when the engine was asked.
    private var certain = Tokens.zero
    /// Own tokens that have left since.
    private var left = Tokens.zero
    /// Own tokens that have left since the beginning.
    public private(set) var released = 0
    /// Own sequences that have had their first token: now, when the engine was asked, and of these
    /// those that have left since.
    private var begun = 0
    private var certainlyRunning = 0
    private var ended = 0
    /// How far the account is from what the engine reports.
    public private(set) var error = LedgerError()
    /// Whether what an engine lacks is given back; a simulation may do without.
    public var givesBack = true

    /// `staleAfter`: how old a reading may be before it counts as late, usually a few scrape
    /// intervals.
    public init(configuredCapacity: Tokens?, staleAfter: Duration) {
        self.configuredCapacity = configuredCapacity
        self.staleAfter = staleAfter
    }

    /// The configuration has changed; what is known of the engine stays.
    public mutating func configure(capacity: Tokens?, staleAfter: Duration) {
        configuredCapacity = capacity
        self.staleAfter = staleAfter
    }

    /// Whatever was read is of no use any more: the engine was out of sight. The own account stays.
    public mutating func forgetReadings() {
        toldCapacity = nil
        toldAt = nil
        reading = nil
        readAt = nil
        others = .zero
        error = LedgerError()
        mark()
    }

    // MARK: what it says

    /// KV tokens expected to be held by many sequences at the worst foreseeable moment: everyone's
    /// resident tokens and half of the own expected rest, since they end at different times. Those
    /// that end together hold more: see `PeakWalk`.
    public var projection: Tokens {
        beside + resident + Tokens((expectedRest.count + 1) / 2)
    }

    /// Own tokens that the engine has been seen to lack.
    public var givenBack: Tokens {
        givesBack ? error.givenBack(released: released) : .zero
    }

    /// What counts beside the own account: others' tokens, less what this one is too large by.
    public var beside: Tokens { others - givenBack }

    /// What a request adds to the projection, at most.
    public static func need(input: Tokens, expectedOutput: Tokens) -> Tokens {
        input + Tokens((expectedOutput.count + 1) / 2)
    }

    /// The projection as a share of the capacity, with `need` added; nil without a known capacity.
    public func share(adding need: Tokens, now: Instant) -> Double? {
        guard let capacity, capacity > .zero else { return nil }
        return Double((projection + need).count) / Double(capacity.count) + staleness(now)
    }

    /// Tokens by which a request of `need` is over `limit`, a share of the capacity; zero or less
    /// when it fits. Nil without a known capacity.
    public func deficit(of need: Tokens, under limit: Double, now: Instant) -> Tokens? {
        guard let capacity, capacity > .zero else { return nil }
        let allowed = (limit - staleness(now)) * Double(capacity.count)
        return projection + need - Tokens(Int(allowed))
    }

    /// The share of the capacity that is taken when the own sequences hold `own` of it; nil without
    /// a known capacity.
    public func share(holding own: Tokens, now: Instant) -> Double? {
        guard let capacity, capacity > .zero else { return nil }
        return Double((beside + own).count) / Double(capacity.count) + staleness(now)
    }

    /// Tokens by which the same is over `limit`, a share of the capacity; zero or less within it.
    /// Nil without a known capacity.
    public func deficit(holding own: Tokens, under limit: Double, now: Instant) -> Tokens? {
        guard let capacity, capacity > .zero else { return nil }
        let allowed = (limit - staleness(now)) * Double(capacity.count)
        return beside + own - Tokens(Int(allowed))
    }

    /// `tokens` are within `limit`, a share of the capacity, on the endpoint when it is empty. True
    /// without a known capacity.
    public func canHold(_ tokens: Tokens, under limit: Double) -> Bool {
        guard let capacity, capacity > .zero else { return true }
        return Double(tokens.count) <= limit * Double(capacity.count)
    }

    /// Nobody else has anything there but what `aloneLimit` leaves: engines keep a few blocks for
    /// themselves, and a reading is rounded.
    public var isFreeOfOthers: Bool {
        guard let capacity else { return others == .zero }
        return Double(others.count) <= (1 - Self.aloneLimit) * Double(capacity.count)
    }

    /// The endpoint is empty, and one request that will hold `whole` at its end may have it for
    /// itself. False without a known capacity.
    public func takesAlone(_ whole: Tokens, now: Instant) -> Bool {
        guard let capacity, capacity > .zero, sequences == 0, isFreeOfOthers else { return false }
        return canHold(whole, under: Self.aloneLimit - staleness(now))
    }

    /// The share of the capacity that is not trusted because no scrape came. An engine that never
    /// told how full it is cannot be late.
    public func staleness(_ now: Instant) -> Double {
        guard let toldAt else { return 0 }
        let late = (now - toldAt) - staleAfter
        guard late > .zero else { return 0 }
        return min(Self.staleShareLimit, Self.staleSharePerSecond * late.seconds)
    }

    // MARK: the own account

    /// A sequence goes to the endpoint, where others hold `common` of its prompt already.
    public mutating func admit(
        input: Tokens, expectedOutput: Tokens, common: Tokens = .zero
    ) {
        resident += input - common
        expectedRest += expectedOutput
        prefilling += input
        sequences += 1
    }

    /// A sequence with this prompt has had its first token: all of its prompt is in the cache.
    public mutating func firstToken(input: Tokens) {
        prefilling -= input
        begun += 1
    }

    /// A sequence has grown by `tokens`; its expected rest changed from `before` to `after`.
    public mutating func grow(by tokens: Tokens, rest before: Tokens, to after: Tokens) {
        resident += tokens
        expectedRest += after - before
    }

    /// A sequence ended or left: what it held, what it was still expected to add, and its prompt
    /// where no token had come.
    public mutating func release(resident held: Tokens, rest: Tokens, prefilling prompt: Tokens) {
        resident -= held
        expectedRest -= rest
        prefilling -= prompt
        sequences -= 1
        left += held
        released += held.count
        if prompt == .zero, begun > 0 {
            begun -= 1
            ended += 1
        }
        invariant(
            resident >= .zero && expectedRest >= .zero && prefilling >= .zero && sequences >= 0,
            "a ledger gives back what it took")
    }

    // MARK: scrapes

    /// The engine is being asked: its answer will speak of a moment from now on. Without this call
    /// it may speak of any moment since the last reading.
    public mutating func asked() { mark() }

    /// What a reading shows beyond the own account, within bounds.
    public struct Sighting: Sendable, Equatable {
        var surely: Tokens
        var possibly: Tokens
        /// Own tokens that should have been there.
        var certain: Tokens
        /// It is no older than the question, and nothing was pushed out of the cache: what lacks
        /// was never there.
        var isSound: Bool
    }

    /// The engine has answered. What it did not tell stays as it was.
    public mutating func read(_ new: EngineReading, now: Instant) {
        if let sighting = sight(new, now: now) { settle(sighting, now: now) }
    }

    /// The same, while what other gateways hold is told apart: `settle` follows once it is known
    /// what they held at the time. Nil where the engine did not tell.
    public mutating func sight(_ new: EngineReading, now: Instant) -> Sighting? {
        defer { mark() }
        reading = new
        readAt = now
        if let told = new.capacityTokens, told > .zero {
            toldCapacity = min(told, Tokens(Self.most))
        }
        guard let used = used(new) else { return nil }
        toldAt = now
        let unseen = Tokens(Self.unseenPerSequence * sequences)
        return Sighting(
            surely: used - (resident + left + unseen),
            possibly: used - max(.zero, certain - left), certain: max(.zero, certain - left),
            isSound: isSound(new, used))
    }

    /// Of what was sighted, other gateways that tell of themselves had from `least` to `most`.
    public mutating func settle(
        _ sighting: Sighting, least: Tokens = .zero, most: Tokens = .zero, now: Instant
    ) {
        let surely = sighting.surely - most
        let possibly = sighting.possibly - least
        others = max(.zero, min(max(others, surely), possibly))
        error.observe(
            missing: sighting.isSound ? max(.zero, .zero - possibly) : .zero,
            of: sighting.certain + least, others: others, capacity: capacity ?? .zero,
            released: released, now: now)
    }

    /// Engines whose metrics are old do not show all sequences that run, and those that have pushed
    /// some out are full.
    private func isSound(_ reading: EngineReading, _ used: Tokens) -> Bool {
        guard let capacity else { return false }
        return reading.running >= certainlyRunning - ended
            && Double(used.count) <= LedgerError.full * Double(capacity.count)
    }

    /// So much of the others' share is told by themselves from now on.
    public mutating func tellApart(_ tokens: Tokens) { others = max(.zero, others - tokens) }

    private func used(_ reading: EngineReading) -> Tokens? {
        if let tokens = reading.usedTokens { return min(max(tokens, .zero), Tokens(Self.most)) }
        guard let usage = reading.usage, usage.isFinite, let capacity else { return nil }
        return Tokens(Int(min(max(usage, 0), 1) * Double(capacity.count)))
    }

    private mutating func mark() {
        certain = resident - prefilling
        left = .zero
        certainlyRunning = begun
        ended = 0
    }
}
