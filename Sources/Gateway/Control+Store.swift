// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import Transport
import Units

/// An operator's question that the store has to be asked for.
struct PendingPage {
    let server: SlabKey
    let route: Control.AdminRoute
    let query: String
}

/// The control thread's own way to the budget store: how every tenant's limits stand.
extension Control {
    /// Takes the page's turn when the store answers at once; otherwise the page waits for it.
    func usagePage(_ server: HTTP1ServerConnection, _ route: AdminRoute, _ query: String) {
        guard let redis else {
            return page(server, route, query, usage: memoryUsage())
        }
        nextQuestion += 1
        let question = RequestID(raw: nextQuestion)
        let answer = redis.usage(
            of: shownAccounts(), for: question, now: loop.now, wall: loop.wall)
        if let answer { return page(server, route, query, usage: Self.standings(answer)) }
        guard pendingPages.count < 256 else { return page(server, route, query, usage: []) }
        pendingPages.append(
            (question, PendingPage(server: server.key, route: route, query: query)))
    }

    /// Once a turn: what is due, what was answered, what is to be sent.
    func driveStore() {
        guard let redis else { return }
        if let due = redis.nextDeadline, due <= loop.now {
            redis.tick(now: loop.now, wall: loop.wall)
        }
        redis.flush(now: loop.now, wall: loop.wall)
        var answers: [StoreAnswer] = []
        redis.drain(into: &answers)
        for case .overrides(let question, let answer) in answers {
            takeOverrides(question, answer)
        }
        for case .usage(let question, let answer) in answers {
            if takeState(question, answer) { continue }
            guard let place = pendingPages.firstIndex(where: { $0.question == question }) else {
                continue
            }
            let pending = pendingPages.remove(at: place).page
            guard let server = servers[pending.server] else { continue }
            page(server, pending.route, pending.query, usage: Self.standings(answer))
            pump(server)
        }
    }

    func memoryUsage() -> [LimitsSnapshot] {
        shared.memory?.standings(of: shownAccounts(), wall: loop.wall) ?? []
    }

    /// By tenant, all that its requests can be charged to.
    func shownAccounts() -> [BudgetAccount] {
        policy.tenants.map { tenant in
            BudgetAccount(
                tenant.removed
                    ? LimitSet() : LimitSet(showing: tenant, of: policy, wall: loop.wall))
        }
    }

    /// Empty when the store does not know.
    static func standings(_ answer: UsageAnswer) -> [LimitsSnapshot] {
        switch answer {
        case .usage(let standings, _): standings
        case .unavailable: []
        }
    }
}
