// SPDX-License-Identifier: Apache-2.0

import Budget
import DequeModule
public import EventLoop
import Policy
public import Units

/// One worker's budgets in a Redis that all replicas share.
///
/// It owns one connection on the worker's own loop. The worker gives it readiness (`ready`) and
/// time (`tick`), lets it send once a turn (`flush`), and takes the answers (`drain`). Each command
/// has a deadline: a server that misses one is away, its connection is dropped, and everything that
/// waited for it is answered as `on_failure` says.
///
/// When Redis fails in the middle, a reservation that was sent and not answered may have been made:
/// a settlement with nothing used follows it once Redis is back. Settlements wait and are sent
/// again. Both are known to the script by name and count once.
public final class RedisStore {
    /// Tasks without a reply: what Redis does in about 10 ms. More wait here, so that a burst of
    /// ours is not taken for a server that is late.
    static let window = 512
    /// Reservations that wait for their turn, each at most as long as a command may take; beyond,
    /// and then, `on_failure` decides.
    static let mostWaiting = 16_384
    /// Settlements that wait for Redis; 150 bytes each.
    static let mostSettlements = 65_536
    /// Reservations that are kept by renewing.
    static let mostLeases = 131_072

    let shared: RedisShared
    let link: RedisWay
    private var current = StoreState.opening
    var counted = StoreCounters()
    /// What was granted in advance; nil where nothing is, or nobody has asked yet.
    var grants: GrantBook?
    /// What the server said to the last order and report.
    var heard: (grant: GrantOutcome?, report: SettlementOutcome?) = (nil, nil)
    /// Reservations that wait for their turn, or for the very first connection.
    private var waiting: Deque<Waiting> = []
    /// Those that waited and were sent, or were sent again, by their deadlines: their time counts
    /// from when they were asked, that of the server from when it was. Some are answered already.
    private var sentLate: Deque<Waiting> = []
    private var settlements = SettlementQueue(limit: RedisStore.mostSettlements)
    /// What was used while the store was away, and it does not know yet.
    private var late = SettlementQueue(limit: RedisStore.mostSettlements)
    private var resting = RestingSettlements(limit: RedisStore.mostSettlements)
    /// Of settlements, as all workers' sums have it.
    private var told = (waiting: 0, lost: 0)
    private var toldAhead = 0
    private var toldAlone = 0
    private var renewals: RenewalQueue
    private var reads = UsageReads()
    private var answers: [StoreAnswer] = []
    private var events: [LinkEvent] = []

    private struct Waiting {
        let request: ReserveRequest
        let deadline: Instant
    }

    /// `tokenKind`: the worker's kind for this store's events. `seed`: for the jitter between
    /// attempts, one for each worker.
    public init(shared: RedisShared, poller: Poller, tokenKind: UInt8, seed: UInt64) {
        self.shared = shared
        link = RedisWay(shared: shared, poller: poller, tokenKind: tokenKind, seed: seed)
        renewals = RenewalQueue(lease: shared.policy.reservationLease, limit: Self.mostLeases)
    }

    /// For tests: from now on the script takes this time for Redis's own.
    public func replaceClock(by time: WallTime) { link.replaceClock(by: time) }

    /// Whether decisions come from Redis, and why not.
    public var state: StoreState { current }

    public var counters: StoreCounters {
        var counters = counted
        counters.attempts = link.attempts
        counters.settlementsLost = settlementsLost
        return counters
    }

    private var settlementsLost: Int { settlements.lost + late.lost + resting.lost }

    /// Settlements that have not been sent.
    public var settlementsWaiting: Int {
        settlements.count + late.count + resting.count + (grants?.reportsWaiting ?? 0)
    }

    /// When `tick` wants to be called at the latest.
    public var nextDeadline: Instant? {
        var next = Instant.distantFuture
        if let deadline = link.nextDeadline { next = min(next, deadline) }
        if let first = waiting.first { next = min(next, first.deadline) }
        if let first = sentLate.first { next = min(next, first.deadline) }
        if link.isUp, let due = renewals.nextDue { next = min(next, due) }
        if link.isUp, let due = resting.nextDue { next = min(next, due) }
        if let due = grants?.nextDue { next = min(next, due) }
        return next == .distantFuture ? nil : next
    }

    /// Takes an event of the poller with this store's kind of token.
    public func ready(_ token: Token, _ readiness: Readiness, now: Instant, wall: WallTime) {
        link.ready(token, readiness, now: now)
        handleEvents(now: now, wall: wall)
    }

    /// Does what time brings. Call it first right after the start: it begins the first connection.
    public func tick(now: Instant, wall: WallTime) {
        link.tick(now: now)
        handleEvents(now: now, wall: wall)
        while let first = waiting.first, first.deadline <= now {
            waiting.removeFirst()
            answerWithoutStore(first.request, wall: wall)
        }
        while let first = sentLate.first, first.deadline <= now {
            sentLate.removeFirst()
            guard link.abandon(first.request.reservation) else { continue }
            answerWithoutStore(first.request, wall: wall)
            settlements.append(Settlement(cancelling: first.request))
        }
        grants?.tick(now: now)
        if link.isUp { for task in resting.takeDue(now: now) { keepForLater(task) } }
        pump(now: now)
    }

    /// Sends what this turn has written: once a turn, at its end.
    public func flush(now: Instant, wall: WallTime) {
        link.flush(now: now)
        handleEvents(now: now, wall: wall)
        let present = (waiting: settlementsWaiting, lost: settlementsLost)
        shared.note(
            waiting: present.waiting - told.waiting, lost: present.lost - told.lost)
        told = present
        shared.note(
            ahead: counted.decidedAhead - toldAhead,
            alone: counted.decidedWithoutStore - toldAlone)
        toldAhead = counted.decidedAhead
        toldAlone = counted.decidedWithoutStore
    }
}

@available(*, unavailable)
extension RedisStore: Sendable {}

extension RedisStore: BudgetStoring {
    public func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        if link.isUp, let standing = reserveAhead(request, now: now) {
            return .reserved(standing, .book)
        }
        if link.isUp, link.tasksInFlight < Self.window, waiting.isEmpty {
            link.send(.reserve(request), now: now)
            return nil
        }
        guard link.isUp || current == .opening, waiting.count < Self.mostWaiting else {
            return withoutStore(request, wall: wall)
        }
        waiting.append(Waiting(request: request, deadline: now + shared.policy.timeout))
        return nil
    }

    public func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        switch settlement.holder {
        case .nobody: keep(settlement, now: now)
        case .replica:
            shared.settleAlone(settlement, wall: wall)
            keep(settlement, now: now)
        case .store:
            renewals.remove(settlement.reservation)
            settlements.append(settlement)
            pump(now: now)
        case .book: settleAhead(settlement, now: now)
        case .outstanding: settleOutstanding(settlement, now: now, wall: wall)
        }
    }

    public func drain(into answers: inout [StoreAnswer]) {
        answers.append(contentsOf: self.answers)
        self.answers.removeAll(keepingCapacity: true)
    }

    public func usage(
        of accounts: [BudgetAccount], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        if accounts.isEmpty { return .usage([], .store) }
        guard link.isUp, !reads.isFull else {
            guard shared.policy.onFailure == .local, !link.isUp else { return .unavailable }
            return .usage(shared.standingsAlone(of: accounts, wall: wall), .replica)
        }
        reads.add(request, accounts)
        pump(now: now)
        return nil
    }
}

extension RedisStore {
    /// Asks for all overrides, after a change where there is one. False: the server is away;
    /// otherwise the answer comes through `drain`.
    public func overrides(
        _ change: OverrideChange?, for request: RequestID, now: Instant
    ) -> Bool {
        guard link.isUp, link.tasksInFlight < Self.window else { return false }
        link.send(.overrides(OverrideRun(request: request, change: change)), now: now)
        return true
    }
}

extension RedisStore {
    private func handleEvents(now: Instant, wall: WallTime) {
        link.takeEvents(into: &events)
        for event in events {
            switch event {
            case .up: current = .up
            case .answered(let task, let reply, let deadline):
                take(reply, to: task, deadline, now: now, wall: wall)
            case .sentAgain(let task, let deadline):
                if case .reserve(let request) = task { keepTime(of: request, until: deadline) }
            case .refused(let task, _): takeRefusal(of: task, now: now, wall: wall)
            case .lost(let fault, let tasks): becomeAway(fault, tasks, now: now, wall: wall)
            case .undelivered(_, let task): takeBack(task, now: now, wall: wall)
            case .redirected, .between: break
            }
        }
        let mayPump = !events.isEmpty
        events.removeAll(keepingCapacity: true)
        if mayPump { pump(now: now) }
    }

    private func becomeAway(
        _ fault: StoreFault, _ tasks: [ScriptRun], now: Instant, wall: WallTime
    ) {
        counted.faults += 1
        if case .away(_, let since) = current {
            current = .away(fault, since: since)
        } else {
            current = .away(fault, since: now)
        }
        for task in tasks {
            switch task {
            case .reserve(let request):
                answerWithoutStore(request, wall: wall)
                settlements.append(Settlement(cancelling: request))
            case .overrides(let run): answers.append(.overrides(run.request, .unavailable))
            case .grant(let order, _): grants?.lost(order, now: now)
            case .report(let report, _): grants?.lost(report)
            default: break
            }
        }
        grants?.closeAll(now: now)
        for task in tasks.reversed() { keepForLater(task) }
        while let first = waiting.popFirst() { answerWithoutStore(first.request, wall: wall) }
        answers.append(contentsOf: reads.giveUp())
    }

    /// It may not have arrived, and a second time does no harm.
    private func keepForLater(_ task: ScriptRun) {
        if case .settle(let settlement) = task { settlements.putBack(settlement) }
        if case .late(let settlement) = task { late.putBack(settlement) }
    }

    /// The store is there, but not for this one, which was run nowhere.
    private func takeBack(_ task: ScriptRun, now: Instant, wall: WallTime) {
        switch task {
        case .reserve(let request): answerWithoutStore(request, wall: wall)
        case .settle, .late: resting.append(task, now: now)
        case .overrides(let run): answers.append(.overrides(run.request, .unavailable))
        case .usage(let account): takeStanding(nil, of: account)
        case .grant(let order, _): grants?.lost(order, now: now)
        case .report(let report, _): grants?.lost(report)
        case .abandoned, .renew, .probe, .exchange, .ledger: break
        }
    }

    private func take(
        _ reply: ScriptReply, to task: ScriptRun, _ deadline: Instant, now: Instant,
        wall: WallTime
    ) {
        switch task {
        case .reserve(let request): take(reply, to: request, deadline, now: now, wall: wall)
        case .grant, .report: takeAhead(reply, to: task, now: now)
        case .usage(let account):
            if case .usage(let standing) = reply { takeStanding(standing, of: account) }
        case .late(let settlement):
            // Where it was settled before, the answer to that was lost.
            if case .reserved = reply { settlements.append(settlement) }
        case .overrides(let run):
            guard case .text(let text) = reply else { return }
            answers.append(
                .overrides(run.request, OverrideText.answer(text) ?? .unavailable))
        case .abandoned, .settle, .renew, .probe, .exchange, .ledger: break
        }
    }

    private func take(
        _ reply: ScriptReply, to request: ReserveRequest, _ deadline: Instant, now: Instant,
        wall: WallTime
    ) {
        if case .refused = reply, asksAgain(request, now: now) {
            return keepTime(of: request, until: deadline)
        }
        if sentLate.first?.request.reservation == request.reservation { sentLate.removeFirst() }
        switch reply {
        case .reserved(let snapshot):
            if !request.account.limits.accounts.isEmpty {
                renewals.add(request.reservation, account: request.account, now: now)
            }
            decide(request, .reserved(snapshot, .store))
        case .refused(let refusal): decide(request, .refused(refusal))
        case .neverFits(let excess): decide(request, .neverFits(excess))
        case .usage, .grant, .settledBefore, .done, .unknown, .exchanged, .text:
            answerWithoutStore(request, wall: wall)
        }
    }

    private func decide(_ request: ReserveRequest, _ answer: ReserveAnswer) {
        counted.decided += 1
        self.answer(request, answer)
    }

    private func takeStanding(_ standing: LimitsSnapshot?, of account: BudgetAccount) {
        if let answer = reads.take(standing, of: account) { answers.append(answer) }
    }

    private func takeRefusal(of task: ScriptRun, now: Instant, wall: WallTime) {
        counted.commandsRefused += 1
        switch task {
        case .reserve(let request): answerWithoutStore(request, wall: wall)
        case .usage(let account): takeStanding(nil, of: account)
        case .overrides(let run): answers.append(.overrides(run.request, .unavailable))
        case .grant(let order, _): grants?.lost(order, now: now)
        case .report(let report, _): grants?.answered(report, .unknown)
        case .abandoned, .settle, .late, .renew, .probe, .exchange, .ledger: break
        }
    }

    /// Sends what waits, as far as the window goes: of each kind one in turn, so that none starves.
    func pump(now: Instant) {
        var hasMore = true
        while hasMore, link.isUp, link.tasksInFlight < Self.window {
            hasMore = sendAhead(now: now)
            if let first = waiting.popFirst() {
                link.send(.reserve(first.request), now: now)
                keepTime(of: first.request, until: first.deadline)
                hasMore = true
            }
            if let settlement = settlements.next() {
                link.send(.settle(settlement), now: now)
                hasMore = true
            }
            if let settlement = late.next() {
                link.send(.late(settlement), now: now)
                hasMore = true
            }
            if let lease = renewals.next(now: now) {
                link.send(.renew(lease), now: now)
                hasMore = true
            }
            if let account = reads.next() {
                link.send(.usage(account), now: now)
                hasMore = true
            }
        }
    }

    /// By then a request is answered, whatever time its server has.
    private func keepTime(of request: ReserveRequest, until deadline: Instant) {
        var place = sentLate.count
        // Nearly always the latest.
        while place > 0, deadline < sentLate[place - 1].deadline { place -= 1 }
        sentLate.insert(Waiting(request: request, deadline: deadline), at: place)
    }

    /// Keeps what was used without the store, until it is there.
    private func keep(_ settlement: Settlement, now: Instant) {
        guard case .used = settlement.use, !settlement.account.limits.limits.isEmpty else { return }
        late.append(settlement.late)
        pump(now: now)
    }

    private func settleOutstanding(_ settlement: Settlement, now: Instant, wall: WallTime) {
        if let place = waiting.firstIndex(where: {
            $0.request.reservation == settlement.reservation
        }) {
            waiting.remove(at: place)
        } else if link.abandon(settlement.reservation) {
            settlements.append(settlement)
            pump(now: now)
        } else if let place = answers.firstIndex(where: { $0.isFor(settlement.reservation) }),
            case .reserve(_, _, .reserved(_, let holder)) = answers.remove(at: place)
        {
            settle(Settlement(settlement, holder: holder), now: now, wall: wall)
        }
    }

    private func answer(_ request: ReserveRequest, _ answer: ReserveAnswer) {
        answers.append(.reserve(request.request, request.reservation, answer))
    }

    private func answerWithoutStore(_ request: ReserveRequest, wall: WallTime) {
        answer(request, withoutStore(request, wall: wall))
    }

    /// What `on_failure` says.
    private func withoutStore(_ request: ReserveRequest, wall: WallTime) -> ReserveAnswer {
        counted.decidedWithoutStore += 1
        return switch shared.policy.onFailure {
        case .local:
            shared.reserveAlone(request, wall: wall)
        case .open: .reserved(.unlimited, .nobody)
        case .closed: .unavailable(retryAfter: .seconds(1))
        }
    }
}
