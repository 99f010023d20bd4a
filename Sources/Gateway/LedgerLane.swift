// SPDX-License-Identifier: Apache-2.0

import Dialects
import EventLoop
import Ledger
import Policy
import Synchronization
import Telemetry
import Units

/// What a worker tells of one settlement, with as little work as possible: another thread spells
/// it.
struct LedgerEvent: Sendable {
    /// Of the gateway's own clock, for how long it has waited.
    let at: Instant
    let time: WallTime
    let name: RequestName
    let tenant: String
    let key: KeyHash?
    let trafficClass: String
    let model: String
    let price: Price?
    let outcome: Outcome
    let usage: Usage
    let source: SettledUsage.Source

    func entry(gateway: UInt64, number: UInt64) -> LedgerEntry {
        var entry = LedgerEntry(
            time: time, gateway: gateway, number: number, requestID: name.text, tenant: tenant,
            trafficClass: trafficClass, model: model, outcome: outcome.rawValue,
            source: source.rawValue)
        entry.key = key?.identifier
        entry.input = usage.input.count
        entry.cachedInput = usage.cachedInput.count
        entry.output = usage.output.count
        entry.reasoning = usage.reasoning.count
        if let price {
            let fresh = usage.input.count - usage.cachedInput.count
            entry.cost =
                Money(tokens: fresh, perMillion: price.inputPerMillion)
                + Money(tokens: usage.cachedInput.count, perMillion: price.cachedInputPerMillion)
                + Money(tokens: usage.output.count, perMillion: price.outputPerMillion)
            entry.currency = price.currency
        }
        return entry
    }
}

extension KeyHash {
    /// Twelve digits that tell an operator which of the configured keys it was.
    var identifier: String {
        let word = words[0]
        return unsafe String(unsafeUninitializedCapacity: 12) { digits in
            for place in 0..<12 {
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * place)) & 15
                unsafe digits[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
            }
            return 12
        }
    }
}

/// What one sink of the ledger has done since the start.
struct LedgerCounters: Sendable {
    var written = 0
    /// Found no room, with `on_full: drop`, or were left at the end.
    var lost = 0
    var faults = 0
    /// Files that were full, or entries that fell out of a stream.
    var rotations = 0
    var trimmed = 0
    /// Nil while it works.
    var fault: String?
}

/// The way of settlements from the workers to the thread of one sink: bounded, and nobody waits.
///
/// What is open when the queue is full still finds a place, so that with `on_full: refuse` nothing
/// is lost: that is why the box holds more than the queue.
final class LedgerLane: Sendable {
    enum Message: Sendable {
        case event(LedgerEvent)
        case end
    }

    private static let longestGathering = Duration.milliseconds(5)

    let sink: String
    /// For people: where it goes.
    let target: String
    let policy: LedgerPolicy
    /// How long the first of many waits for the others, in its thread.
    let gathering: Duration
    let box: Mailbox<Message>
    private let hardLimit: Int
    /// Told and not written.
    private let waiting = Atomic<Int>(0)
    /// When the oldest of them was told, in nanoseconds; 0 where there is none.
    private let oldest = Atomic<UInt64>(0)
    private let lost = Atomic<Int>(0)
    private let counted = Mutex(LedgerCounters())

    init(sink: String, target: String, policy: LedgerPolicy, open: Int) throws(SystemFault) {
        self.sink = sink
        self.target = target
        self.policy = policy
        gathering = min(
            Self.longestGathering, Duration(nanoseconds: policy.window.nanoseconds / 4))
        hardLimit = policy.queue + (policy.onFull == .refuse ? open : 0)
        box = try Mailbox(limit: hardLimit + 1)
    }

    var counters: LedgerCounters {
        var counters = counted.withLock { $0 }
        counters.lost += lost.load(ordering: .relaxed)
        return counters
    }

    var waitingCount: Int { waiting.load(ordering: .relaxed) }

    func waited(now: Instant) -> Duration {
        let since = oldest.load(ordering: .relaxed)
        return since == 0 ? .zero : max(.zero, now - Instant(nanoseconds: since))
    }

    /// Entries wait that should be written by now.
    func isBehind(now: Instant) -> Bool {
        waitingCount >= policy.queue || waited(now: now) > policy.window
    }

    func post(_ event: LedgerEvent) {
        let count = waiting.add(1, ordering: .relaxed).newValue
        guard count <= hardLimit, box.post(.event(event)) else {
            waiting.subtract(1, ordering: .relaxed)
            lost.add(1, ordering: .relaxed)
            return
        }
        _ = oldest.compareExchange(
            expected: 0, desired: max(1, event.at.nanoseconds), ordering: .relaxed)
    }

    // MARK: of the sink's thread

    /// What it has taken begins with this.
    func begins(with first: LedgerEvent?) {
        if let first { oldest.store(max(1, first.at.nanoseconds), ordering: .relaxed) }
    }

    func wrote(_ count: Int, next: LedgerEvent?) {
        counted.withLock { counters in
            counters.written += count
            counters.fault = nil
        }
        let left = waiting.subtract(count, ordering: .relaxed).newValue
        if let next {
            begins(with: next)
        } else if left == 0 {
            oldest.store(0, ordering: .relaxed)
        }
    }

    /// True for the first fault of a row, which is worth a line.
    func failed(_ fault: String) -> Bool {
        counted.withLock { counters in
            counters.faults += 1
            let isFirst = counters.fault == nil
            counters.fault = fault
            return isFirst
        }
    }

    func change(_ body: (inout LedgerCounters) -> Void) { counted.withLock { body(&$0) } }

    func gaveUp(_ count: Int) {
        waiting.subtract(count, ordering: .relaxed)
        lost.add(count, ordering: .relaxed)
    }
}
