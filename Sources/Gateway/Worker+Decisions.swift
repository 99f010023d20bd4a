// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import EventLoop
import Policy
import Store
import Synchronization
import Transport
import Units

/// Between the requests and the machine that decides about them.
extension Worker {
    /// Tells the machine of one event and carries out what it wants, until nothing is left to do.
    ///
    /// Carrying out one action may bring the next event (a store that answers at once, a connection
    /// that fails at once): its actions join the same list.
    func decide(_ event: Event) {
        shared.decide(event, now: loop.now, into: &actions)
        performAll()
    }

    /// An action that another thread's event brought about.
    func perform(later action: Action) {
        actions.append(action)
        performAll()
    }

    private func performAll() {
        guard !isPerforming else { return }
        isPerforming = true
        var place = 0
        while place < actions.count {
            perform(actions[place])
            place += 1
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    private func perform(_ action: Action) {
        guard let request = action.request else {
            if case .exchange(let ask) = action { shared.control.post(.exchange(ask)) }
            return
        }
        guard request.worker == index else {
            shared.mailboxes[request.worker].post(.action(action))
            return
        }
        guard let exchange = exchanges[request.key] else { return }
        switch action {
        case .exchange: break
        case .deferred(_, let other): transfer(exchange, to: other)
        case .reserve(_, let ticket, let ask): reserve(exchange, ticket, ask)
        case .forward(_, let endpoint, let bound):
            exchange.bound = bound
            forward(exchange, to: endpoint)
        case .queued:
            exchange.state = .waiting
            exchange.wasQueued = true
        case .refuse(_, let refusal): refuseLate(exchange, refusal)
        case .abandon(_, let endpoint):
            // It may have moved on meanwhile, or its client not have read what came.
            guard exchange.client != nil, exchange.endpoint == endpoint,
                !(exchange.server?.isCongested ?? false)
            else { return }
            giveUp(exchange)
        }
    }

    /// The request is another class's from now on, and has the time that this one gives.
    private func transfer(_ exchange: Exchange, to other: ClassID) {
        if other.index >= policy.classes.count {
            adopt(shared.decider.withLock { $0.policy })
        }
        if other.index >= exchange.policy.classes.count { exchange.policy = policy }
        exchange.transfer(to: other)
        startClock(exchange)
    }

    // MARK: the store

    private func reserve(_ exchange: Exchange, _ ticket: Ticket, _ ask: BudgetAsk) {
        exchange.ticket = ticket
        exchange.ask = ask
        let reservation = naming.next()
        exchange.reservation = reservation
        exchange.holder = .outstanding
        let answer = store.reserve(
            ReserveRequest(
                request: exchange.id, reservation: reservation,
                account: exchange.account,
                demand: Demand(input: ask.input, output: ask.output, cost: ask.cost)),
            now: loop.now, wall: loop.wall)
        if let answer { budgeted(exchange, answer) }
    }

    private func budgeted(_ exchange: Exchange, _ answer: ReserveAnswer) {
        guard let ticket = exchange.ticket else { return }
        traceBudget(exchange, answer)
        switch answer {
        case .reserved(let snapshot, let holder):
            exchange.snapshot = snapshot
            exchange.holder = holder
            decide(.budgeted(ticket, .reserved))
        case .refused(let refusal):
            exchange.reservation = nil
            exchange.snapshot = refusal.snapshot
            decide(
                .budgeted(
                    ticket,
                    .refused(
                        refusal.kind, of: refusal.scope, limit: refusal.limit, used: refusal.used,
                        requested: refusal.requested, wait: refusal.wait)))
        case .neverFits(let no):
            exchange.reservation = nil
            decide(
                .budgeted(
                    ticket,
                    .neverFits(
                        no.kind, of: no.scope, limit: no.limit, requested: no.requested)))
        case .unavailable(let retryAfter):
            exchange.holder = .nobody
            decide(.budgeted(ticket, .unavailable(retryAfter: retryAfter)))
        }
    }

    /// Answers of a store that is a network away.
    func drainStore() {
        store.drain(into: &answers)
        for answer in answers {
            guard case .reserve(let request, let reservation, let reserved) = answer else {
                continue
            }
            // Of a request that has ended meanwhile the closing step has settled the reservation.
            guard let exchange = exchanges[request.key], exchange.reservation == reservation
            else { continue }
            budgeted(exchange, reserved)
        }
        answers.removeAll(keepingCapacity: true)
    }

    /// Gives the reservation back for what was really used.
    func settle(_ exchange: Exchange, _ use: SettledUse) {
        guard let reservation = exchange.reservation else { return }
        exchange.reservation = nil
        store.settle(
            Settlement(
                reservation: reservation, account: exchange.account,
                holder: exchange.holder, use: use),
            now: loop.now, wall: loop.wall)
    }
}
