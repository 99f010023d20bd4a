// SPDX-License-Identifier: Apache-2.0

public import Units

/// An API key of a tenant: its hash, and when it is good. Several at a time let one take another's
/// place without a moment in which neither is good.
public struct TenantKey: Sendable, Equatable {
    public var hash: KeyHash
    /// What people call it; nil: it is called by the beginning of its hash.
    public var name: String?
    /// Good from then on; nil: always was.
    public var notBefore: WallTime?
    /// Good until just before then; nil: always.
    public var expires: WallTime?

    public init(
        _ hash: KeyHash, name: String? = nil, notBefore: WallTime? = nil, expires: WallTime? = nil
    ) {
        self.hash = hash
        self.name = name
        self.notBefore = notBefore
        self.expires = expires
    }

    /// For the log, metrics and pages.
    public var label: String { name ?? hash.shortName }

    public func state(at time: WallTime) -> KeyState {
        if let expires, expires <= time { return .expired }
        if let notBefore, time < notBefore { return .notYetValid }
        return .valid
    }
}

/// Whether a key is good at some moment.
public enum KeyState: String, Sendable, CaseIterable {
    case valid
    case notYetValid = "not_yet_valid"
    case expired
}

/// Whose a key is, and whether it is good.
public enum KeyOwner: Sendable, Equatable {
    case nobody
    case tenant(TenantID)
    /// A tenant's, but not now: never `valid`.
    case not(KeyState)
}

extension KeyHash {
    /// Enough of it to tell keys apart, for names of accounts and for people.
    public var shortName: String {
        let digits = String(words[0], radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
