// SPDX-License-Identifier: Apache-2.0

public import Units

/// One settlement: what an admitted request took in the end, and whose it was.
public struct LedgerEntry: Sendable, Equatable {
    /// When it was settled.
    public var time: WallTime
    /// The process that settled it; a restart is another one.
    public var gateway: UInt64
    /// Counts the entries of that process from 1, so that one that stands twice counts once.
    public var number: UInt64
    /// As the client knows it.
    public var requestID: String
    /// Whose request it was.
    public var tenant: String
    /// The first twelve digits of the key's SHA-256; nil where no key was asked for.
    public var key: String?
    /// The class that it was served in.
    public var trafficClass: String
    /// The model's name, not the alias that the client used.
    public var model: String
    /// How it ended.
    public var outcome: String
    /// Who said what it took: `engine`, `counted`, or `none` where it took nothing.
    public var source: String
    /// Prompt tokens, cached ones included.
    public var input: Int
    /// Of these, those that the engine had in its cache.
    public var cachedInput: Int
    /// Generated tokens, reasoning included.
    public var output: Int
    /// Of these, those that were thought and not said.
    public var reasoning: Int
    /// Nil where the model has no price.
    public var cost: Money?
    /// Of the cost.
    public var currency: String?

    /// An entry that took nothing.
    public init(
        time: WallTime, gateway: UInt64, number: UInt64, requestID: String, tenant: String,
        trafficClass: String, model: String, outcome: String, source: String
    ) {
        self.time = time
        self.gateway = gateway
        self.number = number
        self.requestID = requestID
        self.tenant = tenant
        self.trafficClass = trafficClass
        self.model = model
        self.outcome = outcome
        self.source = source
        input = 0
        cachedInput = 0
        output = 0
        reasoning = 0
    }

    /// The most tokens of one kind, or prices' millionths, that an entry may speak of: nothing real
    /// comes near, and sums of 2^77 such entries stay exact.
    public static let mostTokens = 1_000_000_000_000_000
}
