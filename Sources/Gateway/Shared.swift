// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import EventLoop
import Policy
import Store
import Synchronization
import Telemetry
import Units

/// What control thread and workers tell a worker.
enum WorkerMessage: Sendable {
    /// A decision about one of its requests, made while another thread drove the machine.
    case action(Action)
    case reconfigured(Policy)
    /// Where an endpoint's name leads to now.
    case resolved(EndpointID, [SocketAddress])
    /// What the texts of a big prompt come to; nil where they could not be read.
    case counted(RequestID, ExactCount?)
    /// What a big body asks for.
    case read(RequestID, Result<ReadBody, BodyFault>)
    /// No new connections; idle ones close, answers end theirs.
    case drain
    /// Whatever is left is cut.
    case stop
}

/// What workers tell the control thread.
enum ControlMessage: Sendable {
    /// A worker has ended; it had this many requests cut.
    case workerEnded(Int)
    case resolved(EndpointID, [SocketAddress], failed: Bool)
    /// Where an issuer's keys are to be fetched.
    case foundIssuer(Int, ResolveOutcome)
    /// What the other gateways are to be told.
    case exchange(ExchangeAsk)
}

/// The little that all threads share: the one decider, the logs of refusals and of decisions, and
/// the ways to each other.
final class Shared: Sendable {
    /// Held for one decision at a time, never over a system call.
    let decider: Mutex<Decider>
    let throttles: ThrottleLog
    let traces: TraceLog
    let mailboxes: [Mailbox<WorkerMessage>]
    let control: Mailbox<ControlMessage>
    let metrics: [RequestMetrics]
    /// Where budgets are, unless they are in Redis.
    let memory: MemoryStore?
    /// What the workers' connections to Redis have in common, where budgets are in Redis.
    let redis: RedisShared?
    /// Other gateways may send to the same endpoints, and tell of it through Redis.
    let sharesEndpoints: Bool
    /// Where settlements are written down; empty where they are not.
    let ledger: [LedgerLane]
    /// Count big prompts.
    let counting: CountingThreads
    let nonce: UInt64
    let log: LogSink
    /// What connections are protected with.
    let security: Security
    let handshakes = HandshakeCounts()
    /// Keys of those whose tokens are believed.
    let identities = Identities()
    /// By worker.
    let tokenCounts: [TokenCounts]
    let addresses = AddressCounts()
    let connectionRefusals = ConnectionRefusals()
    /// Requests that wait in queues, so that the control thread knows whether to tick fast.
    let waiting = Atomic<Int>(0)
    let openConnections = Atomic<Int>(0)
    let isDraining = Atomic<Bool>(false)
    /// Workers whose budget store answers.
    let storesUp = Atomic<Int>(0)

    /// Every worker's budgets come from where they should.
    var storeIsUp: Bool {
        redis == nil || storesUp.load(ordering: .relaxed) == mailboxes.count
    }

    init(
        policy: Policy, workers: Int, memory: MemoryStore?, redis: RedisShared?,
        ledger: [LedgerLane], counting: CountingThreads, security: Security, log: LogSink,
        seed: UInt64
    ) throws(SystemFault) {
        let limit = HTTPPolicy.connectionsLimit * workers
        self.security = security
        let sharing = redis?.policy.sharing.map { sharing in
            SharingPolicy(
                GatewayID(raw: seed), refresh: sharing.refresh, lease: sharing.lease,
                deadline: max(
                    SharingPolicy.shortestDeadline,
                    Duration(nanoseconds: 2 * (redis?.policy.timeout.nanoseconds ?? 0))))
        }
        sharesEndpoints = sharing != nil
        decider = Mutex(Decider(policy: policy, limit: limit, seed: seed, sharing: sharing))
        throttles = ThrottleLog(limit: policy.throttleHistory)
        traces = TraceLog(limit: policy.requestHistory)
        var mailboxes: [Mailbox<WorkerMessage>] = []
        var metrics: [RequestMetrics] = []
        for _ in 0..<workers {
            mailboxes.append(try Mailbox(limit: 3 * HTTPPolicy.connectionsLimit + 1_024))
            metrics.append(
                RequestMetrics(reasons: RefusalReason.allCases.count, limit: 4_096))
        }
        self.mailboxes = mailboxes
        tokenCounts = mailboxes.map { _ in TokenCounts() }
        self.metrics = metrics
        control = try Mailbox(limit: 65_536)
        self.memory = memory
        self.redis = redis
        self.ledger = ledger
        self.counting = counting
        self.log = log
        nonce = seed
    }

    /// No new request is taken: what it uses could not be written down.
    func refusesForLedger(now: Instant) -> Bool {
        ledger.contains { $0.policy.onFull == .refuse && $0.isBehind(now: now) }
    }

    /// Lets the machine handle one event, and adds what is to be done.
    func decide(_ event: Event, now: Instant, into actions: inout [Action]) {
        let waiting = decider.withLock { decider in
            decider.handle(event, now: now, into: &actions)
            return decider.waiting
        }
        self.waiting.store(waiting, ordering: .relaxed)
    }
}
