// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import Policy
import Store
import Synchronization
import Telemetry
import Transport
import Units
import Wire

/// Why one request was decided about as it was: what its worker and the machine noted, as JSON.
struct RequestPage {
    let control: Control
    private var policy: Policy { control.policy }

    init(_ control: Control) { self.control = control }

    /// False when no such request is remembered.
    func write(_ name: String, _ query: AdminQuery, to text: inout ByteBuffer) -> Bool {
        guard let name = RequestName(name) else { return false }
        var tenant: TenantID?
        if let wanted = query["tenant"] {
            tenant = policy.tenants.first { $0.name == wanted }?.id
            if tenant == nil { return false }
        }
        guard let (number, trace) = control.shared.traces.newest(name, of: tenant) else {
            return false
        }
        let decision = control.shared.decider.withLock { $0.trace(number) }
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            identity(trace, decision, to: &json)
            estimate(trace, decision, to: &json)
            limits(trace, to: &json)
            queue(trace, decision, to: &json)
            endpoints(decision, to: &json)
            comesBack(trace, decision, to: &json)
            settlement(trace, to: &json)
            times(trace, decision, to: &json)
            json.endObject()
        }
        return true
    }

    // MARK: who, and what became of it

    private func identity(
        _ trace: RequestTrace, _ decision: DecisionTrace?, to json: inout JSONWriter
    ) {
        json.member("request_id", trace.name.text)
        json.member("client", trace.client?.text)
        json.member("tenant", policy.tenants[trace.tenant.index].name)
        json.member("class", trafficClass(trace, decision).map { policy.classes[$0.index].name })
        json.member("class_asked", trace.trafficClass.map { policy.classes[$0.index].name })
        json.member("model", trace.model.map { policy.models[$0.index].name })
        json.member("outcome", trace.outcome?.rawValue ?? "open")
        json.member("reason", trace.refusal?.reason.code)
        json.member("stage", decision.map { Self.word($0.stage) })
        json.member("decision", verdict(trace, decision))
        json.member("status", status(trace))
        numbers(trace.refusal, to: &json)
    }

    private func trafficClass(_ trace: RequestTrace, _ decision: DecisionTrace?) -> ClassID? {
        decision?.trafficClass ?? trace.trafficClass
    }

    /// What stands in `X-Penstock-Decision`; nil while nothing is decided.
    private func verdict(_ trace: RequestTrace, _ decision: DecisionTrace?) -> String? {
        if let refusal = trace.refusal { return refusal.reason.code }
        guard let decision else { return nil }
        if let asked = trace.trafficClass, asked != decision.trafficClass { return "deferred" }
        switch decision.stage {
        case .budgeting, .refused: return nil
        case .queued: return "queued"
        case .forwarded:
            // One for which only the store was asked has not been told to wait.
            let waited = trace.outcome == nil ? decision.wasQueued : trace.wasQueued
            if trace.wasTruncated { return "truncated" }
            return decision.isClamped ? "clamped" : waited ? "queued" : "admitted"
        }
    }

    private func status(_ trace: RequestTrace) -> Int? {
        trace.refusal?.reason.status ?? (trace.status > 0 ? trace.status : nil)
    }

    /// What the refusal itself compared, in the unit of its reason.
    private func numbers(_ refusal: Refusal?, to json: inout JSONWriter) {
        json.key("compared")
        guard let refusal, refusal.limit ?? refusal.used ?? refusal.requested != nil else {
            return json.null()
        }
        json.beginObject()
        json.number("limit", refusal.limit)
        json.number("used", refusal.used)
        json.number("requested", refusal.requested)
        json.endObject()
    }

    static func word(_ stage: DecisionTrace.Stage) -> String {
        switch stage {
        case .budgeting: "budgeting"
        case .queued: "queued"
        case .forwarded: "forwarded"
        case .refused: "refused"
        }
    }

    // MARK: estimate, limits

    private func estimate(
        _ trace: RequestTrace, _ decision: DecisionTrace?, to json: inout JSONWriter
    ) {
        json.key("estimate")
        guard let input = decision?.input ?? trace.input else { return json.null() }
        json.beginObject()
        json.member("input", input.count)
        json.member("input_by_text", (decision?.estimated ?? trace.input)?.count)
        json.member("output_expected", decision?.expected.count)
        json.member("output_bound", decision?.bound.count)
        json.member("output_bound_asked", trace.askedBound?.count)
        json.member("choices", decision?.choices)
        json.key("cost")
        if let ask = trace.ask { json.double(ask.cost) } else { json.null() }
        json.endObject()
    }

    private func limits(_ trace: RequestTrace, to json: inout JSONWriter) {
        json.key("limits")
        json.beginArray()
        for compared in trace.comparisons {
            json.beginObject()
            json.member("name", compared.kind.rawValue)
            json.member("scope", compared.scope.rawValue)
            json.member("limit", compared.limit)
            json.number("used", compared.used)
            json.number("requested", compared.requested)
            json.key("fits")
            if let fits = compared.fits { json.bool(fits) } else { json.null() }
            json.endObject()
        }
        json.endArray()
        json.member("budget_from", trace.holder.map(Self.word))
    }

    private static func word(_ holder: ReservationHolder) -> String {
        switch holder {
        case .store: "store"
        case .book: "lease"
        case .replica: "replica"
        case .nobody: "nobody"
        case .outstanding: "outstanding"
        }
    }

    // MARK: queue

    private func queue(
        _ trace: RequestTrace, _ decision: DecisionTrace?, to json: inout JSONWriter
    ) {
        json.key("queue")
        guard let decision, let from = decision.waitsFrom else { return json.null() }
        let until =
            decision.stage == .queued ? trace.endedAt ?? control.loop.now : decision.decidedAt
        json.beginObject()
        json.member("waited", decision.wasQueued)
        json.member("waited_s", decision.wasQueued ? max(0, (until - from).seconds) : 0)
        json.member("max_wait_s", (decision.waitsUntil - from).seconds)
        json.number("predicted_wait_s", decision.predictedWait?.seconds)
        json.member("waiters_ahead", decision.waitersAhead)
        json.member("tokens_ahead", decision.tokensAhead.count)
        json.member("waits_for", decision.lack.map(Self.word))
        json.member("class_rank", policy.classes[decision.trafficClass.index].rank)
        json.member("passed", decision.passes)
        json.member("bounced", decision.bounces)
        json.endObject()
    }

    static func word(_ phase: WaitingPhase) -> String {
        switch phase {
        case .prefill: "prefill"
        case .decode: "decode"
        case .turn: "turn"
        }
    }

    // MARK: endpoints

    private func endpoints(_ decision: DecisionTrace?, to json: inout JSONWriter) {
        json.key("endpoints")
        json.beginArray()
        for offer in decision?.offers ?? [] { write(offer, to: &json) }
        json.endArray()
        json.member("endpoints_left_out", decision?.leftOut ?? 0)
        json.member("chosen_by", decision?.way.map(Self.word))
        json.key("throttle_at")
        if let decision {
            json.double(policy.classes[decision.trafficClass.index].throttleAt)
        } else {
            json.null()
        }
    }

    private func write(_ offer: DecisionTrace.Offer, to json: inout JSONWriter) {
        json.beginObject()
        json.member("endpoint", policy.endpoints[offer.endpoint.index].authority)
        json.number("projected_kv", offer.share)
        json.member("projected_tokens", offer.held.count)
        json.number("score", offer.score)
        json.member("ramp", offer.ramp)
        json.member("chosen", offer.isChosen)
        json.member("available", offer.isAvailable)
        json.member("fits", offer.fits)
        json.member("takes_prompt", offer.takesPrompt)
        json.number("prompt_wait_s", offer.promptWait == .infinite ? nil : offer.promptWait.seconds)
        json.member("cached_tokens", offer.cached.count)
        json.member("committed_tokens", offer.committed.count)
        json.member("prefill_tokens_per_s", offer.prefillPerSecond)
        json.endObject()
    }

    private static func word(_ way: DecisionTrace.Way) -> String {
        switch way {
        case .leastShare: "least_share"
        case .warmPrefix: "warm_prefix"
        case .leastDelay: "least_delay"
        case .prefixHash: "prefix_hash"
        case .lowerBound: "lower_bound"
        }
    }

    // MARK: the end

    private func comesBack(
        _ trace: RequestTrace, _ decision: DecisionTrace?, to json: inout JSONWriter
    ) {
        json.member(
            "retry_after_ms", trace.refusal?.retryAfter.map { max(1, $0.millisecondsRoundedUp) })
        json.key("retry_after")
        guard trace.refusal?.retryAfter != nil, let wait = decision?.comesBack else {
            return json.null()
        }
        json.beginObject()
        json.number("room_s", wait.room?.seconds)
        json.number("spacing_s", wait.spacing?.seconds)
        json.member("told_s", wait.told.seconds)
        json.endObject()
    }

    private func settlement(_ trace: RequestTrace, to json: inout JSONWriter) {
        json.key("settlement")
        guard let settled = trace.settled else { return json.null() }
        json.beginObject()
        json.member("input", settled.usage.input.count)
        json.member("cached_input", settled.usage.cachedInput.count)
        json.member("output", settled.usage.output.count)
        json.member("source", settled.source.rawValue)
        json.member("cost", settled.cost)
        json.endObject()
    }

    /// When it came, and what happened how long after that.
    private func times(
        _ trace: RequestTrace, _ decision: DecisionTrace?, to json: inout JSONWriter
    ) {
        json.member("time", LogTime.text(trace.began))
        json.member("time_s", Double(trace.began.nanoseconds) / 1e9)
        json.key("times")
        json.beginObject()
        let forwarded = decision.flatMap { $0.stage == .forwarded ? $0.decidedAt : nil }
        for (name, moment): (StaticString, Instant?) in [
            ("read_s", trace.readAt), ("budgeted_s", decision?.waitsFrom),
            ("forwarded_s", trace.forwardedAt ?? forwarded),
            ("first_token_s", trace.firstTokenAt), ("ended_s", trace.endedAt),
        ] {
            json.number(name, moment.map { ($0 - trace.arrivedAt).seconds })
        }
        json.endObject()
    }
}

extension JSONWriter {
    /// `null` for nil.
    mutating func number(_ name: StaticString, _ value: Double?) {
        key(name)
        if let value { double(value) } else { null() }
    }
}

extension Control.AdminRoute {
    /// What a page of one thing says when there is no such thing.
    var absence: String {
        switch self {
        case .request: "no such request is remembered (admin.request_history)"
        case .group(let target): Control.absence(target)
        default: "there is no such tenant"
        }
    }
}
