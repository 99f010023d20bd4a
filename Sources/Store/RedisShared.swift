// SPDX-License-Identifier: Apache-2.0

import Budget
public import EventLoop
public import Policy
import Synchronization
public import Units

/// What the Redis stores of a process's workers have in common.
public final class RedisShared: Sendable {
    public let policy: RedisStorePolicy
    /// Of this gateway, those that decide about requests.
    let workers: Int
    /// This replica's own budgets for the time that Redis is away: one for all workers, so that a
    /// replica grants each budget at most once more. It is never emptied: what was used in one
    /// outage still counts in the next, as far as it has not drained.
    public let fallback = MemoryStore()
    let addresses: RedisAddresses
    /// Settlements of all workers that Redis has not taken yet, and those that were given up.
    private let waiting = Atomic<Int>(0)
    private let givenUp = Atomic<Int>(0)
    private let ahead = Atomic<Int>(0)
    private let alone = Atomic<Int>(0)
    private let gate = Mutex(AttemptGate())
    private let shares: Mutex<BudgetShares>

    /// `resolver` may be left out when no address is a host name.
    public init(policy: RedisStorePolicy, workers: Int = 1, resolver: Resolver? = nil) {
        self.policy = policy
        self.workers = workers
        shares = Mutex(BudgetShares(atLeast: policy.replicas))
        addresses = RedisAddresses(policy.addresses, resolver: resolver)
    }

    /// How many replicas are heard of, this one included: while Redis is away each grants one part
    /// in as many of every budget. More of them count at once, fewer when there were no more for a
    /// while: after an outage they are heard of one by one, and the next one may be near.
    public func noteReplicas(_ count: Int, now: Instant) {
        shares.withLock { $0.note(max(1, count), now: now) }
    }

    /// Settlements that wait for Redis, of all workers.
    public var settlementsWaiting: Int { waiting.load(ordering: .relaxed) }
    /// Settlements that were given up because too many waited: a replica of many that was alone for
    /// long.
    public var settlementsLost: Int { givenUp.load(ordering: .relaxed) }

    /// Requests of all workers that were admitted out of leases.
    public var decidedAhead: Int { ahead.load(ordering: .relaxed) }

    /// Requests of all workers that `on_failure` decided.
    public var decidedWithoutStore: Int { alone.load(ordering: .relaxed) }

    func note(ahead: Int, alone: Int) {
        if ahead != 0 { self.ahead.add(ahead, ordering: .relaxed) }
        if alone != 0 { self.alone.add(alone, ordering: .relaxed) }
    }

    func note(waiting more: Int, lost: Int) {
        if more != 0 { waiting.add(more, ordering: .relaxed) }
        if lost != 0 { givenUp.add(lost, ordering: .relaxed) }
    }

    func reserveAlone(_ request: ReserveRequest, wall: WallTime) -> ReserveAnswer {
        let share = share(of: request.account)
        let order = BudgetOrder(
            id: request.reservation, limits: share, demand: request.order.demand,
            serviceTime: request.order.serviceTime)
        let outcome = fallback.reserve(order, wall: wall)
        // Too large for a part may be right for the whole.
        if case .neverFits = outcome, share !== request.account.limits,
            request.account.limits.canHold(request.order.demand)
        {
            return .unavailable(retryAfter: .seconds(1))
        }
        return ReserveAnswer(outcome, holder: .replica)
    }

    func settleAlone(_ settlement: Settlement, wall: WallTime) {
        let share = BudgetAccount(share(of: settlement.account))
        fallback.settle(
            Settlement(
                reservation: settlement.reservation, account: share, holder: .replica,
                use: settlement.use), wall: wall)
    }

    /// Beside whole limits, as operators know them.
    func standingsAlone(of accounts: [BudgetAccount], wall: WallTime) -> [LimitsSnapshot] {
        fallback.standings(of: accounts, wall: wall)
    }

    private func share(of account: BudgetAccount) -> LimitSet {
        shares.withLock { $0.share(of: account) }
    }

    /// Whether the files of `tls` are what they should be; reads them.
    public func checkFiles() throws(StoreFault) {
        if let tls = policy.tls { _ = try RedisTLSContext(tls) }
    }

    func attempt(now: Instant) -> AttemptGate.Answer { gate.withLock { $0.attempt(now: now) } }
    func succeeded() { gate.withLock { $0.succeeded() } }
    func failed() { gate.withLock { $0.failed() } }
}

/// This replica's parts of budgets, made when they are first needed.
private struct BudgetShares {
    /// Accounts whose parts are remembered; the next one makes them anew.
    private static let most = 65_536
    /// How long there have to be fewer.
    private static let patience = Duration.seconds(30)
    /// Whoever has not been told for so long was away, and begins to wait anew.
    private static let longestSilence = Duration.seconds(5)

    /// What the operator says that there are.
    private let least: Int
    private var replicas: Int
    /// Since when there are fewer, how many there were at most since, and the last time.
    private var fewer: (since: Instant, most: Int, heardAt: Instant)?
    /// With the account, so that its identity is not another's meanwhile.
    private var made: [ObjectIdentifier: (account: BudgetAccount, share: LimitSet)] = [:]

    init(atLeast least: Int) {
        self.least = max(1, least)
        replicas = self.least
    }

    mutating func note(_ heard: Int, now: Instant) {
        let count = max(least, heard)
        guard count < replicas else {
            fewer = nil
            return change(to: count)
        }
        var seen = fewer ?? (now, count, now)
        if now - seen.heardAt > Self.longestSilence { seen = (now, count, now) }
        seen.most = max(seen.most, count)
        seen.heardAt = now
        fewer = seen
        guard now - seen.since >= Self.patience else { return }
        fewer = nil
        change(to: seen.most)
    }

    private mutating func change(to count: Int) {
        guard count != replicas else { return }
        replicas = count
        made.removeAll()
    }

    mutating func share(of account: BudgetAccount) -> LimitSet {
        guard replicas > 1 else { return account.limits }
        if let known = made[ObjectIdentifier(account)] { return known.share }
        if made.count >= Self.most { made.removeAll() }
        let share = account.limits.share(of: replicas)
        made[ObjectIdentifier(account)] = (account, share)
        return share
    }
}
