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
