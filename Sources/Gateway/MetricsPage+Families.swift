// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import Policy
import Synchronization
import Telemetry
import Units
import Wire

/// The families of `/metrics`, one function each.
extension MetricsPage {
    /// A tenant's name, or `other` for those past the cap.
    private func tenant(_ id: TenantID) -> String {
        id.index < Self.tenantLabels ? policy.tenants[id.index].name : "other"
    }

    func requests(_ totals: RequestTotals, to page: inout PrometheusWriter) {
        let rows = totals.labels.indices.sorted { totals.labels[$0] < totals.labels[$1] }
        page.family(
            "penstock_requests_total", .counter, help: "Requests that ended, by how they ended.")
        each(rows, totals) { labels, counters in
            for outcome in Outcome.allCases where counters.outcomes[outcome.index] > 0 {
                page.sample(
                    labels + [("outcome", outcome.rawValue)],
                    Double(counters.outcomes[outcome.index]))
            }
        }
        page.family(
            "penstock_throttled_total", .counter,
            help: "Refusals with 429 or 503, by the reason in the error body.")
        each(rows, totals) { labels, counters in
            for reason in RefusalReason.allCases
            where reason.isThrottle && counters.refusals[reason.number] > 0 {
                page.sample(
                    [labels[0], labels[1], ("reason", reason.code)],
                    Double(counters.refusals[reason.number]))
            }
        }
        page.family(
            "penstock_tokens_total", .counter, help: "Settled tokens, by kind.")
        each(rows, totals) { labels, counters in
            for (kind, value) in [
                ("input", counters.input), ("cached_input", counters.cachedInput),
                ("output", counters.output),
            ] {
                page.sample([labels[0], labels[2], ("kind", kind)], Double(value))
            }
        }
        page.family("penstock_cost_total", .counter, help: "Settled cost in the model's currency.")
        for place in rows where totals.counters[place].cost > 0 {
            let labels = totals.labels[place]
            guard let price = policy.models[labels.model.index].price else { continue }
            page.sample(
                [
                    ("tenant", tenant(labels.tenant)),
                    ("model", policy.models[labels.model.index].name),
                    ("currency", price.currency),
                ], totals.counters[place].cost)
        }
    }
}
