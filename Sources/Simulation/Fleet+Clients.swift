// SPDX-License-Identifier: Apache-2.0

import BasicContainers
import Budget
import Decision
import Policy
import Routing
import Units

/// The clients' side of a fleet: they come, are let in or refused, and come back.
extension Fleet {
    /// The next request of the trace comes for the first time.
    mutating func arrive() {
        let client = outcomes.count
        outcomes.append(FleetOutcome(workload.trace.requests[client], arrival: now))
        clients.append(Client())
        waitingToBegin[outcomes[client].tenant] += 1
        enter(client)
    }

    /// A refused client comes back.
    mutating func visit(_ client: Int) {
        if outcomes[client].refusals == 1 { returned += 1 }
        returns.append((now, outcomes[client].prompt + outcomes[client].output))
        waitingToBegin[outcomes[client].tenant] += 1
        enter(client)
    }

    /// A load balancer sends it to any of the gateways.
    mutating func enter(_ client: Int) {
        let there = isGatewayLost.indices.filter { !isGatewayLost[$0] }
        let gateway =
            there.count == 1
            ? there[0] : there[Int(random.next() % UInt64(truncatingIfNeeded: there.count))]
        clients[client].gateway = gateway
        clients[client].wasQueued = false
        guard plain == nil else { return enterPlain(client, gateway) }
        decide(gateway, .arrived(RequestID(raw: UInt64(client)), arrival(of: client)))
    }

    private func arrival(of client: Int) -> Arrival {
        let request = workload.trace.requests[client]
        var arrival = Arrival(
            tenant: TenantID(request.tenant % max(1, policy.tenants.count)), model: ModelID(0),
            trafficClass: ClassID(setup.trafficClass), input: guess(of: client), bound: nil,
            prefix: prefix(of: request))
        switch workload.told {
        case .nothing: break
        case .bound(let bound): arrival.bound = bound
        case .length:
            arrival.bound = outcomes[client].output
            arrival.isForced = true
        case .estimates(let estimates):
            arrival.bound = estimates[client]
            arrival.isForced = true
        }
        return arrival
    }

    /// What its prompt is taken for by its text.
    private func guess(of client: Int) -> Tokens {
        let prompt = outcomes[client].prompt
        guard setup.promptBias != 1 else { return prompt }
        return Tokens(max(1, Int((Double(prompt.count) * setup.promptBias).rounded())))
    }

    /// The hashes of a trace stand for the names of blocks, as many bytes as tokens in each.
    private func prefix(of request: TraceRequest) -> PromptPrefix {
        guard !request.prefixes.isEmpty else { return PromptPrefix() }
        let covered = request.prefixes.count * setup.prefixUnit.count
        let bytes = PrefixMeter.blockBytes * request.prompt.count / setup.prefixUnit.count
        return PromptPrefix(
            blocks: covered > request.prompt.count
                ? Array(request.prefixes.dropLast()) : request.prefixes, textBytes: bytes)
    }

    // MARK: decisions

    /// Puts an event before a gateway's decider, and does what follows.
    mutating func decide(_ gateway: Int, _ event: Event) {
        deciders[gateway].handle(event, now: now, into: &actions)
        var place = 0
        while place < actions.count {
            perform(actions[place], gateway)
            place += 1
        }
        actions.removeAll(keepingCapacity: true)
        planTick(gateway, isWaiting: deciders[gateway].waiting > 0)
    }

    private mutating func perform(_ action: Action, _ gateway: Int) {
        switch action {
        case .reserve(let request, let ticket, let ask):
            let client = Int(request.raw)
            clients[client].ticket = ticket
            let verdict = reserve(client, ask)
            deciders[gateway].handle(.budgeted(ticket, verdict), now: now, into: &actions)
        case .queued(let request): clients[Int(request.raw)].wasQueued = true
        case .forward(let request, let endpoint, let bound):
            outcomes[Int(request.raw)].bound = bound
            forward(Int(request.raw), to: endpoint.index, gateway)
        case .refuse(let request, let refusal):
            refuse(Int(request.raw), refusal, gateway)
        case .exchange(let ask): heap.push(.told(gateway, ask), at: now + SharedStore.oneWay)
        // What was at a lost endpoint was cut as it was lost.
        // The trace knows no classes.
        case .abandon, .deferred: break
        }
    }

    private mutating func forward(_ client: Int, to engine: Int, _ gateway: Int) {
        guard let ticket = clients[client].ticket else { return }
        guard engine < engines.count, !isLost[engine] else {
            deciders[gateway].handle(.bounced(ticket), now: now, into: &actions)
            return
        }
        guard submit(client, to: engine) else {
            clients[client].ticket = nil
            settleBudget(client, output: nil)
            drop(client)
            deciders[gateway].handle(.ended(ticket, Ending()), now: now, into: &actions)
            return
        }
        if outcomes[client].refusals == 1 { admittedAtFirstReturn += 1 }
    }

    private mutating func refuse(_ client: Int, _ refusal: Refusal, _ gateway: Int) {
        if let ticket = clients[client].ticket {
            clients[client].ticket = nil
            settleBudget(client, output: nil)
            deciders[gateway].handle(.ended(ticket, Ending()), now: now, into: &actions)
        }
        turnAway(client, told: refusal.isFinal ? nil : refusal.retryAfter)
    }

    /// A refused client comes back when it was told to, or leaves for good.
    mutating func turnAway(_ client: Int, told: Duration?) {
        waitsNoMore(client)
        outcomes[client].refusals += 1
        if clients[client].wasQueued { outcomes[client].lateRefusals += 1 }
        if let told, case .obeys(let returns) = setup.patience,
            outcomes[client].refusals <= returns
        {
            return heap.push(.visit(client), at: now + told)
        }
        outcomes[client].fate = .shed
        outcomes[client].end = now
        unresolved -= 1
    }

    /// It could never fit an engine.
    mutating func drop(_ client: Int) {
        waitsNoMore(client)
        outcomes[client].fate = .dropped
        outcomes[client].end = now
        unresolved -= 1
    }

    // MARK: budgets

    private var wall: WallTime { WallTime(nanoseconds: Int64(now.nanoseconds)) }

    private func limits(of client: Int) -> LimitSet {
        limitSets[outcomes[client].tenant % max(1, policy.tenants.count)]
    }

    private mutating func reserve(_ client: Int, _ ask: BudgetAsk) -> BudgetVerdict {
        guard budgets != nil else { return .reserved }
        let id = reservations.next()
        let order = BudgetOrder(
            id: id, limits: limits(of: client),
            demand: Demand(input: ask.input, output: ask.output, cost: ask.cost))
        let wall = wall
        switch budgets?.reserve(order, wall: wall) {
        case .refused(let no):
            return .refused(
                no.kind, of: no.scope, limit: no.limit, used: no.used, requested: no.requested,
                wait: no.wait)
        case .neverFits(let no):
            return .neverFits(no.kind, of: no.scope, limit: no.limit, requested: no.requested)
        case .full: return .unavailable(retryAfter: .seconds(1))
        case .reserved, nil:
            clients[client].reservation = id
            return .reserved
        }
    }

    /// Replaces what was reserved by what was used; nil: it never reached an engine.
    mutating func settleBudget(_ client: Int, output: Tokens?) {
        guard let id = clients[client].reservation else { return }
        clients[client].reservation = nil
        let limits = limits(of: client)
        let prompt = outcomes[client].prompt
        let wall = wall
        let use = output.map { output in
            SettledUse.used(
                Demand(
                    input: prompt, output: output,
                    cost: Decider.cost(policy.models[0].price, input: prompt, output: output)))
        }
        _ = budgets?.settle(id, use: use ?? .nothing, limits: limits, wall: wall)
    }
}
