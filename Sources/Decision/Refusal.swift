// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// A no that was decided, with the numbers that decided it.
public struct Refusal: Sendable, Equatable {
    /// Status, code and label.
    public var reason: RefusalReason
    /// When the same request will be admitted; on every 429 and 503.
    public var retryAfter: Duration?
    /// A retry is pointless, or would be paid for twice.
    public var isFinal: Bool
    /// The limit that said no, and whose it is, where it was one.
    public var kind: LimitKind?
    public var scope: LimitScope?
    /// What the limit that said no allows, in its own unit: tokens, requests, money, shares of a
    /// cache, or seconds of waiting.
    public var limit: Double?
    /// What of it was used, in the same unit.
    public var used: Double?
    /// What was asked for, in the same unit.
    public var requested: Double?

    /// A no without a wait and without numbers, unless they are given.
    public init(
        _ reason: RefusalReason, retryAfter: Duration? = nil, isFinal: Bool = false,
        kind: LimitKind? = nil, scope: LimitScope? = nil, limit: Double? = nil,
        used: Double? = nil, requested: Double? = nil
    ) {
        self.reason = reason
        self.retryAfter = retryAfter
        self.isFinal = isFinal
        self.kind = kind
        self.scope = scope
        self.limit = limit
        self.used = used
        self.requested = requested
    }
}
