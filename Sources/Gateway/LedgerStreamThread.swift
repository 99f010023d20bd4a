// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Store
import Units

/// Sends settlements to a stream in Redis, on a thread and a connection of its own.
final class LedgerStreamThread {
    private enum Kind {
        static let box: UInt8 = 1
        static let redis: UInt8 = 2
    }
    /// Entries of one batch: about a millisecond of Redis.
    private static let mostEntries = 128
    private static let mostBytes = 128 << 10
    /// Between two batches of which nothing is known.
    private static let rest = Duration.milliseconds(100)
    /// How long the end waits for a Redis that takes nothing.
    private static let lastWait = Duration.seconds(5)

    private let lane: LedgerLane
    private let log: LogSink
    private let poller: Poller
    /// Has nothing to wait for but the time.
    private let gathering: Poller
    private let redis: RedisLedger
    private var backlog: LedgerBacklog
    private var text = ByteBuffer()
    /// In flight.
    private var sent = 0
    private var retryAt = Instant(nanoseconds: 0)
    private var endAt: Instant?

    init(
        _ lane: LedgerLane, _ policy: LedgerStreamPolicy, _ shared: RedisShared,
        gateway: UInt64, log: LogSink
    ) throws(SystemFault) {
        self.lane = lane
        self.log = log
        backlog = LedgerBacklog(gateway: gateway)
        poller = try Poller(batch: 8)
        gathering = try Poller(batch: 1)
        redis = RedisLedger(
            shared: shared, key: policy.key, maxLength: policy.maxLength, gateway: gateway,
            poller: poller, tokenKind: Kind.redis)
        try poller.add(
            lane.box.descriptor, .read, Token(kind: Kind.box, key: SlabKey(raw: 0)))
    }

    /// Runs until it was told the end and has sent what came before, or has given it up.
    func run() {
        var messages: [LedgerLane.Message] = []
        while true {
            let now = MonotonicClock.now()
            if let endAt, backlog.isEmpty || now >= endAt { return finish() }
            let ready = (try? poller.wait(until: nextDue, now: now)) ?? 0
            var isCalled = false
            for place in 0..<ready {
                let (token, readiness) = poller.event(place)
                guard token.kind == Kind.redis else {
                    isCalled = true
                    continue
                }
                redis.ready(token, readiness, now: MonotonicClock.now())
            }
            if isCalled, backlog.count < Self.mostEntries { gather() }
            lane.box.drain(into: &messages)
            let isOver = !backlog.take(messages)
            messages.removeAll(keepingCapacity: true)
            lane.begins(with: backlog.first)
            drive()
            if isOver { endAt = MonotonicClock.now() + Self.lastWait }
        }
    }

    /// Lets those come that are about to: a batch costs little more than one.
    private func gather() {
        let now = MonotonicClock.now()
        _ = try? gathering.wait(until: now + lane.gathering, now: now)
    }

    private var nextDue: Instant? {
        var due = redis.nextDeadline ?? .distantFuture
        if !backlog.isEmpty, redis.isFree { due = min(due, retryAt) }
        if let endAt { due = min(due, endAt) }
        return due == .distantFuture ? nil : due
    }

    /// What is due, what was answered, and what is to be sent.
    private func drive() {
        let now = MonotonicClock.now()
        if let due = redis.nextDeadline, due <= now { redis.tick(now: now) }
        takeOutcome(now: now)
        send(now: now)
        redis.flush(now: now)
        takeOutcome(now: now)
        if sent == 0, !backlog.isEmpty, let fault = redis.fault { note(fault) }
    }

    private func send(now: Instant) {
        guard sent == 0, !backlog.isEmpty, redis.isFree, now >= retryAt else { return }
        var entries: [String] = []
        var bytes = 0
        while entries.count < backlog.count, entries.count < Self.mostEntries,
            bytes < Self.mostBytes
        {
            text.removeAll()
            backlog.append(entries.count, to: &text)
            bytes += text.count
            let line = unsafe UnsafeRawBufferPointer(rebasing: text.readable.dropLast())
            entries.append(unsafe String(decoding: line, as: UTF8.self))
        }
        sent = entries.count
        redis.send(entries, first: backlog.nextNumber, now: now)
    }

    private func takeOutcome(now: Instant) {
        switch redis.takeOutcome() {
        case nil: return
        case .appended(let trimmed):
            if lane.counters.fault != nil { log.write("ledger \(lane.target): is written again") }
            backlog.remove(sent)
            lane.wrote(sent, next: backlog.first)
            sent = 0
            if trimmed > 0 { lane.change { $0.trimmed += trimmed } }
        case .failed(let fault):
            sent = 0
            retryAt = now + Self.rest
            note(fault, isNew: true)
        }
    }

    private func note(_ fault: String, isNew: Bool = false) {
        guard isNew || lane.counters.fault == nil, lane.failed(fault) else { return }
        log.write(
            "ledger \(lane.target): \(fault); \(backlog.count) entries wait"
                + (lane.policy.onFull == .refuse ? ", new requests may be refused" : ""))
    }

    private func finish() {
        guard !backlog.isEmpty else { return }
        log.write("ledger \(lane.target): \(backlog.count) entries are lost at the end")
        lane.gaveUp(backlog.count)
    }
}

@available(*, unavailable)
extension LedgerStreamThread: Sendable {}
