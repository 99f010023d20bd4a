// SPDX-License-Identifier: Apache-2.0

import DequeModule
import EventLoop
import Ledger
import Policy
import Units

/// What a sink's thread has taken from its lane and not written.
struct LedgerBacklog {
    private let gateway: UInt64
    private var events: Deque<LedgerEvent> = []
    private var done: UInt64 = 0

    init(gateway: UInt64) { self.gateway = gateway }

    var count: Int { events.count }
    var isEmpty: Bool { events.isEmpty }
    var first: LedgerEvent? { events.first }
    /// Of the first.
    var nextNumber: UInt64 { done + 1 }

    /// False at the end of all that comes.
    mutating func take(_ messages: [LedgerLane.Message]) -> Bool {
        var goesOn = true
        for message in messages {
            switch message {
            case .event(let event): events.append(event)
            case .end: goesOn = false
            }
        }
        return goesOn
    }

    /// Spells the entry at `place`; its number is the same every time.
    func append(_ place: Int, to text: inout ByteBuffer) {
        let entry = events[place].entry(gateway: gateway, number: done + UInt64(place) + 1)
        LedgerLine.append(entry, to: &text)
    }

    mutating func remove(_ count: Int) {
        events.removeFirst(count)
        done += UInt64(count)
    }
}

/// Writes settlements to a file on a thread of its own, which may block for the disk.
final class LedgerFileThread {
    /// What is written in one go.
    private static let pieceBytes = 256 << 10
    private static let firstRest = Duration.milliseconds(100)
    private static let longestRest = Duration.seconds(1)
    /// How long the end waits for a disk that takes nothing.
    private static let lastWait = Duration.seconds(5)

    private let lane: LedgerLane
    private let policy: LedgerFilePolicy
    private let log: LogSink
    private let poller: Poller
    /// Has nothing to wait for but the time.
    private let gathering: Poller
    private var file: LedgerFile
    private var backlog: LedgerBacklog
    private var text = ByteBuffer()
    private var retryAt = Instant(nanoseconds: 0)
    private var rest = LedgerFileThread.firstRest
    private var syncAt = Instant.distantFuture
    private var endAt: Instant?

    init(
        _ lane: LedgerLane, _ policy: LedgerFilePolicy, _ file: consuming LedgerFile,
        gateway: UInt64, log: LogSink
    ) throws(SystemFault) {
        self.lane = lane
        self.policy = policy
        self.log = log
        self.file = file
        backlog = LedgerBacklog(gateway: gateway)
        poller = try Poller(batch: 1)
        gathering = try Poller(batch: 1)
        try poller.add(lane.box.descriptor, .read, Token(kind: 0, key: SlabKey(raw: 0)))
    }

    /// Runs until it was told the end and has written what came before, or has given it up.
    func run() {
        var messages: [LedgerLane.Message] = []
        while true {
            let now = MonotonicClock.now()
            if let endAt, backlog.isEmpty || now >= endAt { return finish() }
            let isCalled = (try? poller.wait(until: nextDue, now: now)) ?? 0 > 0
            if isCalled, backlog.isEmpty { gather() }
            lane.box.drain(into: &messages)
            let isOver = !backlog.take(messages)
            messages.removeAll(keepingCapacity: true)
            lane.begins(with: backlog.first)
            if isOver { endAt = MonotonicClock.now() + Self.lastWait }
            write()
            chores()
        }
    }

    /// Lets those come that are about to: to be woken up, and to write, costs as much for one as
    /// for a hundred.
    private func gather() {
        let now = MonotonicClock.now()
        _ = try? gathering.wait(until: now + lane.gathering, now: now)
    }

    private var nextDue: Instant? {
        var due = min(syncAt, file.dueAt ?? .distantFuture)
        if !backlog.isEmpty { due = min(due, retryAt) }
        if let endAt { due = min(due, endAt) }
        return due == .distantFuture ? nil : max(due, retryAt)
    }

    private func write() {
        while !backlog.isEmpty {
            let now = MonotonicClock.now()
            guard now >= retryAt else { return }
            let (count, bytes) = spell()
            do throws(SystemFault) {
                let wasDirty = file.isDirty
                let lines = unsafe UnsafeRawBufferPointer(rebasing: text.readable[..<bytes])
                try unsafe file.write(lines, now: now, wall: WallClock.now())
                wrote(count, wasDirty: wasDirty, now: now)
            } catch {
                return failed(error, now: now)
            }
        }
    }

    /// The first lines that wait, as many as go into one piece and into one file, but one at least.
    private func spell() -> (count: Int, bytes: Int) {
        let most = min(Self.pieceBytes, policy.rotateSize.count)
        text.removeAll()
        var count = 0
        var bytes = 0
        while count < backlog.count {
            backlog.append(count, to: &text)
            guard count == 0 || text.count <= most else { break }
            count += 1
            bytes = text.count
        }
        return (count, bytes)
    }

    private func wrote(_ count: Int, wasDirty: Bool, now: Instant) {
        let wasAway = lane.counters.fault != nil
        backlog.remove(count)
        lane.wrote(count, next: backlog.first)
        noteRotations()
        if wasAway { log.write("ledger \(lane.target): is written again") }
        rest = Self.firstRest
        if case .interval(let interval) = policy.sync, file.isDirty, !wasDirty {
            syncAt = now + interval
        }
    }

    private func failed(_ fault: SystemFault, now: Instant) {
        if lane.failed(fault.description) {
            log.write(
                "ledger \(lane.target): \(fault); \(backlog.count) entries wait"
                    + (lane.policy.onFull == .refuse ? ", new requests may be refused" : ""))
        }
        retryAt = now + rest
        rest = min(Self.longestRest, rest + rest)
    }

    private func noteRotations() {
        let rotations = file.rotations
        lane.change { $0.rotations = rotations }
    }

    /// The disk, and the file's age.
    private func chores() {
        let now = MonotonicClock.now()
        do throws(SystemFault) {
            if syncAt <= now {
                syncAt = .distantFuture
                try file.sync()
            }
            if let due = file.dueAt, due <= now, retryAt <= now {
                try file.rotate(now: now, wall: WallClock.now())
                noteRotations()
            }
        } catch {
            failed(error, now: now)
        }
    }

    private func finish() {
        if !backlog.isEmpty {
            log.write("ledger \(lane.target): \(backlog.count) entries are lost at the end")
            lane.gaveUp(backlog.count)
        }
        guard policy.sync != .never, file.isDirty else { return }
        do throws(SystemFault) { try file.sync() } catch { failed(error, now: retryAt) }
    }
}

@available(*, unavailable)
extension LedgerFileThread: Sendable {}
