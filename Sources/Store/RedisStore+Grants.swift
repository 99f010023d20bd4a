// SPDX-License-Identifier: Apache-2.0

public import Budget
import Policy
public import Units

// What Redis grants this worker in advance: see `GrantBook`.
extension RedisStore {
    /// Made with the first request, whose name tells the process and the worker.
    private func book(for request: ReserveRequest) -> GrantBook? {
        if let grants { return grants }
        guard let window = shared.policy.leaseWindow else { return nil }
        let name = request.reservation
        let book = GrantBook(
            GrantBook.Terms(
                window: window, workers: shared.workers, lease: shared.policy.reservationLease),
            naming: ReservationNaming(
                nonce: name.nonce ^ 0x6772_616E_7400_0000, worker: Int(name.number >> 56)))
        grants = book
        return book
    }

    /// Decides at once, out of what was granted; nil: the server has to be asked.
    func reserveAhead(_ request: ReserveRequest, now: Instant) -> LimitsSnapshot? {
        guard let book = book(for: request) else { return nil }
        let standing = book.reserve(
            request.reservation, request.order.demand, request.account.limits,
            owner: request.account, now: now)
        if standing != nil { counted.decidedAhead += 1 }
        while link.tasksInFlight < Self.window, sendAhead(now: now) {}
        return standing
    }

    func settleAhead(_ settlement: Settlement, now: Instant) {
        grants?.settle(settlement.reservation, settlement.use, now: now)
        while link.isUp, link.tasksInFlight < Self.window, sendAhead(now: now) {}
    }

    /// Sends the next report and the next order; false where there is neither. What is given back
    /// goes before whatever asks for it.
    func sendAhead(now: Instant) -> Bool {
        guard let grants else { return false }
        var hasSent = false
        if let (report, owner) = grants.nextReport(now: now), let account = owner as? BudgetAccount
        {
            link.send(.report(report, account), now: now)
            hasSent = true
        }
        if let (order, owner) = grants.nextOrder(now: now), let account = owner as? BudgetAccount {
            link.send(.grant(order, account), now: now)
            hasSent = true
        }
        return hasSent
    }

    func takeAhead(_ reply: ScriptReply, to task: ScriptRun, now: Instant) {
        switch (task, reply) {
        case (.grant(let order, _), .grant(let outcome)):
            heard.grant = outcome
            grants?.answered(order, outcome, now: now)
        case (.report(let report, _), _):
            let outcome: SettlementOutcome = reply == .unknown ? .unknown : .done
            heard.report = outcome
            grants?.answered(report, outcome)
        default: break
        }
    }

    /// For tests: what the server said to the last order, and to the last report.
    public var lastGrant: GrantOutcome? { heard.grant }
    public var lastReport: SettlementOutcome? { heard.report }

    /// For tests: sends an order that no book has made; `lastGrant` is what came of it.
    public func send(_ order: GrantOrder, of account: BudgetAccount, now: Instant) {
        heard.grant = nil
        link.send(.grant(order, account), now: now)
    }

    /// For tests: sends a report that no book has made; `lastReport` is what came of it.
    public func send(_ report: GrantReport, of account: BudgetAccount, now: Instant) {
        heard.report = nil
        link.send(.report(report, account), now: now)
    }

    /// There is no room, but some was granted here and nobody has taken it: it goes back, and the
    /// server is asked again, so that no request is refused for what its own gateway keeps.
    func asksAgain(_ request: ReserveRequest, now: Instant) -> Bool {
        guard let grants, link.isUp,
            grants.giveBack(root: request.account.limits.root, now: now)
        else { return false }
        while sendAhead(now: now) {}
        link.send(.reserve(request), now: now)
        return true
    }

    /// Grants that Redis may know.
    public var grantsKnown: Int { grants?.grantCount ?? 0 }

    /// Gives back at once what nobody has taken: the worker takes no more requests.
    public func endGrants(now: Instant) {
        grants?.closeAll(now: now)
        pump(now: now)
    }
}
