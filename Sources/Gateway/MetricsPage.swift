// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import Policy
import Synchronization
import Telemetry
import Units
import Wire

/// `/metrics`: the gateway's own counters with the prefix `penstock_`, and the engines' state under
/// the canonical names, whatever the engine calls it.
struct MetricsPage {
    /// Tenants beyond this many share the label `other`.
    static let tenantLabels = 1_000

    let control: Control

    init(_ control: Control) { self.control = control }

    var policy: Policy { control.policy }

    func write(to text: inout ByteBuffer) {
        var held = ByteBuffer()
        swap(&held, &text)
        var page = PrometheusWriter(.text, into: held)
        let totals = control.totals()
        requests(totals, to: &page)
        tokens(totals, to: &page)
        histograms(totals, to: &page)
        gateway(to: &page)
        counting(to: &page)
        ledger(to: &page)
        security(to: &page)
        identity(to: &page)
        engines(to: &page)
        text = page.finish()
    }
}
