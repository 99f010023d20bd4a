// SPDX-License-Identifier: Apache-2.0

import BasicContainers
import Decision
import Policy
import Transport
import Units
import Wire

/// Who waits, for what, and how long.
extension AdminPages {
    /// Of the tenants of a queue so many are listed.
    private static let mostTenants = 100

    func queues(to text: inout ByteBuffer) {
        let queues = control.queueStates()
        let views = control.queueViews()
        JSONWriter.write(into: &text) { json in
            json.beginObject()
            json.key("queues")
            json.beginArray()
            for trafficClass in policy.classes where !trafficClass.removed {
                let place = trafficClass.id.index
                write(trafficClass, queues[place], views[place], to: &json)
            }
            json.endArray()
            prefillShares(to: &json)
            json.endObject()
        }
    }

    /// The part of each second that prompts may take at each engine; null without a bound.
    private func prefillShares(to json: inout JSONWriter) {
        let states = control.endpointStates()
        json.key("prefill_shares")
        json.beginArray()
        for endpoint in policy.endpoints where !endpoint.removed {
            json.beginObject()
            json.member("endpoint", endpoint.authority)
            json.member("pool", policy.pools[endpoint.pool.index].name)
            json.number("prefill_share", states[endpoint.id.index].prefillPart)
            json.endObject()
        }
        json.endArray()
    }

    func write(
        _ trafficClass: ClassPolicy, _ queue: Control.QueueState, _ view: QueueView,
        to json: inout JSONWriter
    ) {
        let oldest = queue.oldest.map { (control.loop.now - $0).seconds }
        json.beginObject()
        json.member("class", trafficClass.name)
        json.member("pool", policy.pools[trafficClass.pool.index].name)
        json.member("requests", queue.requests)
        json.member("tokens", queue.tokens.count)
        json.member("max_requests", trafficClass.queue.maxRequests)
        json.member("max_tokens", trafficClass.queue.maxTokens.count)
        json.member("throttle_at", trafficClass.throttleAt)
        json.member("reject_at", trafficClass.rejectAt)
        json.number("oldest_s", oldest)
        json.member("waits_for", view.phase.map(RequestPage.word))
        json.number("next_wait_s", view.nextWait?.seconds)
        json.number(
            "predicted_wait_s", queue.requests == 0 ? 0 : view.lastWait?.seconds)
        json.key("phases")
        json.beginArray()
        for (name, isPrefill): (StaticString, Bool) in [("prefill", true), ("decode", false)] {
            let isThis = queue.phase.map { ($0 == .prefill) == isPrefill } ?? false
            json.beginObject()
            json.member("phase", name)
            json.member("requests", isThis ? queue.requests : 0)
            json.member("tokens", isThis ? queue.tokens.count : 0)
            json.number("oldest_s", isThis ? oldest : nil)
            json.endObject()
        }
        json.endArray()
        shares(view, to: &json)
        json.endObject()
    }

    private func shares(_ view: QueueView, to json: inout JSONWriter) {
        let all = max(1, view.shares.reduce(0) { $0 + $1.tokens.count })
        json.key("tenants")
        json.beginArray()
        for share in view.shares.prefix(Self.mostTenants) {
            let tenant = policy.tenants[share.tenant.index]
            json.beginObject()
            json.member("tenant", tenant.name)
            json.member("requests", share.requests)
            json.member("tokens", share.tokens.count)
            json.member("share", Double(share.tokens.count) / Double(all))
            json.member("weight", tenant.weight)
            json.member("served_ahead", share.servedAhead)
            json.endObject()
        }
        json.endArray()
        json.member("tenants_left_out", max(0, view.shares.count - Self.mostTenants))
    }
}
