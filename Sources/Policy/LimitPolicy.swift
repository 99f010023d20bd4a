// SPDX-License-Identifier: Apache-2.0

public import Units

/// Whose use a limit counts, from the widest to the narrowest. The raw value is its name in
/// refusals and on admin pages.
public enum LimitScope: String, Sendable, CaseIterable {
    case organisation, team, tenant
    /// A tenant's use of one model.
    case model
    /// The use of one of a tenant's keys.
    case key
}

/// One limit of somebody.
public struct Limit: Sendable, Equatable {
    public var kind: LimitKind
    /// Tokens, requests or currency units, above zero.
    public var amount: Double
    /// What may come at once of a sliding window; nil: all of `amount`. Without meaning for
    /// calendar windows and for concurrent requests.
    public var burst: Double?
    /// The window begins and ends with the calendar's, and with it all of the limit comes back at
    /// once. Otherwise it slides: what was used comes back evenly over it.
    public var isCalendar: Bool
    /// Whose calendar.
    public var zone: ZoneOffsets

    public init(
        kind: LimitKind, amount: Double, burst: Double? = nil, isCalendar: Bool? = nil,
        zone: ZoneOffsets = .utc
    ) {
        self.kind = kind
        self.amount = amount
        self.burst = burst
        self.isCalendar = isCalendar ?? (kind.window?.isCalendarByDefault ?? false)
        self.zone = zone
    }
}

/// Limits of one model within a tenant.
public struct ModelLimits: Sendable, Equatable {
    public var model: ModelID
    public var limits: [Limit]

    public init(model: ModelID, limits: [Limit]) {
        self.model = model
        self.limits = limits
    }
}

/// Limits of one key of a tenant.
public struct KeyLimits: Sendable, Equatable {
    /// Nil: each key that has no limits of its own, every one apart.
    public var key: KeyHash?
    public var limits: [Limit]

    public init(key: KeyHash?, limits: [Limit]) {
        self.key = key
        self.limits = limits
    }
}

/// An organisation, or a team of one: limits that several tenants share.
public struct GroupPolicy: Sendable, Equatable {
    public var id: GroupID
    public var name: String
    /// The organisation that a team belongs to; nil for an organisation.
    public var parent: GroupID?
    public var limits: [Limit]
    public var removed: Bool

    public init(
        id: GroupID, name: String, parent: GroupID? = nil, limits: [Limit], removed: Bool = false
    ) {
        self.id = id
        self.name = name
        self.parent = parent
        self.limits = limits
        self.removed = removed
    }
}
