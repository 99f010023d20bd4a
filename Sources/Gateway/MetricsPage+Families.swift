// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Dialects
import Policy
import Store
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

    /// A model's name; empty for what was refused before its model was known, which Prometheus
    /// takes for a series without the label.
    private func model(_ id: ModelID) -> String {
        id == RequestLabels.noModel ? "" : policy.models[id.index].name
    }

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
        var ended = SeriesSums<Int>()
        each(totals) { labels, counters in
            for outcome in Outcome.allCases where counters.outcomes[outcome.index] > 0 {
                ended.add(
                    counters.outcomes[outcome.index],
                    under: PrometheusLabels([
                        ("tenant", tenant(labels.tenant)),
                        ("class", trafficClass(labels.trafficClass)),
                        ("model", model(labels.model)), ("outcome", outcome.rawValue),
                    ]))
            }
        }
        ended.write(to: &page)
        page.family(
            "penstock_throttled_total", .counter,
            help: "Refusals with 429 or 503, by the code in the error body.")
        var throttled = SeriesSums<Int>()
        each(totals) { labels, counters in
            for reason in RefusalReason.allCases
            where reason.isThrottle && counters.refusals[reason.number] > 0 {
                throttled.add(
                    counters.refusals[reason.number],
                    under: PrometheusLabels([
                        ("tenant", tenant(labels.tenant)),
                        ("class", trafficClass(labels.trafficClass)), ("reason", reason.code),
                    ]))
            }
        }
        throttled.write(to: &page)
    }

    func tokens(_ totals: RequestTotals, to page: inout PrometheusWriter) {
        page.family("penstock_tokens_total", .counter, help: "Settled tokens, by kind.")
        var tokens = SeriesSums<Int>()
        var costs = SeriesSums<Double>()
        each(totals) { labels, counters in
            // What never had a model has no tokens either.
            guard labels.model != RequestLabels.noModel else { return }
            let tenant = tenant(labels.tenant)
            let model = model(labels.model)
            for (kind, value) in [
                ("input", counters.input), ("cached_input", counters.cachedInput),
                ("output", counters.output),
            ] {
                tokens.add(
                    value,
                    under: PrometheusLabels([
                        ("tenant", tenant), ("model", model), ("kind", kind),
                    ]))
            }
            guard let price = policy.models[labels.model.index].price else { return }
            costs.add(
                counters.cost,
                under: PrometheusLabels([
                    ("tenant", tenant), ("model", model), ("currency", price.currency),
                ]))
        }
        tokens.write(to: &page)
        page.family("penstock_cost_total", .counter, help: "Settled cost, by currency.")
        costs.write(to: &page)
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
            "penstock_budget_settlements_waiting", .gauge,
            help: "Settlements that the budget store has not taken yet.")
        page.sample(control.shared.redis?.settlementsWaiting ?? 0)
        page.family(
            "penstock_budget_settlements_lost_total", .counter,
            help: "Settlements that were given up because too many waited.")
        page.sample(control.shared.redis?.settlementsLost ?? 0)
        page.family(
            "penstock_budget_leased_total", .counter,
            help: "Requests that were admitted out of leases, without asking the store.")
        page.sample(control.shared.redis?.decidedAhead ?? 0)
        page.family(
            "penstock_budget_without_store_total", .counter,
            help: "Requests that on_failure decided, admitted or not, without the store.")
        page.sample(control.shared.redis?.decidedWithoutStore ?? 0)
        page.family(
            "penstock_config_reloads_total", .counter, help: "Reloads of the configuration.")
        page.sample(control.reloads.succeeded, PrometheusLabels([("outcome", "succeeded")]))
        page.sample(control.reloads.failed, PrometheusLabels([("outcome", "failed")]))
        let retries = control.shared.decider.withLock { ($0.retriesSent, $0.retriesDenied) }
        page.family(
            "penstock_retries_total", .counter,
            help: "Requests that an engine did not take, sent to another one or not.")
        page.sample(retries.0, PrometheusLabels([("outcome", "sent")]))
        page.sample(retries.1, PrometheusLabels([("outcome", "over_budget")]))
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
