// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Dialects
import Policy
import Synchronization
import Telemetry
import Units
import Wire

/// The families of `/metrics`, a function for each group.
extension MetricsPage {
    /// A tenant's name, or `other` for those past the cap.
    private func tenant(_ id: TenantID) -> String {
        id.index < Self.tenantLabels ? policy.tenants[id.index].name : "other"
    }

    private func trafficClass(_ id: ClassID) -> String { policy.classes[id.index].name }

    private func model(_ id: ModelID) -> String { policy.models[id.index].name }

    /// Calls `body` for every set of labels, in their order.
    private func each(
        _ totals: RequestTotals, _ body: (RequestLabels, RequestCounters) -> Void
    ) {
        let rows = totals.labels.indices.sorted { totals.labels[$0] < totals.labels[$1] }
        for row in rows { body(totals.labels[row], totals.counters[row]) }
    }

    func requests(_ totals: RequestTotals, to page: inout PrometheusWriter) {
        page.family(
            "penstock_requests_total", .counter, help: "Requests that ended, by how they ended.")
        each(totals) { labels, counters in
            for outcome in Outcome.allCases where counters.outcomes[outcome.index] > 0 {
                page.sample(
                    Int(counters.outcomes[outcome.index]),
                    PrometheusLabels([
                        ("tenant", tenant(labels.tenant)),
                        ("class", trafficClass(labels.trafficClass)),
                        ("model", model(labels.model)), ("outcome", outcome.rawValue),
                    ]))
            }
        }
        page.family(
            "penstock_throttled_total", .counter,
            help: "Refusals with 429 or 503, by the code in the error body.")
        var throttled: [String: (labels: PrometheusLabels, count: Int)] = [:]
        each(totals) { labels, counters in
            for reason in RefusalReason.allCases
            where reason.isThrottle && counters.refusals[reason.number] > 0 {
                let rendered = PrometheusLabels([
                    ("tenant", tenant(labels.tenant)),
                    ("class", trafficClass(labels.trafficClass)), ("reason", reason.code),
                ])
                let key = String(decoding: rendered.rendered, as: UTF8.self)
                throttled[key, default: (rendered, 0)].count += Int(
                    counters.refusals[reason.number])
            }
        }
        for (_, series) in throttled.sorted(by: { $0.key < $1.key }) {
            page.sample(series.count, series.labels)
        }
    }

    func tokens(_ totals: RequestTotals, to page: inout PrometheusWriter) {
        page.family("penstock_tokens_total", .counter, help: "Settled tokens, by kind.")
        var sums: [String: (labels: PrometheusLabels, count: Int)] = [:]
        each(totals) { labels, counters in
            for (kind, value) in [
                ("input", counters.input), ("cached_input", counters.cachedInput),
                ("output", counters.output),
            ] {
                let rendered = PrometheusLabels([
                    ("tenant", tenant(labels.tenant)), ("model", model(labels.model)),
                    ("kind", kind),
                ])
                let key = String(decoding: rendered.rendered, as: UTF8.self)
                sums[key, default: (rendered, 0)].count += Int(value)
            }
        }
        for (_, series) in sums.sorted(by: { $0.key < $1.key }) {
            page.sample(series.count, series.labels)
        }
        page.family("penstock_cost_total", .counter, help: "Settled cost, by currency.")
        var costs: [String: (labels: PrometheusLabels, amount: Double)] = [:]
        each(totals) { labels, counters in
            guard let price = policy.models[labels.model.index].price else { return }
            let rendered = PrometheusLabels([
                ("tenant", tenant(labels.tenant)), ("model", model(labels.model)),
                ("currency", price.currency),
            ])
            let key = String(decoding: rendered.rendered, as: UTF8.self)
            costs[key, default: (rendered, 0)].amount += counters.cost
        }
        for (_, series) in costs.sorted(by: { $0.key < $1.key }) {
            page.sample(series.amount, series.labels)
        }
    }

    func histograms(_ totals: RequestTotals, to page: inout PrometheusWriter) {
        histogram(
            totals, \.queueWait, "penstock_queue_wait_seconds",
            "From a complete request to its forwarding.", to: &page)
        histogram(
            totals, \.timeToFirstToken, "penstock_time_to_first_token_seconds",
            "From a request's head to the first token of a stream.", to: &page)
        histogram(
            totals, \.timePerOutputToken, "penstock_time_per_output_token_seconds",
            "Mean time between the tokens of a stream.", to: &page)
        histogram(
            totals, \.estimateRatio, "penstock_estimate_error_ratio",
            "Estimated over reported prompt tokens.", to: &page)
        page.family(
            "penstock_gateway_overhead_seconds", .histogram,
            help: "Time in the gateway itself, from a complete request to the engine.")
        page.sample(totals.overhead.written)
    }

    private func histogram(
        _ totals: RequestTotals, _ path: KeyPath<RequestHistograms, Histogram>,
        _ name: StaticString, _ help: StaticString, to page: inout PrometheusWriter
    ) {
        page.family(name, .histogram, help: help)
        for (place, histograms) in totals.histograms.enumerated() {
            let histogram = histograms[keyPath: path]
            guard histogram.count > 0, place < policy.classes.count else { continue }
            page.sample(
                histogram.written, PrometheusLabels([("class", policy.classes[place].name)]))
        }
    }

    func gateway(to page: inout PrometheusWriter) {
        page.family(
            "penstock_budget_store_up", .gauge, help: "1 while the budget store answers.")
        page.sample(control.shared.storeIsUp ? 1 : 0)
        page.family(
            "penstock_config_reloads_total", .counter, help: "Reloads of the configuration.")
        page.sample(control.reloads.succeeded, PrometheusLabels([("outcome", "succeeded")]))
        page.sample(control.reloads.failed, PrometheusLabels([("outcome", "failed")]))
        page.family("penstock_connections", .gauge, help: "Client connections that are open.")
        page.sample(control.shared.openConnections.load(ordering: .relaxed))
        page.family("penstock_queue_requests", .gauge, help: "Requests that wait, by class.")
        let queues = control.queueStates()
        for trafficClass in policy.classes where !trafficClass.removed {
            page.sample(
                queues[trafficClass.id.index].requests,
                PrometheusLabels([("class", trafficClass.name)]))
        }
        page.family("penstock_queue_tokens", .gauge, help: "Tokens that wait, by class.")
        for trafficClass in policy.classes where !trafficClass.removed {
            page.sample(
                queues[trafficClass.id.index].tokens.count,
                PrometheusLabels([("class", trafficClass.name)]))
        }
        page.family(
            "penstock_log_lines_dropped_total", .counter,
            help: "Log lines that found the queue full.")
        page.sample(control.shared.log.droppedLines)
    }
}

extension Histogram {
    fileprivate var written: PrometheusWriter.Histogram {
        PrometheusWriter.Histogram(bounds: bounds, counts: counts, sum: sum)
    }
}
