// SPDX-License-Identifier: Apache-2.0

public import Units

/// When the output bounds of a class are lowered, and how far.
public struct ClampPolicy: Sendable, Equatable {
    /// No bound is lowered below this, whatever is configured: answers would be of no use.
    public static let least = Tokens(64)

    /// Between the class's two thresholds: a request that fits only with a lower bound is let in
    /// with it instead of waiting.
    public var underPressure: Bool
    /// No bound is lowered below this, nor below the tenant's own floor.
    public var minTokens: Tokens
    /// Prompt tokens without a first token, for each engine of the pool, above which bounds are
    /// lowered to `prefillMaxTokens`; nil: never.
    public var prefillQueue: Tokens?
    public var prefillMaxTokens: Tokens

    public init(
        underPressure: Bool = true, minTokens: Tokens = ClampPolicy.least,
        prefillQueue: Tokens? = nil, prefillMaxTokens: Tokens = Tokens(512)
    ) {
        self.underPressure = underPressure
        self.minTokens = minTokens
        self.prefillQueue = prefillQueue
        self.prefillMaxTokens = prefillMaxTokens
    }
}
