// SPDX-License-Identifier: Apache-2.0

import Policy
import Telemetry
import Transport
import Units
import Wire

/// Of keys and tokens.
extension MetricsPage {
    func identity(to page: inout PrometheusWriter) {
        keys(to: &page)
        tokens(to: &page)
        issuers(to: &page)
        audit(to: &page)
    }

    /// Keys of the configuration by their state, and when those that will be over are; the soonest
    /// first, where there are more than have labels of their own.
    private func keys(to page: inout PrometheusWriter) {
        let wall = control.loop.wall
        var counts = [Int](repeating: 0, count: KeyState.allCases.count)
        for tenant in policy.tenants {
            for key in tenant.keys {
                switch key.state(at: wall) {
                case .valid: counts[0] += 1
                case .notYetValid: counts[1] += 1
                case .expired: counts[2] += 1
                }
            }
        }
        page.family("penstock_api_keys", .gauge, help: "API keys of tenants, by their state.")
        for (state, count) in zip(KeyState.allCases, counts) {
            page.sample(count, PrometheusLabels([("state", state.rawValue)]))
        }
        page.family(
            "penstock_api_key_seconds_left", .gauge,
            help: "Until an API key with an end expires; negative afterwards.")
        let ends = policy.expiringKeys.compactMap { tenant, key in
            key.expires.map { (end: $0, tenant: policy.tenants[tenant.index].name, key: key.label) }
        }
        for item in ends.sorted(by: { $0.end < $1.end }).prefix(Self.tenantLabels) {
            page.sample(
                Double(item.end.nanoseconds - wall.nanoseconds) / 1e9,
                PrometheusLabels([("tenant", item.tenant), ("key", item.key)]))
        }
    }

    private func audit(to page: inout PrometheusWriter) {
        page.family(
            "penstock_audit_lines_total", .counter,
            help: "Changes by operators, and attempts, that were written down.")
        page.sample(control.audit.lines)
        page.family(
            "penstock_audit_failures_total", .counter,
            help: "Lines of the audit log that its file did not take; they stand in the log.")
        page.sample(control.audit.failures)
    }

    private func tokens(to page: inout PrometheusWriter) {
        page.family(
            "penstock_jwt_total", .counter,
            help: "Tokens that clients sent, by what became of them.")
        for (place, outcome) in TokenOutcome.allCases.enumerated() {
            let count = control.shared.tokenCounts.reduce(0) { $0 + $1.all[place] }
            page.sample(count, PrometheusLabels([("outcome", outcome.name)]))
        }
    }

    private func issuers(to page: inout PrometheusWriter) {
        let sets = control.keySets
        page.family(
            "penstock_jwks_keys", .gauge, help: "Keys of an issuer that are in force.")
        for set in sets {
            page.sample(set.keys.count, PrometheusLabels([("issuer", set.issuer.issuer)]))
        }
        page.family(
            "penstock_jwks_age_seconds", .gauge,
            help: "Since an issuer's keys were last read, where they ever were.")
        for set in sets {
            guard let readAt = set.readAt else { continue }
            page.sample(
                (control.loop.now - readAt).seconds,
                PrometheusLabels([("issuer", set.issuer.issuer)]))
        }
        page.family(
            "penstock_jwks_reads_total", .counter,
            help: "How often an issuer's keys were read or fetched.")
        for set in sets {
            for (outcome, count) in [
                ("succeeded", set.outcomes.succeeded), ("failed", set.outcomes.failed),
            ] {
                page.sample(
                    count,
                    PrometheusLabels([("issuer", set.issuer.issuer), ("outcome", outcome)]))
            }
        }
    }
}
