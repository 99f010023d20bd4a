// SPDX-License-Identifier: Apache-2.0

public import Admission
public import BasicContainers
import Budget
import Estimation
public import Policy
import Routing
public import Scheduling
public import Units

/// Decides about every request of the process: events in, actions out, no clock, no chance, no I/O.
///
/// The order of the stages stands in `handle` and the methods it calls, and nowhere else:
/// estimate → policy → budget → queue → choose and admit → observe → settle. The budget is asked
/// from outside (`Action.reserve`, `Event.budgeted`), since a store may be a network away.
///
/// There is one of each: it is not copied.
public struct Decider: ~Copyable, Sendable {
    /// The configuration in force.
    public private(set) var policy: Policy
    var entries: Slab<Entry>
    var endpoints = UniqueArray<EndpointState>()
    /// What is asked of each of them most often.
    var gauges: [EndpointGauge] = []
    /// Counts the changes of endpoints; the one that each of them had last.
    var changes = 0
    var changedAt: [Int] = []
    /// Where prompts were sent that begin alike.
    var prefixes: PrefixIndex
    /// What open sequences hold of what their prompts begin with.
    var held: HeldPrefixes
    /// What the prompts of open requests begin with, where that matters. Apart from the entries,
    /// which are copied as plain memory.
    var prompts: Slab<PromptPrefix>
    /// The requests at each endpoint, in no order.
    var seats: [[Ticket]] = []
    var pools: [PoolState] = []
    /// When the shares of prompts move next; never where no pool has any.
    var sharesDue = Instant.distantFuture
    /// Until when each has an endpoint that is new.
    var rampsUntil: [Instant] = []
    /// For each pool those that share GPUs with it, itself among them.
    var neighbours: [[PoolID]] = []
    var queues: [ClassQueue] = []
    /// Prompt tokens that wait in each of them.
    var waitingPrompts: [Tokens] = []
    /// What each class is owed while it waits.
    var shares: [ClassShare] = []
    /// The places of the classes in the order in which they have their turn.
    var order: [Int] = []
    var outputs: OutputEstimate
    /// By how much prompts differ from their estimates.
    var lengths: PromptRatio
    /// Whether estimates learn from what engines report; a simulation may do without.
    public var learnsPrompts = true
    /// Why recent requests were decided about as they were.
    var traces: DecisionTraces
    /// When the event that is being handled happened.
    var present = Instant(nanoseconds: 0)
    var random: SplitMix64
    /// How many requests may go to another engine.
    var retries: RetryBudget
    /// Requests that wait for room.
    public internal(set) var waiting = 0
    /// The other gateways; nil without a store that is shared.
    var sharing: Sharing?

    /// At most `limit` requests at once; `seed` for the jitter of waits. `sharing`: other gateways
    /// may send to the same endpoints, and share a store.
    public init(policy: Policy, limit: Int, seed: UInt64, sharing: SharingPolicy? = nil) {
        self.policy = policy
        self.sharing = sharing.map { Sharing($0) }
        entries = Slab(limit: limit)
        prefixes = PrefixIndex(blocks: policy.routing.prefixBlocks)
        held = HeldPrefixes(limit: policy.routing.prefixBlocks)
        prompts = Slab(limit: limit)
        outputs = OutputEstimate(limit: 4_096)
        lengths = PromptRatio(limit: 4_096)
        random = SplitMix64(seed: seed)
        retries = RetryBudget(
            ratio: policy.upstream.retryRatio, reserve: policy.upstream.retryReserve)
        traces = DecisionTraces(limit: policy.requestHistory)
        grow()
        gaugeAll(now: present)
    }

    /// What is known of every endpoint, by identifier.
    public var endpointStates: UniqueArray<EndpointState> {
        var states = UniqueArray<EndpointState>(minimumCapacity: endpoints.count)
        for place in endpoints.indices {
            states.append(EndpointState(copying: endpoints[place]))
        }
        return states
    }
    /// What is known of one endpoint.
    public func state(of endpoint: EndpointID) -> EndpointState {
        EndpointState(copying: endpoints[endpoint.index])
    }
    /// Its probes are answered, and it is not drained.
    public func isHealthy(_ endpoint: EndpointID) -> Bool {
        endpoints[endpoint.index].health.isAvailable
    }
    /// An operator has taken it out of rotation.
    public func isDraining(_ endpoint: EndpointID) -> Bool {
        endpoints[endpoint.index].health.isDraining
    }
    /// How far its account is from what the engine reports.
    public func ledgerError(of endpoint: EndpointID) -> LedgerError {
        endpoints[endpoint.index].ledger.error
    }
    /// The projected share of an endpoint's KV cache, as it decides; nil without a known capacity.
    public func share(of endpoint: EndpointID, now: Instant) -> Double? {
        endpoints[endpoint.index].share(now: now)
    }
    /// Those of a class who wait.
    public func queue(of trafficClass: ClassID) -> ClassQueue { queues[trafficClass.index] }
    /// How sharing with other gateways stands; nil without a store that is shared.
    public var sharingStatus: SharingStatus? { sharing?.status }
    /// Requests that an engine did not take and that went to another one, since the start.
    public var retriesSent: Int { retries.allowed }
    /// Those that were more than the budget of retries allows.
    public var retriesDenied: Int { retries.denied }
    /// Requests between arrival and end.
    public var open: Int { entries.count }
    /// Those of them whose prompt's beginning is kept.
    public var keptPrefixes: Int { prompts.count }

    // MARK: events

    /// Takes note of one event and adds what follows from it to `actions`, in the order in which it
    /// is to be done. `now` never runs backwards.
    public mutating func handle(_ event: Event, now: Instant, into actions: inout [Action]) {
        present = now
        if now >= sharesDue { moveShares(now) }
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
        case .probing(let endpoint):
            asked(endpoint)
        case .probed(let endpoint, let reading):
            probed(endpoint, reading, now: now, into: &actions)
        case .probeFailed(let endpoint, let failure):
            probeFailed(endpoint, failure, now: now, into: &actions)
        case .drained(let endpoint, let draining):
            endpoints[endpoint.index].health.drain(draining)
            gauge(endpoint, now: now)
            dispatchAround(endpoints[endpoint.index].pool, now: now, into: &actions)
        case .reconfigured(let policy):
            reconfigure(policy, now: now, into: &actions)
        case .exchanged(let answer):
            exchanged(answer, now: now, into: &actions)
        case .exchangeFailed(let number):
            exchangeFailed(number, now: now, into: &actions)
        case .sharingDue:
            shareDue(now: now, into: &actions)
        case .ticked:
            expire(now: now, into: &actions)
            dispatchAll(now: now, into: &actions)
        }
    }

    // MARK: estimate, policy

    private mutating func arrive(
        _ request: RequestID, _ arrival: Arrival, now: Instant, into actions: inout [Action]
    ) {
        let longest = longestPrompt(arrival)
        let input = promptTokens(arrival)
        guard input <= longest else {
            let refusal = Refusal(
                .contextLengthExceeded, limit: Double(longest.count),
                requested: Double(input.count))
            return actions.append(.refuse(request, refusal))
        }
        var entry = estimated(request, arrival, input: input)
        traceArrival(entry, now: now)
        switch placement(of: entry) {
        case .asAsked: break
        case .deferred(let other):
            entry.trafficClass = other
            entry.pool = policy.classes[other.index].pool
        case .refused(let refusal):
            traceRefusal(entry, refusal)
            return actions.append(.refuse(request, refusal))
        }
        entry.prefix = keep(arrival.prefix, of: arrival.model)
        guard let ticket = entries.insert(entry) else {
            drop(entry.prefix)
            let refusal = Refusal(.gatewayOverloaded, retryAfter: spread(.seconds(1)))
            traceRefusal(entry, refusal)
            return actions.append(.refuse(request, refusal))
        }
        let output = reservedOutput(entry)
        let ask = BudgetAsk(
            tenant: arrival.tenant, input: entry.input, output: output,
            cost: Self.cost(
                policy.models[arrival.model.index].price, input: entry.input, output: output))
        if entry.trafficClass != arrival.trafficClass {
            actions.append(.deferred(request, to: entry.trafficClass))
        }
        actions.append(.reserve(request, ticket, ask))
    }

    /// Over the model's context, or over the tenant's cap, no room would help.
    func longestPrompt(_ arrival: Arrival) -> Tokens {
        let context = policy.models[arrival.model.index].contextLength
        let cap = policy.tenants[arrival.tenant.index].limits.maxPromptTokens
        return min(context, cap ?? context)
    }

    private func estimated(
        _ request: RequestID, _ arrival: Arrival, input: Tokens
    ) -> Entry {
        let context = policy.models[arrival.model.index].contextLength
        let room = Tokens(max(1, context.count - input.count))
        var bound = min(max(arrival.bound ?? room, Tokens(1)), room)
        var isClamped = false
        if let cap = policy.tenants[arrival.tenant.index].limits.maxCompletionTokens,
            arrival.bound.map({ $0 > cap }) ?? true
        {
            bound = min(bound, cap)
            isClamped = true
        }
        var expected =
            arrival.isForced
            ? bound
            : outputs.expected(model: arrival.model, tenant: arrival.tenant, bound: bound)
        if arrival.isOutputless {
            bound = .zero
            expected = .zero
            isClamped = false
        }
        let choices = max(1, arrival.choices)
        return Entry(
            request: request, tenant: arrival.tenant, model: arrival.model,
            trafficClass: arrival.trafficClass,
            pool: policy.classes[arrival.trafficClass.index].pool,
            input: input, estimated: arrival.shape,
            choices: choices, isForced: arrival.isForced, isOutputless: arrival.isOutputless,
            isStreamed: arrival.isStreamed,
            deadline: arrival.deadline, trace: arrival.trace, bound: bound, isClamped: isClamped,
            expected: Tokens(expected.count * choices))
    }

    /// Money for so many tokens, in the price's currency.
    public static func cost(_ price: Price?, input: Tokens, output: Tokens) -> Double {
        price?.cost(input: input, output: output) ?? 0
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
        case .refused(let kind, let scope, let limit, let used, let requested, let wait):
            let told = spread(wait)
            let refusal = Refusal(
                .limit(kind), retryAfter: told, isFinal: told > ReturnSlots.longest,
                kind: kind, scope: scope, limit: limit, used: used, requested: requested)
            refuse(ticket, refusal, into: &actions)
        case .neverFits(let kind, let scope, let limit, let requested):
            let refusal = Refusal(
                .requestExceedsLimit, kind: kind, scope: scope, limit: limit, requested: requested)
            refuse(ticket, refusal, into: &actions)
        case .unavailable(let retryAfter):
            refuse(
                ticket, Refusal(.budgetStoreUnavailable, retryAfter: spread(retryAfter)),
                into: &actions)
        }
    }

    /// A little more than `wait`, so that clients refused together do not come back together.
    private mutating func spread(_ wait: Duration) -> Duration {
        let jitter = Duration.seconds(random.unit() * min(0.05 * wait.seconds + 0.02, 0.5))
        let told = max(wait, ReturnSlots.shortest) + jitter
        // Within what all clients honour, the jitter must not push a wait over the edge.
        return wait <= ReturnSlots.longest ? min(told, ReturnSlots.longest) : told
    }

    // MARK: ends

    mutating func refuse(_ ticket: Ticket, _ refusal: Refusal, into actions: inout [Action]) {
        guard let entry = entries[ticket] else { return }
        entries.update(ticket) { $0.stage = .refused }
        traceRefusal(entry, refusal)
        actions.append(.refuse(entry.request, refusal))
    }

    private mutating func end(
        _ ticket: Ticket, _ ending: Ending, now: Instant, into actions: inout [Action]
    ) {
        guard let entry = entries[ticket] else { return }
        defer { drop(entry.prefix) }
        switch entry.stage {
        case .budgeting, .refused:
            entries.remove(ticket)
        case .queued(let place):
            leaveQueue(entry, place)
            entries.remove(ticket)
            // It may have been the one that the others waited behind.
            dispatchAround(entry.pool, now: now, into: &actions)
        case .forwarded(let endpoint):
            vacate(ticket, entry, endpoint, now: now)
            entries.remove(ticket)
            settle(entry, ending)
            learn(entry, ending, at: endpoint, now: now)
            dispatchAround(endpoints[endpoint.index].pool, now: now, into: &actions)
        }
    }

    private mutating func learn(
        _ entry: Entry, _ ending: Ending, at endpoint: EndpointID, now: Instant
    ) {
        if ending.isEngineFault { endpoints[endpoint.index].health.broke(now: now) }
        if ending.isComplete { endpoints[endpoint.index].health.delivered() }
        gauge(endpoint, now: now)
        guard ending.isComplete else { return }
        learnPrompt(entry, ending)
        guard !entry.isOutputless else { return }
        let each = ending.output.count / entry.choices
        // Nor does an answer tell how long it would have been that pressure has cut short.
        if !entry.isForced, entry.unclamped == nil {
            outputs.learn(
                model: entry.model, tenant: entry.tenant, bound: entry.bound,
                produced: Tokens(each))
            teach(entry, Tokens(each), now: now)
        }
        guard each > 1 else { return }
        // An answer in one piece shows no pace of its own: what it took in all stands in for it,
        // while nothing better is known.
        if entry.firstTokenAt != nil {
            endpoints[endpoint.index].observePace(
                Duration(nanoseconds: ending.generating.nanoseconds / Int64(each - 1)))
        } else if let start = entry.forwardedAt, endpoints[endpoint.index].pace == nil {
            endpoints[endpoint.index].observePace(
                Duration(nanoseconds: (now - start).nanoseconds / Int64(each)))
        }
    }

    // MARK: configuration

    /// What is open stays where it is and ends as it would have. Nothing is forwarded before the
    /// next event, since whoever asked tells the workers of the new configuration first.
    private mutating func reconfigure(
        _ new: Policy, now: Instant, into actions: inout [Action]
    ) {
        policy = new
        retries.configure(ratio: new.upstream.retryRatio, reserve: new.upstream.retryReserve)
        traces.resize(to: new.requestHistory)
        var returned: [EndpointID] = []
        for place in endpoints.indices {
            if endpoints[place].isRemoved, !new.endpoints[place].removed {
                returned.append(EndpointID(place))
            }
            endpoints[place].configure(new.endpoints[place], of: new)
            prefixes.configure(
                new.endpoints[place].id, capacity: endpoints[place].ledger.capacity)
        }
        grow()
        for id in returned { awaitRamp(id) }
        for pool in new.pools { noteRamps(pool.id) }
        gaugeAll(now: now)
        for place in queues.indices {
            var stranded: [Ticket] = []
            queues[place].each { _, waiter in
                if let entry = entries[waiter.ticket], new.pools[entry.pool.index].removed {
                    stranded.append(waiter.ticket)
                }
                return true
            }
            for ticket in stranded { rescue(ticket, into: &actions) }
        }
    }

    /// A request that waits for a pool that is gone waits for its class's new one, if that serves
    /// its model; otherwise it is refused, and may come back soon.
    private mutating func rescue(_ ticket: Ticket, into actions: inout [Action]) {
        guard let entry = entries[ticket], case .queued(let seat) = entry.stage else { return }
        let pool = policy.pools[policy.classes[entry.trafficClass.index].pool.index]
        if !pool.removed, pool.models.contains(entry.model) {
            entries.update(ticket) { $0.pool = pool.id }
            return
        }
        leaveQueue(entry, seat)
        refuse(ticket, noEndpoint(), into: &actions)
    }

    private mutating func grow() {
        for endpoint in policy.endpoints.dropFirst(endpoints.count) {
            let state = EndpointState(endpoint, of: policy)
            prefixes.configure(endpoint.id, capacity: state.ledger.capacity)
            endpoints.append(state)
            awaitRamp(endpoint.id)
        }
        while seats.count < endpoints.count { seats.append([]) }
        while pools.count < policy.pools.count {
            pools.append(PoolState())
            rampsUntil.append(Instant(nanoseconds: 0))
        }
        while queues.count < policy.classes.count {
            queues.append(ClassQueue(capacity: entries.limit))
            shares.append(ClassShare())
            waitingPrompts.append(.zero)
        }
        let weights = policy.tenants.map(\.weight)
        for place in queues.indices { queues[place].configure(weights: weights) }
        let classes = policy.classes
        order = classes.indices.sorted { (classes[$0].rank, $0) < (classes[$1].rank, $1) }
        meetNeighbours()
        growSharing()
        planShares()
    }
}
