// SPDX-License-Identifier: Apache-2.0

public import Units

/// What one gateway tells the others of its sequences at one endpoint: everything in it can be
/// added up, so that the sum over all gateways is what one gateway would know that had them all.
public struct EndpointAccount: Sendable, Equatable {
    /// Its sequences, without what is in `common` and `runs`.
    public var cohorts = Cohorts()
    /// The same if all of them go to their bounds; nil where that is told nobody, since it would
    /// not fit anyway.
    public var bounds: Cohorts?
    /// Prompt tokens that several of its sequences hold together, without those in `runs`.
    public var common = Tokens.zero
    /// What its prompts begin with, as far as others may begin alike.
    public var runs: [CommonRun] = []
    /// Tokens for which it may let in more without asking; no claim of anybody else may use them.
    public var slack = Tokens.zero
    /// Prompt tokens of sequences that have had no first token: perhaps in the cache, perhaps not.
    public var prefilling = Tokens.zero
    /// The same, without what was cached: what a new prompt would have to wait for.
    public var committed = Tokens.zero
    /// Needs a second that its sequences give back, in thousandths.
    public var turnover = 0
    /// Tokens held by sequences that have left, since it began.
    public var left = 0
    /// Prompt tokens that it sent to be prefilled, since it began.
    public var prompts = 0

    /// Nothing there.
    public init() {}

    /// Tokens that its sequences hold.
    public var resident: Tokens {
        cohorts.held + common + Tokens(runs.reduce(0) { $0 + $1.tokens })
    }
    /// Those of them that are in the cache for certain.
    public var certain: Tokens { max(.zero, resident - prefilling) }
}
