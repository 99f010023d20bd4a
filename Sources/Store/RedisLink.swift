// SPDX-License-Identifier: Apache-2.0

import Budget
import DequeModule
import EventLoop
import Policy
import Units

/// What happened on a link.
enum LinkEvent {
    /// Connected, greeted, and able to decide.
    case up
    /// `deadline`: when it had to be answered.
    case answered(ScriptRun, ScriptReply, deadline: Instant)
    /// It was not run where it was sent and is sent again. Whoever asked has no more time for it.
    case sentAgain(ScriptRun, deadline: Instant)
    /// The server refused this one task in these words, and serves others.
    case refused(ScriptRun, String)
    /// The connection is gone, and with it the replies to these tasks, oldest first.
    case lost(StoreFault, [ScriptRun])
    /// Another server of the cluster has its key; the answer is due all the same.
    case redirected(ScriptRun, deadline: Instant, RedisRedirect, hops: Int)
    /// Its slot is on its way between two servers, neither of which can run it now.
    case between(ScriptRun, deadline: Instant)
    /// Nobody could run this one task in time; others are served.
    case undelivered(StoreFault, ScriptRun)
}

/// The way from one worker to one Redis server: connects, greets, sends tasks, matches replies, and
/// gives a connection up as soon as one reply is late or wrong.
///
/// Redis answers in the order of the commands, so the commands in flight are a queue. What happened
/// is left in `events`, for the owner to take after every call.
final class RedisLink {
    /// For connecting and greeting together.
    static let openMilliseconds = 500
    /// Pieces of replies taken in one go, of 16 KB each: the rest comes with the next readiness.
    private static let mostPieces = 16

    /// What the link is for, and so which script it runs.
    enum Role {
        case budgets
        case sharing
        case ledger
        case ledgerReader

        fileprivate var script: String {
            switch self {
            case .budgets: BudgetScript.text
            case .sharing: SharingScript.text
            case .ledger: LedgerScript.append
            case .ledgerReader: LedgerScript.read
            }
        }

        /// Bytes of a reply: 64 gateways' accounts and reports are 64 × 22 KB at the very most, a
        /// page of the ledger is 100 × 8 KiB.
        fileprivate var replyLimit: Int {
            switch self {
            case .budgets, .ledger: RedisReplyReader.limitBytes
            case .sharing: 3 << 19
            case .ledgerReader: 1 << 20
            }
        }
    }

    private enum Phase {
        /// Exit: opening, when it is time and the gate says so.
        case away(retryAt: Instant)
        /// Connecting, then greeting. Exits: up, away.
        case opening(RedisConnection)
        /// Exit: away.
        case up(RedisConnection)
    }

    private let shared: RedisShared
    private let poller: Poller
    private let tokenKind: UInt8
    private let role: Role
    private let tls: RedisTLSContext?
    /// Among the links of its way.
    private let place: Int
    /// Where the server is; nil: where the configuration says, or nobody has said yet.
    private(set) var target: RedisTarget?
    /// It has been there once.
    private(set) var wasUp = false
    private let writer: RedisCommandWriter
    private var terms: RedisCommandWriter.Terms
    private var random: SplitMix64
    private var phase = Phase.away(retryAt: Instant(nanoseconds: 0))
    private var inFlight: Deque<RedisCommand> = []
    private var isLoadingScript = false
    private(set) var attempts = 0
    private var events: [LinkEvent] = []

    init(
        shared: RedisShared, tls: RedisTLSContext?, poller: Poller, tokenKind: UInt8,
        seed: UInt64, role: Role, place: Int, target: RedisTarget?
    ) {
        self.shared = shared
        self.tls = tls
        self.role = role
        self.place = place
        self.target = target
        self.poller = poller
        self.tokenKind = tokenKind
        random = SplitMix64(seed: seed)
        writer = RedisCommandWriter(prefix: shared.policy.keyPrefix)
        terms = RedisCommandWriter.Terms(digest: "", lease: shared.policy.reservationLease)
    }

    /// For tests: the script takes this time for Redis's own.
    func replaceClock(by time: WallTime) { terms.time = time.microseconds }

    var isUp: Bool {
        if case .up = phase { true } else { false }
    }

    /// Tasks without a reply.
    var tasksInFlight: Int { isUp ? inFlight.count : 0 }

    /// When `tick` wants to be called at the latest.
    var nextDeadline: Instant? {
        switch phase {
        case .away(let retryAt): retryAt
        case .opening, .up: inFlight.first?.deadline
        }
    }

    /// Gives what happened in exchange for an empty array.
    func takeEvents(into taken: inout [LinkEvent]) { swap(&events, &taken) }

    /// Sends a task with the next flush. Only while up.
    func send(_ task: ScriptRun, now: Instant) {
        send(task, deadline: now + shared.policy.timeout, RedisCommand.Route())
    }

    func send(_ task: ScriptRun, deadline: Instant, _ route: RedisCommand.Route) {
        guard case .up(let connection) = phase else { broken("tasks are sent while up") }
        write(RedisCommand(kind: .run(task), deadline: deadline, route: route), task, connection)
    }

    /// Which link of its way an event is for.
    static func place(of token: Token) -> Int { Int(token.key.raw >> 32) }

    /// From now on the server is there.
    func aim(at target: RedisTarget, now: Instant) {
        guard target != self.target else { return }
        let isNews = self.target != nil
        self.target = target
        switch phase {
        case .away: phase = .away(retryAt: now)
        case .opening, .up: if isNews { lose(.refused(.moved), now: now) }
        }
    }

    /// The server is none any more.
    func leave(now: Instant) {
        guard connection != nil else { return }
        lose(.refused(.moved), now: now)
    }

    /// Lets a reservation's answer go nowhere; false when none is in flight.
    func abandon(_ reservation: ReservationID) -> Bool {
        for place in inFlight.indices {
            if case .run(.reserve(let request)) = inFlight[place].kind,
                request.reservation == reservation
            {
                inFlight[place].kind = .run(.abandoned(request))
                return true
            }
        }
        return false
    }

    /// Takes an event of the poller; one of an earlier connection is dropped.
    func ready(_ token: Token, _ readiness: Readiness, now: Instant) {
        guard let connection, connection.token == token else { return }
        untilFault(now: now) { () throws(StoreFault) in
            if !readiness.isDisjoint(with: [.writable, .hungUp, .failed]) {
                try connection.becameWritable()
                try connection.flush()
            }
            if !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp, .failed]) {
                try receive(connection)
            }
        }
    }

    /// Begins to connect when it is time, and gives the connection up when a reply is late.
    func tick(now: Instant) {
        switch phase {
        case .away(let retryAt):
            if retryAt <= now { askGate(now: now) }
        case .opening, .up:
            guard let connection, isLate(now) else { return }
            untilFault(now: now) { () throws(StoreFault) in
                // The reply may be here already, and only we are late.
                try receive(connection)
                if isLate(now) { throw lateness }
            }
        }
    }

    /// Sends what has been written since the last time.
    func flush(now: Instant) {
        guard let connection else { return }
        untilFault(now: now) { () throws(StoreFault) in try connection.flush() }
    }
}

@available(*, unavailable)
extension RedisLink: Sendable {}

// Opening and losing a connection.
extension RedisLink {
    private var connection: RedisConnection? {
        switch phase {
        case .away: nil
        case .opening(let connection), .up(let connection): connection
        }
    }

    private func isLate(_ now: Instant) -> Bool {
        guard let first = inFlight.first else { return false }
        return first.deadline <= now
    }

    private var lateness: StoreFault {
        if isUp { return .deadline(milliseconds: shared.policy.timeout.millisecondsRoundedUp) }
        return .openTimeout(milliseconds: Self.openMilliseconds)
    }

    private func askGate(now: Instant) {
        switch shared.attempt(now: now) {
        case .now: untilFault(now: now) { () throws(StoreFault) in try open(now: now) }
        case .askAgain(let at): phase = .away(retryAt: at + jitter())
        }
    }

    private func open(now: Instant) throws(StoreFault) {
        attempts += 1
        let policy = shared.policy
        guard let target = try nextTarget() else { throw .unresolved }
        var session: RedisTLSSession?
        if let wanted = policy.tls {
            session = try RedisTLSSession(tls, wanted, host: target.host)
        }
        let key = UInt64(place) << 32 | UInt64(UInt32(truncatingIfNeeded: attempts))
        let connection = try RedisConnection(
            to: target.address, session: session, poller: poller,
            token: Token(kind: tokenKind, key: SlabKey(raw: key)), limit: role.replyLimit)
        phase = .opening(connection)
        let deadline = now + .milliseconds(Self.openMilliseconds)
        if let password = policy.password?.revealed {
            let words = ["AUTH"] + (policy.username.map { [$0] } ?? []) + [password]
            greet(words, connection, deadline)
        }
        if policy.database != 0, policy.mode != .cluster {
            greet(["SELECT", String(policy.database)], connection, deadline)
        }
        loadScript(connection, deadline)
    }

    private func nextTarget() throws(StoreFault) -> RedisTarget? {
        if let target { return target }
        guard case .single = shared.policy.mode else { throw .unknownMaster }
        return shared.addresses.target(attempt: attempts - 1)
    }

    private func greet(_ words: [String], _ connection: RedisConnection, _ deadline: Instant) {
        connection.write { writer.write(words, to: &$0) }
        inFlight.append(RedisCommand(kind: .greeting, deadline: deadline))
    }

    private func loadScript(_ connection: RedisConnection, _ deadline: Instant) {
        connection.write { writer.write(["SCRIPT", "LOAD", role.script], to: &$0) }
        inFlight.append(RedisCommand(kind: .loadScript, deadline: deadline))
        isLoadingScript = true
    }

    /// `ASKING` is for the next command alone.
    private func write(
        _ command: RedisCommand, _ task: ScriptRun, _ connection: RedisConnection
    ) {
        let isAsking = command.route.isAsking
        if isAsking { greet(["ASKING"], connection, command.deadline) }
        switch task {
        case .exchange(let run): connection.write { writer.write(run, terms, to: &$0) }
        case .ledger(let run): connection.write { writer.write(run, terms, to: &$0) }
        default:
            var call = task.call
            call.isAsking = isAsking
            connection.write { writer.write(call, terms, to: &$0) }
        }
        inFlight.append(command)
    }

    /// Runs what may find the connection at its end.
    private func untilFault(now: Instant, _ body: () throws(StoreFault) -> Void) {
        do throws(StoreFault) {
            try body()
        } catch {
            lose(error, now: now)
        }
    }

    private func lose(_ fault: StoreFault, now: Instant) {
        shared.failed()
        phase = .away(retryAt: now + jitter())
        isLoadingScript = false
        var tasks: [ScriptRun] = []
        for command in inFlight {
            if case .run(let task) = command.kind { tasks.append(task) }
        }
        inFlight.removeAll()
        events.append(.lost(fault, tasks))
    }

    /// So that workers do not come in step.
    private func jitter() -> Duration {
        Duration(nanoseconds: Int64(random.unit() * 25_000_000))
    }
}

// Replies.
extension RedisLink {
    private var isOfCluster: Bool { shared.policy.mode == .cluster }

    private func receive(_ connection: RedisConnection) throws(StoreFault) {
        for _ in 0..<Self.mostPieces {
            guard case .some = try connection.receive() else { return }
            while let reply = try connection.nextReply() {
                try take(reply, connection)
            }
        }
    }

    private func take(
        _ reply: RedisReply, _ connection: RedisConnection
    ) throws(StoreFault) {
        // More replies than commands.
        guard let command = inFlight.first else { throw .malformedReply }
        // A fault leaves the command in flight: it is lost with the others.
        if case .error(let message) = reply {
            try takeError(message, of: command, connection)
        } else {
            try take(reply, to: command, connection)
        }
        inFlight.removeFirst()
    }

    private func take(
        _ reply: RedisReply, to command: RedisCommand, _ connection: RedisConnection
    ) throws(StoreFault) {
        switch (command.kind, reply) {
        case (.greeting, .status("OK")): break
        case (.loadScript, .string(let digest)):
            guard digest.utf8.count == 40 else { throw .malformedReply }
            terms.digest = digest
            isLoadingScript = false
            // A probe's key would be another server's.
            if case .opening = phase, role != .budgets || isOfCluster {
                isUp(connection)
            } else if case .opening = phase {
                let probe = RedisCommand(kind: .run(.probe), deadline: command.deadline)
                write(probe, .probe, connection)
            }
        case (.run(.probe), .string("done")):
            isUp(connection)
        case (.run(let task), .string(let text)):
            guard let answer = ScriptReply(text, for: task) else { throw .malformedReply }
            events.append(.answered(task, answer, deadline: command.deadline))
        default: throw .malformedReply
        }
    }

    private func isUp(_ connection: RedisConnection) {
        phase = .up(connection)
        wasUp = true
        shared.succeeded()
        events.append(.up)
    }

    private func takeError(
        _ message: String, of command: RedisCommand, _ connection: RedisConnection
    ) throws(StoreFault) {
        let refusal = ServerRefusal(message)
        if case .run(let task) = command.kind, case .up = phase {
            if refusal == .tryAgain {
                events.append(.between(task, deadline: command.deadline))
                return
            }
            if isOfCluster, let target, let redirect = RedisRedirect(message, asked: target) {
                events.append(
                    .redirected(
                        task, deadline: command.deadline, redirect, hops: command.route.hops))
                return
            }
            if refusal == .noScript, !command.isResent {
                return resend(command, task, connection)
            }
            guard let refusal else {
                events.append(.refused(task, message))
                return
            }
            throw .refused(refusal)
        }
        throw .refused(refusal ?? .greeting)
    }

    /// The script was not run, so nothing was charged: loads it, once for all that meet this, and
    /// tries again. The server has its time anew; who asked has not.
    private func resend(
        _ command: RedisCommand, _ task: ScriptRun, _ connection: RedisConnection
    ) {
        var again = command
        again.isResent = true
        again.deadline = command.deadline + shared.policy.timeout
        if !isLoadingScript { loadScript(connection, again.deadline) }
        write(again, task, connection)
        events.append(.sentAgain(task, deadline: command.deadline))
    }
}
