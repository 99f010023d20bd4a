// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// The caps of classes: how large a request may be to be served in one.
///
/// They keep a class quick: a prompt of a minute's work makes everybody wait who came behind it.
/// What is larger goes to the next class in its tenant's list that takes such and serves its model,
/// or is refused for good, as the tenant is configured: waiting would make it no smaller.
extension Decider {
    enum Placement {
        case asAsked
        case deferred(ClassID)
        case refused(Refusal)
    }

    func placement(of entry: Entry) -> Placement {
        guard let over = exceeded(entry, entry.trafficClass) else { return .asAsked }
        let tenant = policy.tenants[entry.tenant.index]
        if tenant.limits.overCap == .batch, let other = deferral(of: entry, tenant) {
            return .deferred(other)
        }
        return .refused(
            Refusal(
                .requestExceedsLimit, limit: Double(over.cap.count),
                requested: Double(over.by.count)))
    }

    private func exceeded(_ entry: Entry, _ id: ClassID) -> (cap: Tokens, by: Tokens)? {
        policy.classes[id.index].caps?.exceeded(prompt: entry.input, output: entry.expected)
    }

    /// The first class behind its own in its tenant's list in which it may be served. One that a
    /// reload has taken from the list meanwhile has none behind it.
    private func deferral(of entry: Entry, _ tenant: TenantPolicy) -> ClassID? {
        guard let own = tenant.classes.firstIndex(of: entry.trafficClass) else { return nil }
        return tenant.classes[(own + 1)...].first { id in
            let other = policy.classes[id.index]
            let pool = policy.pools[other.pool.index]
            return !other.removed && !pool.removed && pool.models.contains(entry.model)
                && exceeded(entry, id) == nil
        }
    }
}
