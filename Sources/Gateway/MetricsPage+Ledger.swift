// SPDX-License-Identifier: Apache-2.0

import Transport
import Units
import Wire

/// Whether settlements are written down, for each sink of the ledger.
extension MetricsPage {
    func ledger(to page: inout PrometheusWriter) {
        let lanes = control.shared.ledger
        let counters = lanes.map(\.counters)
        let labels = lanes.map { PrometheusLabels([("sink", $0.sink)]) }
        func family(
            _ name: StaticString, _ kind: PrometheusWriter.Kind, _ help: StaticString,
            _ value: (Int) -> Double
        ) {
            page.family(name, kind, help: help)
            for place in lanes.indices { page.sample(value(place), labels[place]) }
        }
        family("penstock_ledger_up", .gauge, "1 while entries can be written down.") {
            counters[$0].fault == nil ? 1 : 0
        }
        family("penstock_ledger_waiting", .gauge, "Entries that wait to be written down.") {
            Double(lanes[$0].waitingCount)
        }
        family(
            "penstock_ledger_waiting_seconds", .gauge, "How long the oldest of them has waited."
        ) {
            lanes[$0].waited(now: control.loop.now).seconds
        }
        family("penstock_ledger_written_total", .counter, "Entries that were written down.") {
            Double(counters[$0].written)
        }
        family("penstock_ledger_lost_total", .counter, "Entries that found no room.") {
            Double(counters[$0].lost)
        }
        family("penstock_ledger_faults_total", .counter, "Attempts to write that failed.") {
            Double(counters[$0].faults)
        }
        family(
            "penstock_ledger_trimmed_total", .counter, "Entries that fell out of a full stream."
        ) {
            Double(counters[$0].trimmed)
        }
    }
}
