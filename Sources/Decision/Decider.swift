// SPDX-License-Identifier: Apache-2.0

import Admission
import Budget
import Estimation
package import Policy
import Routing
package import Scheduling
package import Units

/// Decides about every request of the process: events in, actions out, no clock, no chance, no I/O.
///
/// The order of the stages stands in `handle` and the methods it calls, and nowhere else:
/// estimate → policy → budget → queue → choose and admit → observe → settle. The budget is asked
/// from outside (`Action.reserve`, `Event.budgeted`), since a store may be a network away.
package struct Decider: Sendable {
    /// One request between arrival and end.
    struct Entry: Sendable {
        var request: RequestID
        var arrival: Arrival
        var stage: Stage
        var arrivedAt: Instant
        /// Output bound of one choice, after every cap.
        var bound: Tokens
        /// The engine must be told `bound`.
        var isClamped: Bool
        /// Expected output, all choices.
        var expected: Tokens
        var streamed = Tokens.zero
        var firstTokenAt: Instant?
        var lastTokenAt: Instant?
        var bounces = 0
    }

    /// Where a request stands. Every stage may also end by `ended`.
    enum Stage: Sendable, Equatable {
        /// The store was asked; → queued, forwarded, or refused.
        case budgeting
        /// Waits for room; → forwarded, or refused.
        case queued(SlabKey)
        /// At an endpoint; → forwarded elsewhere when it bounced.
        case forwarded(EndpointID)
        /// Refused; only `ended` follows.
        case refused
    }

    package private(set) var policy: Policy
    var entries: Slab<Entry>
    var endpoints: [EndpointState] = []
    var pools: [PoolState] = []
    var queues: [ClassQueue] = []
    var outputs: OutputEstimate
    var random: SplitMix64

    /// At most `limit` requests at once; `seed` for the jitter of waits.
    package init(policy: Policy, limit: Int, seed: UInt64) {
        self.policy = policy
        entries = Slab(limit: limit)
        outputs = OutputEstimate(limit: 4_096)
        random = SplitMix64(seed: seed)
        grow(to: policy)
    }

    /// What is known of every endpoint, by identifier.
    package var endpointStates: [EndpointState] { endpoints }
    package func state(of endpoint: EndpointID) -> EndpointState { endpoints[endpoint.index] }
    package func queue(of trafficClass: ClassID) -> ClassQueue { queues[trafficClass.index] }
    /// Requests that wait for room.
    package var waiting: Int { queues.reduce(0) { $0 + $1.count } }
    /// Requests between arrival and end.
    package var open: Int { entries.count }

    // MARK: events

    package mutating func handle(_ event: Event, now: Instant, into actions: inout [Action]) {
        switch event {
        case .arrived(let request, let arrival):
            arrive(request, arrival, now: now, into: &actions)
        case .budgeted(let ticket, let verdict):
            budget(ticket, verdict, now: now, into: &actions)
        case .bounced(let ticket):
            bounce(ticket, now: now, into: &actions)
        case .streamed(let ticket, let output):
            stream(ticket, output, now: now)
        case .ended(let ticket, let ending):
            end(ticket, ending, now: now, into: &actions)
        case .probed(let endpoint, let reading):
            probe(endpoint, reading, now: now, into: &actions)
        case .probeFailed(let endpoint):
            endpoints[endpoint.index].health.failed(now: now)
        case .drained(let endpoint, let draining):
            endpoints[endpoint.index].health.drain(draining)
            if !draining { dispatchAll(now: now, into: &actions) }
        case .reconfigured(let policy):
            self.policy = policy
            grow(to: policy)
            for endpoint in policy.endpoints where !endpoint.removed {
                endpoints[endpoint.id.index].configure(
                    endpoint, pool: policy.pools[endpoint.pool.index], upstream: policy.upstream)
            }
        case .ticked:
            expire(now: now, into: &actions)
            dispatchAll(now: now, into: &actions)
        }
    }

    // MARK: estimate, policy

    private mutating func arrive(
        _ request: RequestID, _ arrival: Arrival, now: Instant, into actions: inout [Action]
    ) {
        let model = policy.models[arrival.model.index]
        let limits = policy.tenants[arrival.tenant.index].limits
        if let refusal = Self.promptRefusal(arrival, model, limits) {
            return actions.append(.refuse(request, refusal))
        }
        let entry = estimated(request, arrival, model, limits, now: now)
        guard let ticket = entries.insert(entry) else {
            return actions.append(
                .refuse(request, Refusal(.gatewayOverloaded, retryAfter: .seconds(1))))
        }
        let ask = BudgetAsk(
            tenant: arrival.tenant, input: arrival.input, output: entry.expected,
            cost: Self.cost(model.price, input: arrival.input, output: entry.expected))
        actions.append(.reserve(request, ticket, ask))
    }

    /// A prompt that no room would help: over the model's context, or over the tenant's cap.
    private static func promptRefusal(
        _ arrival: Arrival, _ model: ModelPolicy, _ limits: TenantLimits
    ) -> Refusal? {
        let longest = min(
            model.contextLength, limits.maxPromptTokens ?? model.contextLength)
        guard arrival.input > longest else { return nil }
        return Refusal(
            .contextLengthExceeded, limit: Double(longest.count),
            requested: Double(arrival.input.count))
    }

    private func estimated(
        _ request: RequestID, _ arrival: Arrival, _ model: ModelPolicy, _ limits: TenantLimits,
        now: Instant
    ) -> Entry {
        let room = Tokens(max(1, model.contextLength.count - arrival.input.count))
        var bound = min(arrival.bound ?? room, room)
        var isClamped = false
        if let cap = limits.maxCompletionTokens, arrival.bound.map({ $0 > cap }) ?? true {
            bound = min(bound, cap)
            isClamped = true
        }
        var expected = outputs.expected(
            model: arrival.model, tenant: arrival.tenant, bound: bound)
        if arrival.isForced { expected = bound }
        if arrival.isOutputless {
            bound = .zero
            expected = .zero
            isClamped = false
        }
        return Entry(
            request: request, arrival: arrival, stage: .budgeting, arrivedAt: now, bound: bound,
            isClamped: isClamped, expected: Tokens(expected.count * arrival.choices))
    }

    /// Money for so many tokens, in the price's currency.
    package static func cost(_ price: Price?, input: Tokens, output: Tokens) -> Double {
        guard let price else { return 0 }
        return (Double(input.count) * price.inputPerMillion
            + Double(output.count) * price.outputPerMillion) / 1e6
    }

    // MARK: budget

    private mutating func budget(
        _ ticket: Ticket, _ verdict: BudgetVerdict, now: Instant, into actions: inout [Action]
    ) {
        // The client may have left while the store was asked.
        guard let entry = entries[ticket], entry.stage == .budgeting else { return }
        switch verdict {
        case .reserved:
            enqueue(ticket, entry, now: now, into: &actions)
        case .refused(let kind, let limit, let used, let requested, let wait):
            let told = spread(wait)
            refuse(
                ticket,
                Refusal(
                    kind.refusal, retryAfter: told, isFinal: told > ReturnSlots.longest,
                    limit: limit, used: used, requested: requested), into: &actions)
        case .neverFits(_, let limit, let requested):
            refuse(
                ticket, Refusal(.requestExceedsLimit, limit: limit, requested: requested),
                into: &actions)
        case .unavailable(let retryAfter):
            refuse(
                ticket, Refusal(.budgetStoreUnavailable, retryAfter: spread(retryAfter)),
                into: &actions)
        }
    }

    /// A little more than `wait`, so that clients refused together do not come back together.
    private mutating func spread(_ wait: Duration) -> Duration {
        let jitter = Duration.seconds(random.unit() * min(0.05 * wait.seconds + 0.02, 0.5))
        // Within what all clients honour, the jitter must not push a wait over the edge.
        return wait <= ReturnSlots.longest
            ? min(wait + jitter, ReturnSlots.longest) : wait + jitter
    }

    // MARK: ends

    mutating func refuse(_ ticket: Ticket, _ refusal: Refusal, into actions: inout [Action]) {
        guard let entry = entries[ticket] else { return }
        entries.update(ticket) { $0.stage = .refused }
        actions.append(.refuse(entry.request, refusal))
    }

    private mutating func end(
        _ ticket: Ticket, _ ending: Ending, now: Instant, into actions: inout [Action]
    ) {
        guard let entry = entries.remove(ticket) else { return }
        switch entry.stage {
        case .budgeting, .refused: return
        case .queued(let place):
            queues[entry.arrival.trafficClass.index].remove(place)
        case .forwarded(let endpoint):
            release(entry, from: endpoint, now: now)
            learn(entry, ending, at: endpoint, now: now)
        }
        dispatch(
            policy.classes[entry.arrival.trafficClass.index].pool, now: now, into: &actions)
    }

    private mutating func learn(
        _ entry: Entry, _ ending: Ending, at endpoint: EndpointID, now: Instant
    ) {
        if ending.isEngineFault { endpoints[endpoint.index].health.failed(now: now) }
        guard ending.isComplete, !entry.arrival.isOutputless else { return }
        if !entry.arrival.isForced {
            outputs.learn(
                model: entry.arrival.model, tenant: entry.arrival.tenant, bound: entry.bound,
                produced: Tokens(ending.output.count / max(1, entry.arrival.choices)))
        }
        let each = ending.output.count / max(1, entry.arrival.choices)
        if each > 1 {
            endpoints[endpoint.index].observePace(
                Duration(nanoseconds: ending.generating.nanoseconds / Int64(each - 1)))
        }
    }

    private mutating func grow(to policy: Policy) {
        for endpoint in policy.endpoints.dropFirst(endpoints.count) {
            endpoints.append(
                EndpointState(
                    policy: endpoint, pool: policy.pools[endpoint.pool.index],
                    upstream: policy.upstream))
        }
        while pools.count < policy.pools.count { pools.append(PoolState()) }
        while queues.count < policy.classes.count {
            queues.append(ClassQueue(capacity: entries.limit))
        }
    }
}

extension LimitKind {
    /// The refusal of this limit.
    package var refusal: RefusalReason {
        switch self {
        case .tokensPerMinute: .tokensPerMinute
        case .inputTokensPerMinute: .inputTokensPerMinute
        case .outputTokensPerMinute: .outputTokensPerMinute
        case .requestsPerMinute: .requestsPerMinute
        case .concurrentRequests: .concurrentRequests
        case .tokensPerDay: .tokensPerDay
        case .costPerMonth: .costPerMonth
        }
    }
}
