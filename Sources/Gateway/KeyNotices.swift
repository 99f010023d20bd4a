// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Says of keys that are over, or soon will be, so that others take their place in time.
struct KeyNotices {
    enum Stage: Equatable {
        case soon, over
    }

    /// Warned of before it is over.
    static let notice = Duration.seconds(14 * 86_400)
    /// More at once nobody reads: of the others only their number is told.
    private static let most = 100

    private var told: [KeyHash: Stage] = [:]

    /// What has become true since it was asked last.
    mutating func fresh(_ policy: Policy, at time: WallTime) -> [String] {
        var lines: [String] = []
        var untold = 0
        var stages: [KeyHash: Stage] = [:]
        for (tenant, key) in policy.expiringKeys {
            guard let stage = Self.stage(of: key, at: time) else { continue }
            stages[key.hash] = stage
            guard told[key.hash] != stage else { continue }
            if lines.count < Self.most {
                lines.append(Self.line(key, policy.tenants[tenant.index], stage, at: time))
            } else {
                untold += 1
            }
        }
        told = stages
        if untold > 0 { lines.append("keys: \(untold) more are over, or soon will be") }
        return lines
    }

    private static func stage(of key: TenantKey, at time: WallTime) -> Stage? {
        guard let expires = key.expires else { return nil }
        if expires <= time { return .over }
        return expires < time + notice ? .soon : nil
    }

    private static func line(
        _ key: TenantKey, _ tenant: TenantPolicy, _ stage: Stage, at time: WallTime
    ) -> String {
        let end = key.expires ?? time
        let name = "key \(key.label) of tenant \(tenant.name)"
        guard stage == .soon else { return "\(name) expired at \(RFC3339.text(end))" }
        let days = (end.nanoseconds - time.nanoseconds) / 86_400_000_000_000
        let left = days < 1 ? "in less than a day" : days == 1 ? "in 1 day" : "in \(days) days"
        let follows = tenant.keys.contains { other in
            other.hash != key.hash && (other.expires.map { end < $0 } ?? true)
                && (other.notBefore.map { $0 <= end } ?? true)
        }
        return "\(name) expires \(left), at \(RFC3339.text(end))"
            + (follows ? "" : ", and no other one follows it")
    }
}
