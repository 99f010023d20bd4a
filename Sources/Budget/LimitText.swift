// SPDX-License-Identifier: Apache-2.0

import Policy

/// How header fields name a limit (draft-ietf-httpapi-ratelimit-headers-10): spelled once for a
/// configuration, not for each answer.
public struct LimitText: Sendable, Equatable {
    /// `"tokens-per-minute"`, `"organisation-tokens-per-minute"`.
    public let name: [UInt8]
    /// Its item in `RateLimit-Policy`: `"tokens-per-minute";q=200000;qu="tokens";w=60`.
    public let policy: [UInt8]

    init(_ limit: PlannedLimit) {
        let scope = limit.scope == .tenant ? "" : limit.scope.rawValue + "-"
        let name = "\"\(scope)\(limit.kind.hyphenated)\""
        self.name = Array(name.utf8)
        var policy = "\(name);q=\(LimitText.whole(limit.amountInUnits))"
        if let window = limit.kind.window {
            if limit.quantity.isTokens { policy += ";qu=\"tokens\"" }
            policy += ";w=\(window.seconds)"
        } else {
            policy += ";qu=\"concurrent-requests\""
        }
        self.policy = Array(policy.utf8)
    }

    /// Header fields know whole numbers only.
    public static func whole(_ amount: Double) -> Int { Int(min(max(0, amount), 9e15)) }
}
