// SPDX-License-Identifier: Apache-2.0

import Budget
import DequeModule
package import EventLoop
package import Policy
package import Units

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
package final class RedisStore {
    /// Tasks without a reply; reservations beyond are answered as if Redis were away.
    static let mostInFlight = 4_096
    /// Settlements, renewals and reads are sent while fewer tasks than this have no reply, so that
    /// a reservation never waits behind many.
    static let window = 256
    /// Settlements that wait for Redis; 150 bytes each.
    static let mostSettlements = 65_536
    /// Places among concurrent requests that are kept by renewing.
    static let mostLeases = 131_072

    private let shared: RedisShared
    private let link: RedisLink
    private var current = StoreState.opening
    private var counted = StoreCounters()
    /// Reservations that came before the very first connection was made.
    private var waiting: Deque<Waiting> = []
    private var settlements = SettlementQueue(limit: RedisStore.mostSettlements)
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
    package init(shared: RedisShared, poller: Poller, tokenKind: UInt8, seed: UInt64) {
        self.shared = shared
        link = RedisLink(shared: shared, poller: poller, tokenKind: tokenKind, seed: seed)
        renewals = RenewalQueue(lease: shared.policy.reservationLease, limit: Self.mostLeases)
    }

    /// For tests: from now on the script takes this time for Redis's own.
    package func replaceClock(by time: WallTime) { link.replaceClock(by: time) }

    /// Whether decisions come from Redis, and why not.
    package var state: StoreState { current }

    package var counters: StoreCounters {
        var counters = counted
        counters.attempts = link.attempts
        counters.settlementsLost = settlements.lost
        return counters
    }

    /// Settlements that have not been sent.
    package var settlementsWaiting: Int { settlements.count }

    /// When `tick` wants to be called at the latest.
    package var nextDeadline: Instant? {
        let renewal = link.isUp ? renewals.nextDue : nil
        return [link.nextDeadline, waiting.first?.deadline, renewal].compactMap { $0 }.min()
    }

    /// Takes an event of the poller with this store's kind of token.
    package func ready(_ token: Token, _ readiness: Readiness, now: Instant, wall: WallTime) {
        link.ready(token, readiness, now: now)
        handleEvents(now: now, wall: wall)
    }

    /// Does what time brings. Call it first right after the start: it begins the first connection.
    package func tick(now: Instant, wall: WallTime) {
        link.tick(now: now)
        handleEvents(now: now, wall: wall)
        while let first = waiting.first, first.deadline <= now {
            waiting.removeFirst()
            answerWithoutStore(first.request, wall: wall)
        }
        pump(now: now)
    }

    /// Sends what this turn has written: once a turn, at its end.
    package func flush(now: Instant, wall: WallTime) {
        link.flush(now: now)
        handleEvents(now: now, wall: wall)
    }
}

@available(*, unavailable)
extension RedisStore: Sendable {}

extension RedisStore: BudgetStoring {
    package func reserve(
        _ request: ReserveRequest, now: Instant, wall: WallTime
    ) -> ReserveAnswer? {
        if link.isUp, link.tasksInFlight < Self.mostInFlight {
            link.send(.reserve(request), now: now)
            return nil
        }
        if current == .opening, waiting.count < Self.mostInFlight {
            waiting.append(
                Waiting(request: request, deadline: now + shared.policy.timeout))
            return nil
        }
        return withoutStore(request, wall: wall)
    }

    package func settle(_ settlement: Settlement, now: Instant, wall: WallTime) {
        switch settlement.holder {
        case .nobody: break
        case .replica: shared.fallback.settle(settlement, wall: wall)
        case .store:
            renewals.remove(settlement.reservation)
            settlements.append(settlement)
            pump(now: now)
        case .outstanding: settleOutstanding(settlement, now: now, wall: wall)
        }
    }

    package func drain(into answers: inout [StoreAnswer]) {
        answers.append(contentsOf: self.answers)
        self.answers.removeAll(keepingCapacity: true)
    }

    package func usage(
        of tenants: [TenantPolicy], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer? {
        if tenants.isEmpty { return .usage([], .store) }
        guard link.isUp, !reads.isFull else {
            guard shared.policy.onFailure == .local, !link.isUp else { return .unavailable }
            return .usage(shared.fallback.standings(of: tenants, wall: wall), .replica)
        }
        reads.add(request, tenants)
        pump(now: now)
        return nil
    }
}

extension RedisStore {
    private func handleEvents(now: Instant, wall: WallTime) {
        link.takeEvents(into: &events)
        for event in events {
            switch event {
            case .up: becomeUp(now: now)
            case .answered(let task, let reply): take(reply, to: task, now: now, wall: wall)
            case .refused(let task): takeRefusal(of: task, wall: wall)
            case .lost(let fault, let tasks): becomeAway(fault, tasks, now: now, wall: wall)
            }
        }
        let mayPump = !events.isEmpty
        events.removeAll(keepingCapacity: true)
        if mayPump { pump(now: now) }
    }

    private func becomeUp(now: Instant) {
        current = .up
        while let first = waiting.popFirst() { link.send(.reserve(first.request), now: now) }
    }

    private func becomeAway(
        _ fault: StoreFault, _ tasks: [RedisTask], now: Instant, wall: WallTime
    ) {
        counted.faults += 1
        if case .away(_, let since) = current {
            current = .away(fault, since: since)
        } else {
            current = .away(fault, since: now)
        }
        for task in tasks {
            if case .reserve(let request) = task {
                answerWithoutStore(request, wall: wall)
                settlements.append(Settlement(cancelling: request))
            }
        }
        for task in tasks.reversed() {
            if case .settle(let settlement) = task { settlements.putBack(settlement) }
        }
        while let first = waiting.popFirst() { answerWithoutStore(first.request, wall: wall) }
        answers.append(contentsOf: reads.giveUp())
    }

    private func take(
        _ reply: ScriptReply, to task: RedisTask, now: Instant, wall: WallTime
    ) {
        switch task {
        case .reserve(let request): take(reply, to: request, now: now, wall: wall)
        case .usage:
            if case .usage(let standing) = reply, let answer = reads.take(standing) {
                answers.append(answer)
            }
        case .abandoned, .settle, .renew, .probe: break
        }
    }

    private func take(
        _ reply: ScriptReply, to request: ReserveRequest, now: Instant, wall: WallTime
    ) {
        counted.decided += 1
        switch reply {
        case .reserved(let snapshot):
            if snapshot.limits[.concurrentRequests] > 0 {
                renewals.add(request.reservation, tenantName: request.tenantName, now: now)
            }
            answer(request, .reserved(snapshot, .store))
        case .refused(let refusal): answer(request, .refused(refusal))
        case .neverFits(let kind, let limit, let requested):
            answer(request, .neverFits(kind: kind, limit: limit, requested: requested))
        case .usage, .settledBefore, .done, .unknown:
            answerWithoutStore(request, wall: wall)
        }
    }

    private func takeRefusal(of task: RedisTask, wall: WallTime) {
        counted.commandsRefused += 1
        switch task {
        case .reserve(let request): answerWithoutStore(request, wall: wall)
        case .usage: answers.append(contentsOf: reads.giveUp())
        case .abandoned, .settle, .renew, .probe: break
        }
    }

    /// Sends what waits, as far as the window goes: settlements first.
    private func pump(now: Instant) {
        while link.isUp, link.tasksInFlight < Self.window {
            if let settlement = settlements.next() {
                link.send(.settle(settlement), now: now)
            } else if let lease = renewals.next(now: now) {
                link.send(.renew(lease), now: now)
            } else if let step = reads.next(window: Self.window) {
                link.send(.usage(step), now: now)
            } else {
                return
            }
        }
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
            ReserveAnswer(shared.fallback.reserve(request.order, wall: wall), holder: .replica)
        case .open: .reserved(.unlimited, .nobody)
        case .closed: .unavailable(retryAfter: .seconds(1))
        }
    }
}
