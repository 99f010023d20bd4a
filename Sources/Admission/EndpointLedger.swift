// SPDX-License-Identifier: Apache-2.0

package import Units

/// What one endpoint's KV cache holds and will hold, as far as the gateway knows.
///
/// Two sources, and neither is enough: the scrape sees everybody's sequences but is late, the own account is
/// exact at once but sees only what this gateway sent. So the scrape is used for the others' share alone:
/// what it reported beyond the own account of that moment. A scrape that stays away neither empties nor
/// fills the endpoint: the own account stands, the others' share stands, and the room shrinks slowly.
package struct EndpointLedger: Sendable {
    /// Tokens of the room lost for each second without a scrape, and at most, as shares of the capacity.
    private static let staleSharePerSecond = 0.01
    private static let staleShareLimit = 0.15

    /// KV tokens of the endpoint; nil while neither engine nor operator has told.
    package private(set) var capacity: Tokens?
    /// Prompts and streamed tokens of the own open sequences.
    package private(set) var resident = Tokens.zero
    /// What the own open sequences are expected to add.
    package private(set) var expectedRest = Tokens.zero
    /// Prompt tokens of own sequences that have not had their first token.
    package private(set) var prefilling = Tokens.zero
    package private(set) var sequences = 0
    /// Tokens that the last scrape showed beyond the own account.
    package private(set) var others = Tokens.zero
    package private(set) var reading: EngineReading?
    package private(set) var readAt: Instant?
    private var configuredCapacity: Tokens?
    private var staleAfter: Duration

    /// `staleAfter`: how old a reading may be before it counts as late, usually a few scrape intervals.
    package init(configuredCapacity: Tokens?, staleAfter: Duration) {
        self.configuredCapacity = configuredCapacity
        self.staleAfter = staleAfter
        capacity = configuredCapacity
    }

    /// What the operator says has changed; what the engine says still comes first.
    package mutating func configure(capacity configured: Tokens?, staleAfter: Duration) {
        configuredCapacity = configured
        self.staleAfter = staleAfter
        capacity = reading?.capacityTokens ?? configured
    }

    /// KV tokens expected to be held at the worst foreseeable moment: everyone's resident tokens and half of
    /// the own expected rest, since sequences end at different times.
    package var projection: Tokens {
        others + resident + Tokens(expectedRest.count / 2)
    }

    /// What a request would add to the projection.
    package static func need(input: Tokens, expectedOutput: Tokens) -> Tokens {
        input + Tokens(expectedOutput.count / 2)
    }

    /// The projection as a share of the capacity, with `need` added; nil without a known capacity.
    package func share(adding need: Tokens, now: Instant) -> Double? {
        guard let capacity, capacity.count > 0 else { return nil }
        let share = Double((projection + need).count) / Double(capacity.count)
        return share + staleness(now)
    }

    /// The share of the capacity that is not trusted because no scrape came.
    package func staleness(_ now: Instant) -> Double {
        guard let readAt else { return 0 }
        let late = (now - readAt) - staleAfter
        guard late > .zero else { return 0 }
        return min(Self.staleShareLimit, Self.staleSharePerSecond * late.seconds)
    }

    package mutating func admit(input: Tokens, expectedOutput: Tokens) {
        resident += input
        expectedRest += expectedOutput
        prefilling += input
        sequences += 1
    }

    package mutating func firstToken(input: Tokens) { prefilling -= input }

    /// A sequence has grown by `tokens`; its expected rest changed from `before` to `after`.
    package mutating func grow(by tokens: Tokens, rest before: Tokens, to after: Tokens) {
        resident += tokens
        expectedRest += after - before
    }

    /// A sequence ended or left: what it held and what it was still expected to add.
    package mutating func release(resident held: Tokens, rest: Tokens, prefilling prompt: Tokens) {
        resident -= held
        expectedRest -= rest
        prefilling -= prompt
        sequences -= 1
        invariant(
            resident.count >= 0 && expectedRest.count >= 0 && sequences >= 0,
            "a ledger gives back what it took")
    }

    package mutating func read(_ new: EngineReading, now: Instant) {
        reading = new
        readAt = now
        capacity = new.capacityTokens ?? configuredCapacity
        let shared = new.usage.flatMap { usage in
            capacity.map { Tokens(Int(usage * Double($0.count))) }
        }
        if let used = new.usedTokens ?? shared {
            others = Tokens(max(0, used.count - resident.count))
        }
    }
}
