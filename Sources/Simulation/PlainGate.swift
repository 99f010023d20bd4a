// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Units

/// What a gateway under a baseline remembers.
struct PlainGate {
    /// What the last scrape showed of an endpoint.
    struct Reading {
        var usage = 0.0
        var waiting = 0
        var isThere = true
    }

    /// By tenant; one for all where the order is that of arrival.
    var queues: [Deque<Int>]
    /// Service by tenant and weight, for virtual counters.
    var counters: [Double]
    let weights: [Double]
    /// The tenant, or the endpoint, that had the last turn.
    var lastTenant = -1
    var lastEndpoint = -1
    var readings: [Reading]
    /// Own requests at each endpoint, and what they reserve.
    var own: [Int]
    var reserved: [Int]
    /// Fill of the buckets: requests, or engine seconds by endpoint.
    var level: [Double]
    var filledAt = Instant(nanoseconds: 0)
    var waiting = 0

    init(_ rule: PlainRule, _ setup: FleetSetup, weights: [Double]) {
        let tenants = weights.count
        self.weights = weights
        queues = Array(repeating: [], count: rule.order == .arrival ? 1 : tenants)
        counters = Array(repeating: 0, count: tenants)
        readings = Array(repeating: Reading(), count: setup.allEndpoints)
        own = Array(repeating: 0, count: setup.allEndpoints)
        reserved = Array(repeating: 0, count: setup.allEndpoints)
        switch rule.admission {
        case .rate(let share): level = [share * setup.capacity]
        case .work: level = Array(repeating: 1, count: setup.allEndpoints)
        case .all, .reactive, .reserve, .peakWalk, .projection: level = []
        }
    }

    /// Lets the bucket drip until now, to `depth` at most.
    mutating func fill(perSecond: Double, depth: Double, now: Instant) {
        let passed = (now - filledAt).seconds
        filledAt = now
        for place in level.indices { level[place] = min(depth, level[place] + passed * perSecond) }
    }

    mutating func append(_ client: Int, tenant: Int) {
        let queue = queues.count == 1 ? 0 : tenant
        if queues[queue].isEmpty { lift(tenant) }
        queues[queue].append(client)
        waiting += 1
    }

    /// A tenant back from idle has no credit from before: it begins with the least counter of
    /// those who wait (VTC, algorithm 2).
    private mutating func lift(_ tenant: Int) {
        guard queues.count > 1 else { return }
        var least: Double?
        for other in queues.indices where !queues[other].isEmpty {
            least = min(least ?? counters[other], counters[other])
        }
        if let least { counters[tenant] = max(counters[tenant], least) }
    }

    /// The queue whose turn it is; nil when nobody waits.
    func next(_ order: PlainRule.Order) -> Int? {
        guard waiting > 0 else { return nil }
        let places = queues.indices
        switch order {
        case .arrival: return 0
        case .turns:
            return places.map { ($0 + lastTenant + 1) % queues.count }
                .first { !queues[$0].isEmpty }
        case .counters:
            var best: Int?
            for place in places where !queues[place].isEmpty {
                if best.map({ counters[place] < counters[$0] }) ?? true { best = place }
            }
            return best
        }
    }

    mutating func charge(_ tenant: Int, _ cost: Int) {
        counters[tenant] += Double(cost) / weights[tenant]
    }
}
