// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Decision
import Dialects
import Policy
import Routing
import Telemetry
import Transport
import Units
import Wire

/// The engines' state under the canonical names, whatever each engine calls it. What an engine does
/// not tell has no series: an absent number is honest, a zero is not.
extension MetricsPage {
    func engines(to page: inout PrometheusWriter) {
        let states = control.endpointStates()
        let endpoints = policy.endpoints.filter { !$0.removed }
        let labels = endpoints.map(labels)
        func gauge(
            _ name: StaticString, _ help: StaticString, _ value: (Int) -> Double?
        ) {
            page.family(name, .gauge, help: help)
            for (place, endpoint) in endpoints.enumerated() {
                if let number = value(endpoint.id.index) { page.sample(number, labels[place]) }
            }
        }
        func counter(
            _ name: StaticString, _ help: StaticString, _ value: (Int) -> Double?
        ) {
            page.family(name, .counter, help: help)
            for (place, endpoint) in endpoints.enumerated() {
                if let number = value(endpoint.id.index) { page.sample(number, labels[place]) }
            }
        }
        counter("tokens_in_total", "Prompt tokens that the engine has processed.") {
            control.probes[$0].last?.promptTokensTotal.map(Double.init)
        }
        counter("tokens_out_total", "Tokens that the engine has generated.") {
            control.probes[$0].last?.generationTokensTotal.map(Double.init)
        }
        counter("kv_cache_evictions_total", "Sequences that lost their KV cache.") {
            control.probes[$0].last?.preemptionsTotal.map(Double.init)
        }
        gauge("active_sequences", "Sequences that the engine is running.") {
            states[$0].ledger.reading.map { Double($0.running) }
        }
        gauge(
            "prefill_queue_len",
            "Requests that wait for prefill: in the engine; without endpoint, in this gateway."
        ) {
            states[$0].ledger.reading.map { Double($0.waiting) }
        }
        waiting(to: &page)
        gauge("kv_cache_tokens_used", "KV tokens of running sequences, as scraped.") {
            states[$0].ledger.reading?.usedTokens.map { Double($0.count) }
        }
        gauge("kv_cache_tokens_capacity", "KV tokens that the endpoint can hold.") {
            states[$0].ledger.capacity.map { Double($0.count) }
        }
        gauge("kv_cache_bytes_used", "KV bytes of running sequences, as scraped.") { place in
            bytesPerToken(place).flatMap { bytes in
                states[place].ledger.reading?.usedTokens.map { Double($0.count) * bytes }
            }
        }
        gauge("kv_cache_bytes_capacity", "KV bytes that the endpoint can hold.") { place in
            bytesPerToken(place).flatMap { bytes in
                states[place].ledger.capacity.map { Double($0.count) * bytes }
            }
        }
        accounts(states, gauge)
        gauge("penstock_endpoint_up", "1 while the endpoint is in rotation.") {
            states[$0].health.isAvailable ? 1 : 0
        }
        gauge("penstock_scrape_duration_seconds", "How long the last scrape took.") {
            control.probes[$0].took?.seconds
        }
    }

    /// What is accounted for there.
    private func accounts(
        _ states: borrowing UniqueArray<EndpointState>,
        _ gauge: (StaticString, StaticString, (Int) -> Double?) -> Void
    ) {
        gauge("penstock_kv_projected_ratio", "Projected KV use as a share of the capacity.") {
            states[$0].share(now: control.loop.now)
        }
        gauge(
            "penstock_kv_ledger_error_ratio",
            "Tokens that the engine reports less those accounted for, as a share of the capacity."
        ) {
            states[$0].ledger.error.share
        }
    }

    /// What waits in this gateway, in the family that was begun and its sister: of each pool the
    /// requests of the classes whose next one waits for that. They wait for none of its endpoints.
    private func waiting(to page: inout PrometheusWriter) {
        let queues = control.queueStates()
        func lengths(_ isMeant: (WaitingPhase?) -> Bool) {
            for pool in policy.pools where !pool.removed {
                var count = 0
                for trafficClass in policy.classes where trafficClass.pool == pool.id {
                    let queue = queues[trafficClass.id.index]
                    if isMeant(queue.phase) { count += queue.requests }
                }
                page.sample(count, labels(pool, endpoint: ""))
            }
        }
        lengths { $0 == .prefill }
        // No engine tells of the requests between prefill and decode yet.
        page.family(
            "decode_queue_len", .gauge,
            help: "Requests that wait for a place among those that decode, in this gateway.")
        lengths { $0 != .prefill }
    }

    private func bytesPerToken(_ place: Int) -> Double? {
        let pool = policy.pools[policy.endpoints[place].pool.index]
        return pool.kvBytesPerToken.map { Double($0) }
    }

    private func labels(_ endpoint: EndpointPolicy) -> PrometheusLabels {
        labels(policy.pools[endpoint.pool.index], endpoint: endpoint.authority)
    }

    private func labels(_ pool: PoolPolicy, endpoint: String) -> PrometheusLabels {
        let models = pool.models.map { policy.models[$0.index].name }
        return PrometheusLabels([
            ("pool", pool.name), ("endpoint", endpoint),
            ("model", models.joined(separator: ",")),
        ])
    }
}
