// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Budget
import Decision
import Policy
import Routing
import Store
import Telemetry
import Transport
import Units
import Wire

/// The rows of `/admin/events`: of what the pages say that which moves, so that what stands still
/// is not told again each second. Times that run by themselves are asked for at the pages.
struct FeedPage {
    /// Of one tenant's limits so many are told, in their order.
    static let mostLimits = 32
    /// Below it a scrape is as fresh as it should be.
    private static let freshScrape = 5.0

    let control: Control
    let usage: [LimitsSnapshot]
    private var policy: Policy { control.policy }

    init(_ control: Control, usage: [LimitsSnapshot]) {
        self.control = control
        self.usage = usage
    }

    func write() {
        tenants()
        endpoints()
        queues()
    }

    private func tenants() {
        let pages = AdminPages(control, usage: usage)
        let sums = TenantSums.byTenant(control.totals(), tenants: policy.tenants.count)
        control.feed.tenants.begin()
        for tenant in policy.tenants where !tenant.removed {
            control.feed.tenants.add(tenant.id.index) { json in
                json.beginObject()
                json.member("id", tenant.name)
                limits(of: tenant, to: &json)
                json.member(
                    "overridden", control.overrides.contains { $0.tenant == tenant.name })
                pages.write(sums[tenant.id.index], to: &json)
                json.endObject()
            }
        }
    }

    private func limits(of tenant: TenantPolicy, to json: inout JSONWriter) {
        let snapshot = tenant.id.index < usage.count ? usage[tenant.id.index] : nil
        let set =
            snapshot?.limits
            ?? LimitSet(showing: tenant, of: policy, wall: control.loop.wall)
        json.key("limits")
        json.beginArray()
        for (place, limit) in set.limits.prefix(Self.mostLimits).enumerated() {
            json.beginObject()
            json.member("name", limit.kind.rawValue)
            json.member("scope", limit.scope.rawValue)
            if limit.scope != .tenant { json.member("account", set.path(of: limit)) }
            json.member("limit", limit.amountInUnits)
            json.number("used", snapshot?.standing(place).used)
            json.endObject()
        }
        json.endArray()
        json.member("limits_left_out", max(0, set.limits.count - Self.mostLimits))
    }

    private func endpoints() {
        let states = control.endpointStates()
        control.feed.endpoints.begin()
        for endpoint in policy.endpoints where !endpoint.removed {
            control.feed.endpoints.add(endpoint.id.index) { json in
                json.beginObject()
                write(endpoint, states[endpoint.id.index], to: &json)
                json.endObject()
            }
        }
    }

    private func write(
        _ endpoint: EndpointPolicy, _ state: borrowing EndpointState, to json: inout JSONWriter
    ) {
        let now = control.loop.now
        let age = state.ledger.readAt.map { (now - $0).seconds }
        json.member("endpoint", endpoint.authority)
        json.member("pool", policy.pools[endpoint.pool.index].name)
        json.member("healthy", state.health.isHealthy)
        json.member("available", state.health.isAvailable)
        json.member("draining", state.health.isDraining)
        json.member("sleeping", state.health.isSleeping)
        json.member("ramp", (state.ramp.share(now) * 100).rounded() / 100)
        json.key("kv")
        json.beginObject()
        json.member("capacity_tokens", state.ledger.capacity?.count)
        json.member("scraped_tokens", state.ledger.reading?.usedTokens?.count)
        json.member("projected_tokens", state.projection.count)
        json.number("projected_share", state.share(now: now))
        json.member("ledger_alert", state.ledger.error.isAlerting)
        json.endObject()
        json.member("running", state.ledger.reading?.running)
        json.member("waiting", state.ledger.reading?.waiting)
        json.member("own_sequences", state.ledger.sequences)
        json.number("scrape_late_s", age.flatMap { $0 < Self.freshScrape ? nil : $0.rounded() })
        json.member("last_fault", control.probes[endpoint.id.index].lastFault)
    }

    private func queues() {
        let pages = AdminPages(control, usage: [])
        let queues = control.queueStates()
        let views = control.queueViews()
        control.feed.queues.begin()
        for trafficClass in policy.classes where !trafficClass.removed {
            let place = trafficClass.id.index
            control.feed.queues.add(place) { json in
                pages.write(trafficClass, queues[place], views[place], to: &json)
            }
        }
    }
}
