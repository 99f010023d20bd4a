// SPDX-License-Identifier: Apache-2.0

public import Units

public struct TenantPolicy: Sendable, Equatable {
    public var id: TenantID
    /// Also the tenant's name in metrics, in the store and for people.
    public var name: String
    public var keys: [TenantKey]
    /// What certificates of its clients call themselves: whoever shows one is this tenant.
    public var certificateNames: [String]
    /// The first is the default when `X-Traffic-Class` is absent.
    public var classes: [ClassID]
    public var models: [ModelID]
    public var weight: Double
    public var limits: TenantLimits
    /// Of what each of these models may take on its behalf, beside `limits`.
    public var modelLimits: [ModelLimits]
    /// Of what each of its keys may take, beside `limits`.
    public var keyLimits: [KeyLimits]
    /// The innermost group that it belongs to, whose limits it shares with others.
    public var group: GroupID?
    public var removed: Bool

    public init(
        id: TenantID, name: String, keys: [TenantKey], classes: [ClassID], models: [ModelID],
        weight: Double = 1, limits: TenantLimits = TenantLimits(),
        modelLimits: [ModelLimits] = [], keyLimits: [KeyLimits] = [], group: GroupID? = nil,
        certificateNames: [String] = [], removed: Bool = false
    ) {
        self.certificateNames = certificateNames
        self.id = id
        self.name = name
        self.keys = keys
        self.classes = classes
        self.models = models
        self.weight = weight
        self.limits = limits
        self.modelLimits = modelLimits
        self.keyLimits = keyLimits
        self.group = group
        self.removed = removed
    }
}

/// The SHA-256 of an API key: all that the gateway knows of it.
public struct KeyHash: Sendable, Hashable {
    /// Four words, big-endian.
    public let words: [4 of UInt64]

    public init(words: [4 of UInt64]) { self.words = words }

    /// From 64 hexadecimal digits; nil otherwise.
    public init?(hexadecimal text: Substring) {
        let digits = Array(text.utf8)
        guard digits.count == 64 else { return nil }
        var words: [4 of UInt64] = [0, 0, 0, 0]
        for (place, digit) in digits.enumerated() {
            let value: UInt64
            switch digit {
            case 0x30...0x39: value = UInt64(digit - 0x30)
            case 0x61...0x66: value = UInt64(digit - 0x57)
            case 0x41...0x46: value = UInt64(digit - 0x37)
            default: return nil
            }
            words[place / 16] = words[place / 16] << 4 | value
        }
        self.words = words
    }

    /// Takes the same time wherever the difference lies.
    public static func == (left: KeyHash, right: KeyHash) -> Bool {
        let difference =
            (left.words[0] ^ right.words[0]) | (left.words[1] ^ right.words[1])
            | (left.words[2] ^ right.words[2]) | (left.words[3] ^ right.words[3])
        return difference == 0
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(words[0]) }
}

/// What a tenant may use. A limit that is absent does not exist.
public struct TenantLimits: Sendable, Equatable {
    /// In the order of `LimitKind.allCases`, at most one of a kind, each above zero. Tokens,
    /// requests, or currency units for cost.
    public var rates: [Limit]
    /// A longer prompt is too long, whatever the model could take.
    public var maxPromptTokens: Tokens?
    /// A larger output bound is lowered to this one, and an absent one is set to it.
    public var maxCompletionTokens: Tokens?
    /// A class that clamps lowers no bound of this tenant's below it.
    public var minCompletionTokens: Tokens?
    /// What becomes of a request over the caps of its class.
    public var overCap: OverCap
    /// What becomes of a longer prompt than `maxPromptTokens` or the model's context.
    public var overlongPrompt: OverlongPrompt
    /// How much output is reserved of its budgets.
    public var reservedOutput: ReservedOutput

    public init(
        rates: [Limit] = [], maxPromptTokens: Tokens? = nil, maxCompletionTokens: Tokens? = nil,
        minCompletionTokens: Tokens? = nil, overCap: OverCap = .reject,
        overlongPrompt: OverlongPrompt = .reject, reservedOutput: ReservedOutput = .expected
    ) {
        self.rates = rates
        self.maxPromptTokens = maxPromptTokens
        self.maxCompletionTokens = maxCompletionTokens
        self.minCompletionTokens = minCompletionTokens
        self.overCap = overCap
        self.overlongPrompt = overlongPrompt
        self.reservedOutput = reservedOutput
    }
}
