// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Whose limits operators override.
enum OverrideTarget: Equatable {
    case tenant(String)
    case organisation(String)
    case team(String, of: String)

    /// What the store keeps it under. Names have no slash, so no two are alike.
    var stored: String {
        switch self {
        case .tenant(let name): name
        case .organisation(let name): "organisation/\(name)"
        case .team(let name, let organisation): "organisation/\(organisation)/team/\(name)"
        }
    }

    /// The group's place in the policy; nil for a tenant, and where there is no such group.
    func group(in policy: Policy) -> Int? {
        policy.groups.firstIndex { !$0.removed && OverrideTarget($0, of: policy) == self }
    }

    init(_ group: GroupPolicy, of policy: Policy) {
        if let parent = group.parent {
            self = .team(group.name, of: policy.groups[parent.index].name)
        } else {
            self = .organisation(group.name)
        }
    }
}

extension Policy {
    /// The same with other limits of organisations and teams, by the names that the store has.
    func groupsOverridden(by overrides: [String: LimitOverride]) -> Policy {
        let changed = groups.map { group in
            guard !group.removed,
                let override = overrides[OverrideTarget(group, of: self).stored]
            else { return group }
            var group = group
            group.limits = TenantLimits(rates: group.limits).overridden(by: override).rates
            return group
        }
        guard changed != groups else { return self }
        return Policy(
            generation: generation, http: http, http2: http2, upstream: upstream,
            routing: routing, identity: identity,
            models: models, pools: pools, endpoints: endpoints, gpus: gpus, classes: classes,
            tenants: tenants, groups: changed, anonymous: anonymous,
            throttleHistory: throttleHistory, requestHistory: requestHistory)
    }

    /// The models that those may ask for whose limits these are.
    func models(of target: OverrideTarget) -> [ModelPolicy] {
        let place = target.group(in: self)
        var asked: [ModelID] = []
        for tenant in tenants where !tenant.removed {
            let isMeant: Bool
            if case .tenant(let name) = target {
                isMeant = tenant.name == name
            } else {
                isMeant = place.map { isMember(tenant, of: $0) } ?? false
            }
            if isMeant { asked += tenant.models.filter { !asked.contains($0) } }
        }
        return asked.map { models[$0.index] }
    }

    private func isMember(_ tenant: TenantPolicy, of place: Int) -> Bool {
        guard let group = tenant.group else { return false }
        return group.index == place || groups[group.index].parent?.index == place
    }
}
