// SPDX-License-Identifier: Apache-2.0

public import EventLoop
import Policy
public import Units

/// What came of a batch of entries.
public enum LedgerOutcome: Sendable, Equatable {
    /// They are in the stream, each once; so many older ones fell out.
    case appended(trimmed: Int)
    /// Nobody knows: the same batch is to be sent again, and what is there is not added twice.
    case failed(String)
}

/// One process's way to the stream of the ledger: a connection of its own, on the loop of the
/// thread that has it. One batch at a time.
public final class RedisLedger {
    private let link: RedisWay
    private let key: String
    private let seen: String
    private let maxLength: Int
    private var isBusy = false
    private var outcome: LedgerOutcome?
    private var lastFault: String?
    private var events: [LinkEvent] = []

    /// `gateway`: of this process, by chance.
    public init(
        shared: RedisShared, key: String, maxLength: Int, gateway: UInt64, poller: Poller,
        tokenKind: UInt8
    ) {
        link = RedisWay(
            shared: shared, poller: poller, tokenKind: tokenKind, seed: gateway, role: .ledger)
        self.key = key
        self.maxLength = maxLength
        seen = LedgerScript.seenKey(key, gateway)
    }

    /// A batch may be sent.
    public var isFree: Bool { link.isUp && !isBusy }

    /// Why there is no connection; nil while there is one, or before the first attempt has failed.
    public var fault: String? { link.isUp ? nil : lastFault }

    /// When `tick` wants to be called at the latest.
    public var nextDeadline: Instant? { link.nextDeadline }

    /// Sends entries, of which the first has the number `first` and the others follow it, with the
    /// next flush. Only while free.
    public func send(_ entries: [String], first: UInt64, now: Instant) {
        isBusy = true
        let run = LedgerRun.append(
            entries, first: first, key: key, seen: seen, maxLength: maxLength)
        link.send(.ledger(run), now: now)
    }

    /// Takes an event of the poller with this one's kind of token.
    public func ready(_ token: Token, _ readiness: Readiness, now: Instant) {
        link.ready(token, readiness, now: now)
        takeEvents()
    }

    /// Does what time brings; first right after the start.
    public func tick(now: Instant) {
        link.tick(now: now)
        takeEvents()
    }

    /// Sends what this turn has written: once a turn, at its end.
    public func flush(now: Instant) {
        link.flush(now: now)
        takeEvents()
    }

    /// What came of the batch, once.
    public func takeOutcome() -> LedgerOutcome? {
        defer { outcome = nil }
        return outcome
    }

    private func takeEvents() {
        link.takeEvents(into: &events)
        for event in events {
            switch event {
            case .up: lastFault = nil
            case .answered(_, .text(let text), _):
                isBusy = false
                let words = text.split(separator: " ")
                if words.count == 3, words[0] == "appended", let trimmed = Int(words[2]) {
                    outcome = .appended(trimmed: trimmed)
                } else {
                    outcome = .failed("the script's answer is none")
                }
            case .answered: break
            case .refused(_, let message):
                isBusy = false
                outcome = .failed(message)
            case .lost(let fault, let tasks):
                lastFault = fault.description
                if !tasks.isEmpty {
                    isBusy = false
                    outcome = .failed(fault.description)
                }
            case .undelivered(let fault, _):
                isBusy = false
                outcome = .failed(fault.description)
            case .redirected, .between, .sentAgain: break
            }
        }
        events.removeAll(keepingCapacity: true)
    }
}

@available(*, unavailable)
extension RedisLedger: Sendable {}

/// Reads the ledger's stream from its beginning, for a command that may block.
public enum RedisLedgerReader {
    /// Elements of one page: at most 8 KiB each.
    private static let page = 100
    /// Pages that were not answered before it gives up: the same one is asked for again.
    private static let mostFaults = 5

    /// Calls `body` with every line until it says no; false then.
    public static func read(
        shared: RedisShared, key: String, _ body: (RawSpan) -> Bool
    ) throws(StoreFault) -> Bool {
        let poller: Poller
        do { poller = try Poller(batch: 8) } catch { throw .connection(error) }
        let link = RedisWay(
            shared: shared, poller: poller, tokenKind: 1, seed: 1, role: .ledgerReader)
        var reading = Reading(key: key)
        while !reading.isOver {
            let now = MonotonicClock.now()
            do {
                let due = min(link.nextDeadline ?? .distantFuture, now + .seconds(1))
                let count = try poller.wait(until: due, now: now)
                for place in 0..<count {
                    let (token, readiness) = poller.event(place)
                    link.ready(token, readiness, now: MonotonicClock.now())
                }
            } catch {
                throw .connection(error)
            }
            let later = MonotonicClock.now()
            if let due = link.nextDeadline, due <= later { link.tick(now: later) }
            guard try reading.take(link, body) else { return false }
            reading.ask(link, now: later)
            link.flush(now: later)
        }
        return true
    }

    private struct Reading {
        let key: String
        var next = "0-0"
        var isAsking = false
        var isOver = false
        var faults = 0
        var events: [LinkEvent] = []

        init(key: String) { self.key = key }

        mutating func ask(_ link: RedisWay, now: Instant) {
            guard link.isUp, !isAsking, !isOver else { return }
            isAsking = true
            link.send(
                .ledger(LedgerRun(keys: [key], arguments: [next, String(page)])), now: now)
        }

        mutating func take(
            _ link: RedisWay, _ body: (RawSpan) -> Bool
        ) throws(StoreFault) -> Bool {
            link.takeEvents(into: &events)
            defer { events.removeAll(keepingCapacity: true) }
            for event in events {
                switch event {
                case .up: faults = 0
                case .answered(_, .text(let text), _):
                    isAsking = false
                    guard lines(of: text, body) else { return false }
                case .answered: break
                case .refused(_, let message): throw .command(message)
                case .lost(let fault, _):
                    isAsking = false
                    faults += 1
                    if faults >= mostFaults { throw fault }
                case .undelivered: isAsking = false
                case .redirected, .between, .sentAgain: break
                }
            }
            return true
        }

        private mutating func lines(of text: String, _ body: (RawSpan) -> Bool) -> Bool {
            var rest = text.utf8[...]
            let first = rest.firstIndex(of: 0x0A) ?? rest.endIndex
            let following = String(decoding: rest[..<first], as: UTF8.self)
            if following.isEmpty {
                isOver = true
                return true
            }
            next = following
            rest = rest[first...]
            while !rest.isEmpty {
                rest = rest.dropFirst()
                let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
                let line = Array(rest[..<end])
                guard unsafe body(line.span.bytes) else { return false }
                rest = rest[end...]
            }
            return true
        }
    }
}
