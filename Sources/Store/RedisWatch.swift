// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Units

/// Asks who the master is (sentinels), or who has which slots (a cluster's nodes): once a second,
/// and ten times as often while something is wrong. A connection of its own, to one of them at a
/// time; one that is late, or does not know, gives way to the next.
final class RedisWatch {
    /// For connecting and for an answer each.
    private static let patience = Duration.milliseconds(500)
    private static let usual = Duration.seconds(1)
    private static let hurried = Duration.milliseconds(100)
    /// For how long it is asked more often.
    private static let hurry = Duration.seconds(30)
    /// The most bytes of an answer: some 200 for each of a thousand nodes.
    private static let mostBytes = 256 << 10

    private let shared: RedisShared
    private let poller: Poller
    private let tokenKind: UInt8
    private let tls: RedisTLSContext?
    private let writer: RedisCommandWriter
    private var random: SplitMix64
    private var connection: RedisConnection?
    private var asked: RedisTarget?
    private var attempts = 0
    /// Answers of a greeting still to come.
    private var greetings = 0
    private var isAsking = false
    private var deadline = Instant.distantFuture
    private var askAt = Instant(nanoseconds: 0)
    private var hurryUntil = Instant(nanoseconds: 0)
    /// Of a sentinel.
    private(set) var master: RedisTarget?
    /// Of a cluster.
    private(set) var nodes: RedisNodes?
    /// Changes with what was found.
    private(set) var generation = 0
    /// How often it was told.
    private(set) var answers = 0

    init(
        shared: RedisShared, tls: RedisTLSContext?, poller: Poller, tokenKind: UInt8,
        seed: UInt64
    ) {
        self.shared = shared
        self.tls = tls
        self.poller = poller
        self.tokenKind = tokenKind
        random = SplitMix64(seed: seed ^ 0x5EED)
        writer = RedisCommandWriter(prefix: "")
    }

    var nextDeadline: Instant { isAsking ? deadline : askAt }

    /// Something is wrong with what is known.
    func hurry(now: Instant) {
        hurryUntil = now + Self.hurry
        askAt = min(askAt, now + Self.hurried)
    }

    /// All is as it was found.
    func calm() { hurryUntil = Instant(nanoseconds: 0) }

    func isOwn(_ token: Token) -> Bool { connection?.token == token }

    func ready(_ readiness: Readiness, now: Instant) {
        guard let connection else { return }
        untilFault(now: now) { () throws(StoreFault) in
            if !readiness.isDisjoint(with: [.writable, .hungUp, .failed]) {
                try connection.becameWritable()
                try connection.flush()
            }
            if !readiness.isDisjoint(with: [.readable, .peerClosed, .hungUp, .failed]) {
                try receive(connection, now: now)
            }
        }
    }

    func tick(now: Instant) {
        if isAsking, deadline <= now {
            let limit = Self.patience.millisecondsRoundedUp
            lose(now: now, .deadline(milliseconds: limit))
        }
        if !isAsking, askAt <= now {
            untilFault(now: now) { () throws(StoreFault) in try ask(now: now) }
        }
    }

    func flush(now: Instant) {
        guard let connection else { return }
        untilFault(now: now) { () throws(StoreFault) in try connection.flush() }
    }

    private func ask(now: Instant) throws(StoreFault) {
        isAsking = true
        deadline = now + Self.patience
        var opened = self.connection
        if opened == nil { opened = try open() }
        guard let connection = opened else { return }
        switch shared.policy.mode {
        case .single: broken("a single server is not asked where it is")
        case .sentinel: connection.write { writer.write(["INFO", "sentinel"], to: &$0) }
        case .cluster: connection.write { writer.write(["CLUSTER", "NODES"], to: &$0) }
        }
    }

    private func open() throws(StoreFault) -> RedisConnection {
        attempts += 1
        guard let target = nextTarget() else { throw .unresolved }
        let policy = shared.policy
        var session: RedisTLSSession?
        if let wanted = policy.tls {
            session = try RedisTLSSession(tls, wanted, host: target.host)
        }
        // Links have the lower ones.
        let key = SlabKey(raw: 0xFF_FFFF << 32 | UInt64(UInt32(truncatingIfNeeded: attempts)))
        let made = try RedisConnection(
            to: target.address, session: session, poller: poller,
            token: Token(kind: tokenKind, key: key), limit: Self.mostBytes)
        connection = made
        asked = target
        var user = policy.username
        var password = policy.password
        if case .sentinel(let sentinel) = policy.mode {
            user = sentinel.username
            password = sentinel.password
        }
        if let password = password?.revealed {
            let words = ["AUTH"] + (user.map { [$0] } ?? []) + [password]
            made.write { writer.write(words, to: &$0) }
            greetings = 1
        }
        return made
    }

    /// The configured ones in turn, and nodes that were heard of where none of these answers.
    private func nextTarget() -> RedisTarget? {
        if let nodes, attempts % 2 == 0 {
            return nodes.targets[attempts / 2 % nodes.targets.count]
        }
        return shared.addresses.target(attempt: nodes == nil ? attempts - 1 : attempts / 2)
    }

    private func receive(_ connection: RedisConnection, now: Instant) throws(StoreFault) {
        for _ in 0..<16 {
            guard case .some = try connection.receive() else { return }
            while let reply = try connection.nextReply() { try take(reply, now: now) }
        }
    }

    private func take(_ reply: RedisReply, now: Instant) throws(StoreFault) {
        if case .error(let message) = reply {
            throw ServerRefusal(message).map { .refused($0) } ?? .command(message)
        }
        if greetings > 0, reply == .status("OK") {
            greetings -= 1
            return
        }
        guard isAsking, greetings == 0, case .string(let text) = reply, let asked else {
            throw .malformedReply
        }
        if case .sentinel(let sentinel) = shared.policy.mode {
            guard let found = RedisNodes.master(sentinel.master, in: text) else {
                throw .unknownMaster
            }
            if master != found {
                master = found
                generation += 1
            }
        } else {
            guard let found = RedisNodes(text, asked: asked) else { throw .malformedReply }
            if nodes != found {
                nodes = found
                generation += 1
            }
        }
        isAsking = false
        answers += 1
        let rest = now < hurryUntil ? Self.hurried : Self.usual
        askAt = now + Duration(nanoseconds: rest.nanoseconds + Int64(random.unit() * 2.5e7))
    }

    private func untilFault(now: Instant, _ body: () throws(StoreFault) -> Void) {
        do throws(StoreFault) {
            try body()
        } catch {
            lose(now: now, error)
        }
    }

    private func lose(now: Instant, _ fault: StoreFault) {
        self.fault = fault
        connection = nil
        greetings = 0
        isAsking = false
        askAt = now + Duration(nanoseconds: Int64(2.5e8 + random.unit() * 1e8))
    }

    /// Why the last one gave way.
    private(set) var fault: StoreFault?
}

@available(*, unavailable)
extension RedisWatch: Sendable {}
