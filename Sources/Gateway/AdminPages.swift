// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Budget
import Decision
import Estimation
import Policy
import Routing
import Store
import Telemetry
import Transport
import Units
import Wire

/// What operators read, as JSON. No page shows a key, a secret or a prompt.
struct AdminPages {
    static let index = """
        Penstock

        GET  /healthz  /readyz  /metrics
        GET  /admin/tenants  /admin/tenants/{id}
        PATCH, DELETE /admin/tenants/{id}
        GET  /admin/organisations  /admin/organisations/{name}
        PATCH, DELETE /admin/organisations/{name}  /admin/organisations/{name}/teams/{team}
        GET  /admin/throttles?tenant=&reason=&since=&limit=
        GET  /admin/requests/{request id}?tenant=
        GET  /admin/pools  /admin/endpoints  /admin/queues
        GET  /admin/ledger  /admin/config
        GET  /admin/events (server-sent)
        POST /admin/reload
        POST /admin/endpoints/{host:port}/drain  /undrain

        """

    let control: Control
    /// How each tenant's limits stand, by tenant; empty where the store does not say.
    let usage: [LimitsSnapshot]

    init(_ control: Control, usage: [LimitsSnapshot]) {
        self.control = control
        self.usage = usage
    }

    var policy: Policy { control.policy }

    /// False when there is nothing of that name.
    func write(
        _ route: Control.AdminRoute, query: String, to text: inout ByteBuffer
    ) -> Bool {
        switch route {
        case .tenants: tenants(to: &text)
        case .tenant(let name): return tenant(name, to: &text)
        case .organisations: organisations(to: &text)
        case .group(let target): return group(target, to: &text)
        case .throttles: throttles(AdminQuery(query), to: &text)
        case .pools: pools(to: &text)
        case .endpoints: endpoints(to: &text)
        case .queues: queues(to: &text)
        case .ledger: ledger(to: &text)
        case .request(let name):
            return RequestPage(control).write(name, AdminQuery(query), to: &text)
        default: return false
        }
        return true
    }

    // MARK: tenants

    private func tenants(to text: inout ByteBuffer) {
        let sums = TenantSums.byTenant(control.totals(), tenants: policy.tenants.count)
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("tenants")
            json.beginArray()
            for tenant in policy.tenants where !tenant.removed {
                write(tenant, sums[tenant.id.index], to: &json)
            }
            json.endArray()
            json.endObject()
        }
    }

    private func tenant(_ name: String, to text: inout ByteBuffer) -> Bool {
        guard let tenant = policy.tenants.first(where: { !$0.removed && $0.name == name }) else {
            return false
        }
        let sums = TenantSums.byTenant(control.totals(), tenants: policy.tenants.count)
        JSONWriter.write(into: &text) { write(tenant, sums[tenant.id.index], to: &$0) }
        return true
    }

    private func write(
        _ tenant: TenantPolicy, _ sums: TenantSums, to json: inout JSONWriter
    ) {
        json.beginObject()
        json.member("id", tenant.name)
        json.key("classes")
        json.beginArray()
        for id in tenant.classes { json.string(policy.classes[id.index].name) }
        json.endArray()
        keys(of: tenant, to: &json)
        json.key("limits")
        json.beginArray()
        let snapshot = tenant.id.index < usage.count ? usage[tenant.id.index] : nil
        let set =
            snapshot?.limits
            ?? LimitSet(showing: tenant, of: policy, wall: control.loop.wall)
        for (place, limit) in set.limits.enumerated() {
            json.beginObject()
            json.member("name", limit.kind.rawValue)
            json.member("scope", limit.scope.rawValue)
            json.member("account", set.path(of: limit))
            json.member("limit", limit.amountInUnits)
            if limit.capacity < limit.amount { json.member("burst", limit.capacityInUnits) }
            if let standing = snapshot?.standing(place) {
                json.member("used", standing.used)
                json.member("remaining", standing.remaining)
                json.member("reset_s", standing.reset.seconds)
            }
            json.endObject()
        }
        json.endArray()
        control.writeOverride(of: tenant.name, to: &json)
        write(sums, to: &json)
        ratios(of: tenant, to: &json)
        json.endObject()
    }

    /// Its keys by what they are called, and when they are good.
    private func keys(of tenant: TenantPolicy, to json: inout JSONWriter) {
        json.key("keys")
        json.beginArray()
        for key in tenant.keys {
            json.beginObject()
            json.member("id", key.label)
            json.member("state", key.state(at: control.loop.wall).rawValue)
            json.member("not_before", key.notBefore.map { RFC3339.text($0) })
            json.member("expires", key.expires.map { RFC3339.text($0) })
            json.endObject()
        }
        json.endArray()
    }

    /// What its prompts' estimates are multiplied with, and how far off they were, by model.
    private func ratios(of tenant: TenantPolicy, to json: inout JSONWriter) {
        json.key("prompt_ratios")
        json.beginObject()
        for (model, ratio) in control.promptRatios(of: tenant) {
            json.key(policy.models[model.index].name)
            json.double(ratio)
        }
        json.endObject()
        json.key("estimate_errors")
        json.beginObject()
        for (model, error, addition) in control.promptErrors(of: tenant) {
            json.key(policy.models[model.index].name)
            json.beginObject()
            json.member("prompts", Int(error.prompts.rounded()))
            json.key("median")
            json.double(error.median)
            json.key("p95")
            json.double(error.p95)
            json.key("template_tokens")
            json.double(addition)
            json.endObject()
        }
        json.endObject()
    }

    /// Requests by outcome, tokens, cost, and what was refused for which reason.
    func write(_ sums: TenantSums, to json: inout JSONWriter) {
        json.key("requests")
        json.beginObject()
        for outcome in Outcome.allCases {
            json.key(outcome.rawValue)
            json.int(Int(sums.outcomes[outcome.index]))
        }
        json.endObject()
        json.key("tokens")
        json.beginObject()
        json.member("input", Int(sums.input))
        json.member("output", Int(sums.output))
        json.endObject()
        json.member("cost", sums.cost)
        json.key("throttled")
        json.beginObject()
        for reason in RefusalReason.allCases
        where reason.isThrottle && sums.refusals[reason.number] > 0 {
            json.key(reason.code)
            json.int(Int(sums.refusals[reason.number]))
        }
        json.endObject()
    }

    // MARK: throttles

    private func throttles(_ query: AdminQuery, to text: inout ByteBuffer) {
        let limit = min(max(query["limit"].flatMap { Int($0) } ?? 100, 1), policy.throttleHistory)
        let since = query["since"].flatMap { Double($0) }
        var written = 0
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("throttles")
            json.beginArray()
            for record in control.shared.throttles.recent() {
                if written >= limit { break }
                let tenant = policy.tenants[record.tenant.index].name
                if let wanted = query["tenant"], wanted != tenant { continue }
                if let wanted = query["reason"], wanted != record.refusal.reason.code { continue }
                let seconds = Double(record.at.nanoseconds) / 1e9
                if let since, seconds < since { break }
                written += 1
                write(record, to: &json)
            }
            json.endArray()
            json.endObject()
        }
    }

    func write(_ record: ThrottleRecord, to json: inout JSONWriter) {
        json.beginObject()
        json.member("time", LogTime.text(record.at))
        json.member("time_s", Double(record.at.nanoseconds) / 1e9)
        json.member("request_id", record.request.text)
        json.member("tenant", policy.tenants[record.tenant.index].name)
        json.member("class", record.trafficClass.map { policy.classes[$0.index].name })
        json.member("model", record.model.map { policy.models[$0.index].name })
        json.member("reason", record.refusal.reason.code)
        json.member("status", record.refusal.reason.status)
        json.member("scope", record.refusal.scope?.rawValue)
        json.key("estimate")
        json.beginObject()
        json.member("input", record.input.count)
        json.member("output_expected", record.output.count)
        json.endObject()
        for (name, value) in [
            ("limit", record.refusal.limit), ("used", record.refusal.used),
            ("requested", record.refusal.requested),
        ] {
            json.key(name)
            if let value { json.double(value) } else { json.null() }
        }
        json.member(
            "retry_after_ms", record.refusal.retryAfter.map { max(1, $0.millisecondsRoundedUp) })
        json.endObject()
    }

    // MARK: pools

    private func pools(to text: inout ByteBuffer) {
        let states = control.endpointStates()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("pools")
            json.beginArray()
            for pool in policy.pools where !pool.removed {
                json.beginObject()
                json.member("name", pool.name)
                json.member("engine", pool.engine.rawValue)
                json.key("models")
                json.beginArray()
                for model in pool.models { json.string(policy.models[model.index].name) }
                json.endArray()
                json.key("endpoints")
                json.beginArray()
                for id in pool.endpoints { write(id, states[id.index], to: &json) }
                json.endArray()
                json.endObject()
            }
            json.endArray()
            json.endObject()
        }
    }

    private func endpoints(to text: inout ByteBuffer) {
        let states = control.endpointStates()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("endpoints")
            json.beginArray()
            for endpoint in policy.endpoints where !endpoint.removed {
                write(endpoint.id, states[endpoint.id.index], to: &json)
            }
            json.endArray()
            writeGPUs(states, to: &json)
            json.endObject()
        }
    }

    /// What engines have in flight together that share a GPU.
    private func writeGPUs(
        _ states: borrowing UniqueArray<EndpointState>, to json: inout JSONWriter
    ) {
        json.key("gpus")
        json.beginArray()
        for gpu in policy.gpus {
            json.beginObject()
            json.member("gpu", gpu.name)
            let inFlight = gpu.endpoints.reduce(0) { $0 + states[$1.index].inFlight.count }
            json.member("tokens_in_flight", inFlight)
            json.member("max_tokens_in_flight", gpu.maxTokensInFlight.count)
            json.key("endpoints")
            json.beginArray()
            for id in gpu.endpoints { json.string(policy.endpoints[id.index].authority) }
            json.endArray()
            json.endObject()
        }
        json.endArray()
    }

    private func write(
        _ id: EndpointID, _ state: borrowing EndpointState, to json: inout JSONWriter
    ) {
        let endpoint = policy.endpoints[id.index]
        let probe = control.probes[id.index]
        let now = control.loop.now
        json.beginObject()
        json.member("endpoint", endpoint.authority)
        json.member("pool", policy.pools[endpoint.pool.index].name)
        json.member("healthy", state.health.isHealthy)
        json.member("available", state.health.isAvailable)
        json.member("draining", state.health.isDraining)
        json.member("sleeping", state.health.isSleeping)
        json.member("ramp", state.ramp.share(now))
        json.key("kv")
        json.beginObject()
        json.member("capacity_tokens", state.ledger.capacity?.count)
        json.member("scraped_tokens", state.ledger.reading?.usedTokens?.count)
        json.member("projected_tokens", state.projection.count)
        json.member("others_tokens", state.ledger.others.count)
        json.member("given_back_tokens", state.ledger.givenBack.count)
        json.number("ledger_error", state.ledger.error.share)
        json.key("ledger_alert")
        json.bool(state.ledger.error.isAlerting)
        json.key("projected_share")
        if let share = state.share(now: now) {
            json.double(share)
        } else {
            json.null()
        }
        json.endObject()
        write(state, of: control.sharingStatus(), to: &json)
        json.member("running", state.ledger.reading?.running)
        json.member("waiting", state.ledger.reading?.waiting)
        json.member("own_sequences", state.ledger.sequences)
        json.member("prefilling_tokens", state.ledger.prefilling.count)
        json.number("prefill_share", state.prefillPart)
        json.key("time_per_output_token_ms")
        if let pace = state.pace { json.double(pace.seconds * 1e3) } else { json.null() }
        json.key("scrape_age_s")
        if let readAt = state.ledger.readAt {
            json.double((now - readAt).seconds)
        } else {
            json.null()
        }
        json.member("probe_failures", probe.failures)
        json.member("last_fault", probe.lastFault)
        json.endObject()
    }

    /// What is known of other gateways there; null where none are looked for.
    private func write(
        _ state: borrowing EndpointState, of sharing: SharingStatus?, to json: inout JSONWriter
    ) {
        json.key("sharing")
        guard let sharing else { return json.null() }
        json.beginObject()
        json.member("peers", sharing.peers)
        json.member("store", sharing.store.rawValue)
        json.member("peer_tokens", state.peerTokens.count)
        json.member("granted_tokens", state.grantedTokens.count)
        json.endObject()
    }
}

/// The query of an admin request: names once, values percent-decoded.
struct AdminQuery {
    private let pairs: [(name: String, value: String)]

    init(_ query: String) {
        pairs = query.split(separator: "&").prefix(32).compactMap { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty else { return nil }
            return (String(parts[0]), Control.decoded(parts[1]))
        }
    }

    subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }
}
