// SPDX-License-Identifier: Apache-2.0

public import Budget
import Units

/// What the script said.
public enum ScriptReply: Sendable, Equatable {
    case reserved(LimitsSnapshot)
    case refused(BudgetRefusal)
    case neverFits(BudgetExcess)
    case usage(LimitsSnapshot)
    case grant(GrantOutcome)
    /// The reservation was settled before it was made.
    case settledBefore
    case done
    case unknown
    /// An exchange's answer, not looked at yet.
    case exchanged(String)
    /// Of a ledger's script, or of overrides, not looked at yet.
    case text(String)

    /// Of the script's words: answer, limit from 1, wait, now, and of each limit what is used and
    /// until when. Nil for anything else.
    public init?(_ text: String, limits: LimitSet, demand: Demand) {
        switch text {
        case "done": self = .done
        case "unknown": self = .unknown
        case "settled": self = .settledBefore
        case "none": self = .grant(.none)
        default:
            guard let parts = Parts(text, limits) else { return nil }
            self.init(parts, limits: limits, demand: demand)
        }
    }

    /// Nil also for an answer that is not one to this task.
    init?(_ text: String, for task: ScriptRun) {
        if case .exchange = task {
            self = .exchanged(text)
            return
        }
        switch task {
        case .ledger, .overrides:
            self = .text(text)
            return
        default: break
        }
        guard let reply = ScriptReply(text, limits: task.limits, demand: task.demand) else {
            return nil
        }
        switch (task, reply) {
        case (.reserve, .reserved), (.reserve, .refused), (.reserve, .neverFits),
            (.reserve, .settledBefore),
            (.late, .reserved), (.late, .settledBefore), (.abandoned, _), (.settle, .done),
            (.settle, .unknown),
            (.renew, .done), (.renew, .unknown), (.usage, .usage), (.grant, .grant),
            (.report, .done), (.report, .unknown):
            self = reply
        default: return nil
        }
    }

    private init?(_ parts: Parts, limits: LimitSet, demand: Demand) {
        switch parts.answer {
        case "reserved": self = .reserved(parts.snapshot)
        case "usage": self = .usage(parts.snapshot)
        case "granted":
            guard parts.wait <= 1_000_000 else { return nil }
            self = .grant(.granted(millionths: Double(parts.wait), parts.snapshot))
        case "never":
            guard let place = parts.place else { return nil }
            self = .neverFits(BudgetExcess(limits.limits[place], demand: demand))
        case "refused":
            guard let place = parts.place else { return nil }
            self = .refused(
                BudgetRefusal(
                    at: place, demand: demand, wait: .microseconds(parts.wait),
                    snapshot: parts.snapshot))
        default: return nil
        }
    }
}

/// The words of a longer answer. Numbers outside of what the script can say make it no answer: a
/// server may send anything.
private struct Parts {
    let answer: Substring
    /// Of the limit that it is about.
    let place: Int?
    let wait: Int
    let snapshot: LimitsSnapshot

    init?(_ text: String, _ limits: LimitSet) {
        var words = Words(text)
        let count = limits.limits.count
        answer = words.word()
        guard let place = words.whole(upTo: Double(count)), let wait = words.whole(upTo: 2e15),
            let now = words.whole(upTo: 0x1p52)
        else { return nil }
        self.place = place > 0 ? place - 1 : nil
        self.wait = wait
        var used: [Double] = []
        var resets: [Double] = []
        used.reserveCapacity(count)
        resets.reserveCapacity(count)
        for _ in 0..<count {
            guard let amount = words.number(), (0...1e30).contains(amount),
                let reset = words.number(), (0...2e15).contains(reset)
            else { return nil }
            used.append(amount)
            resets.append(reset)
        }
        let snapshot = LimitsSnapshot(
            limits: limits, used: used, resets: resets, time: Int64(now))
        guard let snapshot, words.isAtEnd else { return nil }
        self.snapshot = snapshot
    }
}

/// The words of a text, each behind one space, from the first to the last.
private struct Words {
    private let text: String
    /// Bytes before the next word.
    private var at = 0

    init(_ text: String) { self.text = text }

    /// All are taken, and nothing is behind the last, not even a space.
    var isAtEnd: Bool { at == text.utf8.count + 1 }

    mutating func word() -> Substring {
        let bytes = text.utf8Span.span
        let start = at
        while at < bytes.count, bytes[at] != 0x20 { at += 1 }
        defer { at += 1 }
        return part(start, at)
    }

    /// As `Double` reads it; digits alone, which most are, without its detours.
    mutating func number() -> Double? {
        let bytes = text.utf8Span.span
        let start = at
        var whole: UInt64 = 0
        var isWhole = true
        while at < bytes.count, bytes[at] != 0x20 {
            let digit = bytes[at] &- 0x30
            isWhole = isWhole && digit < 10
            whole = whole &* 10 &+ UInt64(digit)
            at += 1
        }
        guard at > start else { return nil }
        defer { at += 1 }
        // No more digits than 64 bits hold: the conversion rounds as reading them does.
        return isWhole && at - start <= 18 ? Double(whole) : Double(part(start, at))
    }

    mutating func whole(upTo most: Double) -> Int? {
        guard let number = number(), (0...most).contains(number) else { return nil }
        return Int(number)
    }

    private func part(_ start: Int, _ end: Int) -> Substring {
        let from = text.utf8.index(text.startIndex, offsetBy: start)
        return text[from..<text.utf8.index(from, offsetBy: end - start)]
    }
}
