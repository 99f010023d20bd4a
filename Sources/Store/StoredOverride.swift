// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// An override as a store keeps it.
public struct StoredOverride: Sendable, Equatable {
    public let tenant: String
    public let limits: LimitOverride
    /// By the store's clock; nil: until it is revoked.
    public let expires: WallTime?

    public init(tenant: String, limits: LimitOverride, expires: WallTime?) {
        self.tenant = tenant
        self.limits = limits
        self.expires = expires
    }
}

/// What an operator wants of one tenant's override.
public struct OverrideChange: Sendable, Equatable {
    public let tenant: String
    /// Nil revokes it.
    public let limits: LimitOverride?
    public let expiresIn: Duration?

    public init(tenant: String, limits: LimitOverride?, expiresIn: Duration?) {
        self.tenant = tenant
        self.limits = limits
        self.expiresIn = expiresIn
    }
}

/// What a store says of all overrides.
public enum OverrideAnswer: Sendable, Equatable {
    /// All there are, by the tenants' names.
    case overrides([StoredOverride])
    /// There are too many to add another one.
    case full
    case unavailable
}

/// The words in which the script tells of overrides: a line for each, `tenant expires words`.
enum OverrideText {
    /// Bytes of all overrides together: a reply about them stays within its bound.
    static let limitBytes = 49_152

    static func answer(_ text: String) -> OverrideAnswer? {
        if text == "full" { return .full }
        var overrides: [StoredOverride] = []
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 2)
            guard parts.count == 3, let expires = Int64(parts[1]), (0...(1 << 53)) ~= expires
            else { return nil }
            // Of another version, perhaps: that one alone is passed over.
            guard let limits = LimitOverride(words: String(parts[2])) else { continue }
            overrides.append(
                StoredOverride(
                    tenant: String(parts[0]), limits: limits,
                    expires: expires > 0 ? WallTime(nanoseconds: expires * 1_000) : nil))
        }
        return .overrides(overrides.sorted { $0.tenant < $1.tenant })
    }
}

/// One run of the script about overrides.
struct OverrideRun {
    /// Comes back with the answer.
    let request: RequestID
    let change: OverrideChange?
}
