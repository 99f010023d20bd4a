// SPDX-License-Identifier: Apache-2.0

public import Units

/// How large a request of a class may be; nil: as large as any.
public struct CapPolicy: Sendable, Equatable {
    /// Estimated prompt tokens.
    public var maxPrompt: Tokens?
    /// Prompt and expected output, all choices.
    public var maxEstimated: Tokens?

    public init(maxPrompt: Tokens? = nil, maxEstimated: Tokens? = nil) {
        self.maxPrompt = maxPrompt
        self.maxEstimated = maxEstimated
    }

    /// The first cap that such a request is over, and what it has of that; nil within all.
    public func exceeded(prompt: Tokens, output: Tokens) -> (cap: Tokens, by: Tokens)? {
        if let maxPrompt, prompt > maxPrompt { return (maxPrompt, prompt) }
        if let maxEstimated, prompt + output > maxEstimated {
            return (maxEstimated, prompt + output)
        }
        return nil
    }
}

/// What becomes of a tenant's request that is over the caps of its class. The raw value is its word
/// in the configuration.
public enum OverCap: String, Sendable, CaseIterable {
    /// 400.
    case reject
    /// It is served in the tenant's next class that takes it, if there is one.
    case batch
}
