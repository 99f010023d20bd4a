// SPDX-License-Identifier: Apache-2.0

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
    }
}
