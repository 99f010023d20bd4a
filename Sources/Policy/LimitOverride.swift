// SPDX-License-Identifier: Apache-2.0

public import Units

/// What an operator has set in place of a tenant's configured limits, while the gateway runs.
public struct LimitOverride: Sendable, Equatable {
    public struct Amount: Sendable, Equatable {
        public let kind: LimitKind
        public let amount: Double

        public init(kind: LimitKind, amount: Double) {
            self.kind = kind
            self.amount = amount
        }
    }

    /// In the order of `LimitKind.allCases`.
    public var amounts: [Amount]
    public var maxPromptTokens: Tokens?
    public var maxCompletionTokens: Tokens?

    public init(
        amounts: [Amount] = [], maxPromptTokens: Tokens? = nil, maxCompletionTokens: Tokens? = nil
    ) {
        self.amounts = amounts
        self.maxPromptTokens = maxPromptTokens
        self.maxCompletionTokens = maxCompletionTokens
    }

    private static let promptName = "max_prompt_tokens"
    private static let completionName = "max_completion_tokens"

    /// As `tokens_per_minute=5000 max_prompt_tokens=8`: how stores keep it.
    public var words: String {
        var words = amounts.map { amount in
            let whole = Int(exactly: amount.amount)?.description
            return "\(amount.kind.rawValue)=\(whole ?? amount.amount.description)"
        }
        if let maxPromptTokens { words.append("\(Self.promptName)=\(maxPromptTokens.count)") }
        if let maxCompletionTokens {
            words.append("\(Self.completionName)=\(maxCompletionTokens.count)")
        }
        return words.joined(separator: " ")
    }

    /// From such words; nil for anything else.
    public init?(words: String) {
        self.init()
        for word in words.split(separator: " ") {
            let parts = word.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let number = Double(parts[1]), (1e-6...1e15).contains(number)
            else { return nil }
            switch String(parts[0]) {
            case Self.promptName: maxPromptTokens = Tokens(Int(number))
            case Self.completionName: maxCompletionTokens = Tokens(Int(number))
            case let name:
                guard let kind = LimitKind(rawValue: name) else { return nil }
                amounts.append(Amount(kind: kind, amount: number))
            }
        }
        if amounts.isEmpty, maxPromptTokens == nil, maxCompletionTokens == nil { return nil }
    }
}

extension TenantLimits {
    /// With other amounts: windows and time zones stay as configured, burst sizes are lowered to
    /// what is left.
    public func overridden(by override: LimitOverride) -> TenantLimits {
        var limits = self
        for amount in override.amounts {
            if let place = limits.rates.firstIndex(where: { $0.kind == amount.kind }) {
                limits.rates[place].amount = amount.amount
                if let burst = limits.rates[place].burst, burst > amount.amount {
                    limits.rates[place].burst = amount.amount
                }
            } else {
                limits.rates.append(Limit(kind: amount.kind, amount: amount.amount))
            }
        }
        limits.rates.sort { $0.kind.index < $1.kind.index }
        limits.maxPromptTokens = override.maxPromptTokens ?? maxPromptTokens
        limits.maxCompletionTokens = override.maxCompletionTokens ?? maxCompletionTokens
        return limits
    }
}

extension Policy {
    /// The same with other limits, by the tenants' names; `generation` is a later one.
    public func overridden(
        by overrides: [String: LimitOverride], generation: Int
    ) -> Policy {
        let tenants = tenants.map { tenant in
            guard !tenant.removed, let override = overrides[tenant.name] else { return tenant }
            var tenant = tenant
            tenant.limits = tenant.limits.overridden(by: override)
            return tenant
        }
        return Policy(
            generation: generation, http: http, http2: http2, upstream: upstream,
            routing: routing, identity: identity,
            models: models, pools: pools, endpoints: endpoints, gpus: gpus, classes: classes,
            tenants: tenants, groups: groups, anonymous: anonymous,
            throttleHistory: throttleHistory, requestHistory: requestHistory)
    }
}
