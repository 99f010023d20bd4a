// SPDX-License-Identifier: Apache-2.0

public import Units

/// What an engine said of itself at one scrape, in canonical units.
public struct EngineReading: Sendable, Equatable {
    /// KV tokens that running sequences hold; nil when the engine does not tell.
    public var usedTokens: Tokens?
    /// The same as a share of the cache, 0 to 1: all that some engines tell.
    public var usage: Double?
    /// KV tokens it has in all; nil when the engine does not tell.
    public var capacityTokens: Tokens?
    /// Sequences that it works on, everybody's.
    public var running: Int
    /// Requests that it has accepted and not begun.
    public var waiting: Int
    /// It answers probes but takes no work (vLLM's sleep).
    public var isSleeping: Bool

    /// `usage` counts only where `usedTokens` is nil.
    public init(
        usedTokens: Tokens?, usage: Double? = nil, capacityTokens: Tokens?, running: Int,
        waiting: Int, isSleeping: Bool = false
    ) {
        self.usedTokens = usedTokens
        self.usage = usage
        self.capacityTokens = capacityTokens
        self.running = running
        self.waiting = waiting
        self.isSleeping = isSleeping
    }
}
