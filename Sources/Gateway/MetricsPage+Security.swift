// SPDX-License-Identifier: Apache-2.0

import Policy
import Telemetry
import Transport
import Units
import Wire

extension MetricsPage {
    func security(to page: inout PrometheusWriter) {
        page.family(
            "penstock_tls_handshakes_total", .counter,
            help: "TLS handshakes of clients that ended, by how.")
        for (outcome, count) in zip(HandshakeOutcome.allCases, control.shared.handshakes.all) {
            page.sample(count, PrometheusLabels([("outcome", outcome.rawValue)]))
        }
        page.family(
            "penstock_connections_refused_total", .counter,
            help: "Connections of clients that were closed before anything was read, by why.")
        for (reason, count) in zip(
            ConnectionRefusal.allCases, control.shared.connectionRefusals.all)
        {
            page.sample(count, PrometheusLabels([("reason", reason.rawValue)]))
        }
        page.family(
            "penstock_client_addresses", .gauge,
            help: "Addresses of clients that have a connection, of IPv6 by /64.")
        page.sample(control.shared.addresses.addresses)
        page.family(
            "penstock_tls_reloads_total", .counter,
            help: "How often certificates and keys were read again.")
        page.sample(
            control.securityReloads.succeeded, PrometheusLabels([("outcome", "succeeded")]))
        page.sample(control.securityReloads.failed, PrometheusLabels([("outcome", "failed")]))
        page.family(
            "penstock_tls_certificate_seconds_left", .gauge,
            help: "Until a listener's certificate is over; negative afterwards.")
        for (listener, name, left) in control.shared.security.certificates(control.loop.now) {
            page.sample(
                left.seconds,
                PrometheusLabels([("listener", listener), ("certificate", name)]))
        }
        keys(to: &page)
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
}
