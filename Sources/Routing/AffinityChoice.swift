// SPDX-License-Identifier: Apache-2.0

public import Units

/// Chooses among endpoints that have room: where a prompt is warm, unless it would wait too long
/// there.
///
/// The unit is seconds. An endpoint's delay is the time until this prompt would be prefilled there:
/// the uncached tokens that it has before it and this prompt's own, by its prefill rate. The prompt
/// stays on the warmest endpoint until the delay there exceeds the best other one's by `gate`.
/// Where nobody is warm, its first block that is not common chooses by rendezvous hashing (Thaler,
/// Ravishankar, 1998) among those whose load is at most 1.25 times the mean (Mirrokni, Thorup,
/// Zadimoghaddam, 2018), so that prompts that begin alike meet again. Prompts too short for a block
/// go where the delay is least.
///
/// Every endpoint is offered once; `settled` is then the choice, or `hashed` makes it. No memory is
/// allocated, and nothing is copied: each offer would pay for that.
public struct AffinityChoice: ~Copyable, Sendable {
    /// What is known of an endpoint that has room.
    public struct Offer: Sendable {
        public var endpoint: EndpointID
        /// Uncached prompt tokens in flight there: admitted, no first token yet.
        public var committed: Tokens
        /// Uncached prompt tokens that it prefills a second.
        public var rate: Double
        /// Projected share of its KV cache; breaks ties, and counts a little besides: who decodes
        /// much is slower.
        public var share: Double
        /// Open sequences: their decoding is a load too, which one hot prefix must not pile up.
        public var sequences: Int

        public init(
            endpoint: EndpointID, committed: Tokens, rate: Double, share: Double,
            sequences: Int = 0
        ) {
            self.endpoint = endpoint
            self.committed = committed
            self.rate = rate
            self.share = share
            self.sequences = sequences
        }
    }

    /// Seconds that a full cache counts for.
    private static let fullCache = 0.1
    /// How far above the mean a load may be for hashing to choose it.
    private static let bound = 1.25
    /// Shares that differ by less than this are alike.
    private static let shareMargin = 0.02
    /// Where fewer decode, a step takes hardly longer for one more.
    private static let manySequences = 8.0
    /// The newcomer, and one that will have ended by then.
    private static let oneMore = 2.0

    private struct Warm {
        var endpoint = EndpointID(0)
        var blocks = 0
        var score = 0.0
        var sequences = 0

        func isBefore(_ other: Warm) -> Bool {
            blocks == other.blocks ? score < other.score : blocks > other.blocks
        }
    }

    private let match: PrefixIndex.Match
    private let prefix: PromptPrefix
    private let tokens: Tokens
    private let prompt: Double
    private let gate: Double
    private let key: UInt64?

    private var offers = 0
    private var load = 0.0
    private var shares = 0.0
    private var least: (endpoint: EndpointID, score: Double)?
    private var sequences = 0
    /// Where it is warm.
    private var warm = [4 of Warm](repeating: Warm())
    private var warmCount = 0

    /// A prompt of `prompt` tokens that begins with `prefix`; `match` is what the index knows of
    /// that.
    public init(
        _ match: PrefixIndex.Match, _ prefix: PromptPrefix, prompt: Tokens, gate: Duration
    ) {
        self.match = match
        self.prefix = prefix
        tokens = prompt
        self.prompt = Double(prompt.count)
        self.gate = gate.seconds
        key = match.common < prefix.blocks.count ? prefix.blocks[match.common] : nil
    }

    /// What endpoints are compared by: seconds until a prompt of which so many tokens are not
    /// cached there is prefilled, and a little for who decodes much.
    public static func delay(of offer: Offer, uncached: Double) -> Double {
        Double(offer.committed.count) / offer.rate + uncached / offer.rate
            + offer.share * fullCache
    }

    /// The first of two passes.
    public mutating func offer(_ offer: Offer) {
        offers += 1
        let committed = Double(offer.committed.count) / offer.rate
        load += committed
        shares += offer.share
        sequences += offer.sequences
        let cached = match.cached(of: prefix, tokens: tokens, on: offer.endpoint)
        let score = Self.delay(of: offer, uncached: prompt - Double(cached.count))
        if least == nil || score < least?.score ?? .infinity { least = (offer.endpoint, score) }
        let blocks = match.blocks(on: offer.endpoint)
        guard match.count > 0, blocks > match.common, warmCount < warm.count else { return }
        warm[warmCount] = Warm(
            endpoint: offer.endpoint, blocks: blocks, score: score, sequences: offer.sequences)
        warmCount += 1
    }

    /// The endpoint that is warm enough, or, where hashing has to choose, nil: then each offer is
    /// to be given to `hashed` once more.
    public var settled: EndpointID? {
        guard let least else { return nil }
        var warmest: Warm?
        for place in 0..<warmCount where !isCrowded(warm[place].sequences) {
            if warmest.map({ warm[place].isBefore($0) }) ?? true { warmest = warm[place] }
        }
        if let warmest {
            return warmest.score <= least.score + gate ? warmest.endpoint : least.endpoint
        }
        return key == nil || offers == 1 ? least.endpoint : nil
    }

    /// Many more decode there than elsewhere.
    private func isCrowded(_ open: Int) -> Bool {
        let mean = Double(sequences) / Double(max(offers, 1))
        return mean >= Self.manySequences && Double(open) > Self.bound * mean + Self.oneMore
    }

    /// How well hashing likes an endpoint; nil where it has too much to do. The highest one wins;
    /// where all are nil the least delay, `fallback`, does.
    public func hashed(_ offer: Offer) -> UInt64? {
        guard let key else { return nil }
        let own = prompt / offer.rate
        let mean = (load + own) / Double(max(offers, 1))
        let committed = Double(offer.committed.count) / offer.rate
        guard committed + own <= max(Self.bound * mean, own) + 1e-9 else { return nil }
        // Its sequences will be decoded there as well: no cache may fill much before the others.
        let share = shares / Double(max(offers, 1))
        guard offer.share <= Self.bound * share + Self.shareMargin,
            !isCrowded(offer.sequences)
        else { return nil }
        return PrefixHash.mix(key, UInt64(offer.endpoint.index) &* 0x9E37_79B9_7F4A_7C15)
    }

    /// The endpoint with the least delay.
    public var fallback: EndpointID? { least?.endpoint }
}
