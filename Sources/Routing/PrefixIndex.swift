// SPDX-License-Identifier: Apache-2.0

public import Units

/// Which endpoint has lately prefilled which block of text: a hint about the engines' prefix
/// caches, learnt from where requests were sent.
///
/// One table of fixed size, in sets of four entries as a processor's cache has them: an entry for a
/// new block takes the place of the one in its set that was used longest ago. An entry knows up to
/// four endpoints, and is presumed evicted from one that has since prefilled more uncached tokens
/// than its KV cache holds. A block of which more than half of all requests begin gives no
/// preference: every endpoint has it, or will have it with its next request.
///
/// Memory: 40 bytes a block, 42 MB for 2^20 of them, whatever comes.
public struct PrefixIndex: Sendable {
    /// An endpoint on which blocks of a prompt are presumed cached.
    public struct Warm: Sendable, Equatable {
        public var endpoint: EndpointID
        /// Leading blocks of the prompt, common ones included.
        public var blocks: Int
    }

    /// What is known of a prompt.
    public struct Match: Sendable, Equatable {
        /// Leading blocks that most requests begin with.
        public var common = 0
        /// Endpoints that have more than those; the best of them has the most blocks.
        public private(set) var warm = [4 of Warm](
            repeating: Warm(endpoint: EndpointID(0), blocks: 0))
        /// How many of `warm` are meant.
        public private(set) var count = 0

        /// Nothing is known.
        public init() {}

        mutating func add(_ endpoint: EndpointID, blocks: Int) {
            warm[count] = Warm(endpoint: endpoint, blocks: blocks)
            count += 1
        }

        mutating func extend(_ place: Int) { warm[place].blocks += 1 }

        /// Blocks of the prompt on `endpoint`; the common ones where nothing more is known.
        public func blocks(on endpoint: EndpointID) -> Int {
            for place in 0..<count where warm[place].endpoint == endpoint {
                return warm[place].blocks
            }
            return common
        }

        /// Tokens of a prompt of `tokens` with this prefix that `endpoint` presumably need not
        /// prefill.
        public func cached(of prefix: PromptPrefix, tokens: Tokens, on endpoint: EndpointID)
            -> Tokens
        {
            let bytes = blocks(on: endpoint) * PrefixMeter.blockBytes
            let part = Double(bytes) / Double(max(prefix.textBytes, bytes, 1))
            return Tokens(Int(Double(tokens.count) * part))
        }

        public static func == (left: Match, right: Match) -> Bool {
            guard left.common == right.common, left.count == right.count else { return false }
            for place in 0..<left.count where left.warm[place] != right.warm[place] {
                return false
            }
            return true
        }
    }

    private struct Entry {
        var block: UInt64 = 0
        /// The request that used it last; the numbers wrap.
        var used: UInt32 = 0
        /// Uses in the present and, fading by halves, the past periods.
        var uses: UInt16 = 0
        /// The period in which `uses` was brought up to date.
        var period: UInt16 = 0
        /// Endpoints that have it, newest first; `nobody` where there are fewer.
        var endpoints = [4 of UInt16](repeating: Entry.nobody)
        /// What the endpoint had prefilled then, in `grain`s; wraps.
        var stamps = [4 of UInt32](repeating: 0)

        static let nobody = UInt16.max

        mutating func use(_ uses: UInt16, period: UInt16, request: UInt32) {
            self.uses = uses
            self.period = period
            used = request
        }

        /// To the front, those before its old place one further back; the last one falls out.
        mutating func hold(_ endpoint: UInt16, _ stamp: UInt32) {
            var holder = 0
            while holder < 3, endpoints[holder] != endpoint { holder += 1 }
            while holder > 0 {
                endpoints[holder] = endpoints[holder - 1]
                stamps[holder] = stamps[holder - 1]
                holder -= 1
            }
            endpoints[0] = endpoint
            stamps[0] = stamp
        }
    }

    /// What an endpoint has prefilled, and how much of that its cache remembers, in `grain`s.
    private struct Cache {
        var prefilled: UInt64 = 0
        var capacity: UInt64 = .max

        /// So far back its blocks are presumed there. Where the capacity is not known, four
        /// thousand million tokens, a sixteenth of what stamps can tell apart.
        var reach: UInt64 { min(capacity, 1 << 28) }
    }

    private static let setSize = 4
    /// Tokens in which prefilled work is counted.
    private static let grain = 16
    /// Requests in a period.
    private static let periodLength = 1_024
    /// So many requests must have been seen before a block can be common.
    private static let leastSeen = 64

    private var entries: [Entry]
    private let setMask: Int
    private var caches: [Cache] = []
    private var requests = 0
    /// Requests of the present and, fading by halves, the past periods.
    private var weight = 0

    /// Room for about `blocks` blocks, rounded up to a power of two.
    public init(blocks: Int) {
        var sets = 1
        while sets * Self.setSize < blocks { sets *= 2 }
        setMask = sets - 1
        entries = Array(repeating: Entry(), count: sets * Self.setSize)
    }

    /// Blocks that there is room for.
    public var capacity: Int { entries.count }

    /// Tells how many tokens the cache of `endpoint` holds; nil when that is not known.
    public mutating func configure(_ endpoint: EndpointID, capacity: Tokens?) {
        grow(to: endpoint)
        caches[endpoint.index].capacity =
            capacity.map { UInt64(max($0.count, 0) / Self.grain) } ?? .max
    }

    /// `endpoint` has lost all that it had: its process is a new one.
    public mutating func forget(_ endpoint: EndpointID) {
        grow(to: endpoint)
        // As if more than its cache holds had been prefilled since whatever was noted.
        caches[endpoint.index].prefilled += caches[endpoint.index].reach + 1
    }

    /// `endpoint` is going to prefill `tokens` that it does not have.
    public mutating func prefill(_ tokens: Tokens, on endpoint: EndpointID) {
        grow(to: endpoint)
        caches[endpoint.index].prefilled +=
            UInt64(max(tokens.count, 0) + Self.grain - 1)
            / UInt64(Self.grain)
    }

    private mutating func grow(to endpoint: EndpointID) {
        while caches.count <= endpoint.index { caches.append(Cache()) }
    }

    // MARK: ask

    /// What is known of a prompt whose blocks are `blocks`, first one first. Changes nothing.
    public func match(_ blocks: [UInt64]) -> Match {
        var match = Match()
        var place = 0
        while place < blocks.count, let entry = entry(of: blocks[place]), isCommon(entry) {
            place += 1
        }
        match.common = place
        guard place < blocks.count, let first = entry(of: blocks[place]) else { return match }
        for holder in 0..<4 where isHeld(first, holder) {
            match.add(EndpointID(Int(first.endpoints[holder])), blocks: place + 1)
        }
        extend(&match, blocks, from: place + 1)
        return match
    }

    /// An endpoint has as many blocks as follow each other without a gap.
    private func extend(_ match: inout Match, _ blocks: [UInt64], from start: Int) {
        var running = match.count
        var place = start
        while running > 0, place < blocks.count, let entry = entry(of: blocks[place]) {
            running = 0
            for holder in 0..<4 where isHeld(entry, holder) {
                let endpoint = EndpointID(Int(entry.endpoints[holder]))
                for warm in 0..<match.count
                where match.warm[warm].endpoint == endpoint && match.warm[warm].blocks == place {
                    match.extend(warm)
                    running += 1
                }
            }
            place += 1
        }
    }

    private func entry(of block: UInt64) -> Entry? {
        let set = set(of: block)
        for place in set..<set + Self.setSize where entries[place].block == block {
            return entries[place]
        }
        return nil
    }

    private func set(of block: UInt64) -> Int {
        (Int(truncatingIfNeeded: block >> 20) & setMask) * Self.setSize
    }

    private func isHeld(_ entry: Entry, _ holder: Int) -> Bool {
        let endpoint = entry.endpoints[holder]
        guard endpoint != Entry.nobody, Int(endpoint) < caches.count else { return false }
        let cache = caches[Int(endpoint)]
        let since = UInt32(truncatingIfNeeded: cache.prefilled) &- entry.stamps[holder]
        return UInt64(since) <= cache.reach
    }

    private func isCommon(_ entry: Entry) -> Bool {
        weight >= Self.leastSeen && 2 * faded(entry) > weight
    }

    private func faded(_ entry: Entry) -> Int {
        let periods = period &- entry.period
        return periods > 15 ? 0 : Int(entry.uses) >> Int(periods)
    }

    private var period: UInt16 { UInt16(truncatingIfNeeded: requests / Self.periodLength) }

    // MARK: learn

    /// A request with these blocks was sent to `endpoint`.
    public mutating func note(_ blocks: [UInt64], on endpoint: EndpointID) {
        grow(to: endpoint)
        requests += 1
        weight = requests % Self.periodLength == 0 ? weight / 2 + 1 : weight + 1
        let stamp = UInt32(truncatingIfNeeded: caches[endpoint.index].prefilled)
        guard endpoint.index < Int(Entry.nobody) else { return }
        for block in blocks {
            let place = room(for: block)
            // Nothing of `self` may be asked while an entry is changed: the table would be copied.
            let uses = UInt16(min(faded(entries[place]) + 1, Int(UInt16.max)))
            let (period, used) = (period, UInt32(truncatingIfNeeded: requests))
            entries[place].use(uses, period: period, request: used)
            entries[place].hold(UInt16(endpoint.index), stamp)
        }
    }

    /// Where the entry of `block` is, or will be.
    private mutating func room(for block: UInt64) -> Int {
        let set = set(of: block)
        var oldest = set
        var age: UInt32 = 0
        let now = UInt32(truncatingIfNeeded: requests)
        for place in set..<set + Self.setSize {
            if entries[place].block == block { return place }
            let unused = entries[place].block == 0 ? UInt32.max : now &- entries[place].used
            if unused > age {
                age = unused
                oldest = place
            }
        }
        entries[oldest] = Entry()
        entries[oldest].block = block
        entries[oldest].period = period
        return oldest
    }
}
