// SPDX-License-Identifier: Apache-2.0

public import Budget
public import Policy
import Units

/// What the script said.
public enum ScriptReply: Sendable, Equatable {
    case reserved(LimitsSnapshot)
    case refused(BudgetRefusal)
    case neverFits(kind: LimitKind, limit: Double, requested: Double)
    case usage(LimitsSnapshot)
    /// The reservation was settled before it was made.
    case settledBefore
    case done
    case unknown
    /// An exchange's answer, not looked at yet.
    case exchanged(String)
    /// Of a ledger's script, not looked at yet.
    case text(String)

    /// Of the script's words: answer, kind from 1, wait, now, clock, seven used. Nil for anything
    /// else.
    public init?(_ text: String, limits: LimitSet, demand: Demand) {
        switch text {
        case "done": self = .done
        case "unknown": self = .unknown
        case "settled": self = .settledBefore
        default:
            guard let parts = Parts(text) else { return nil }
            self.init(parts, limits: limits, demand: demand)
        }
    }

    /// Nil also for an answer that is not one to this task.
    init?(_ text: String, for task: ScriptRun) {
        if case .exchange = task {
            self = .exchanged(text)
            return
        }
        if case .ledger = task {
            self = .text(text)
            return
        }
        let call = task.call
        guard let reply = ScriptReply(text, limits: call.limits, demand: call.demand) else {
            return nil
        }
        switch (task, reply) {
        case (.reserve, .reserved), (.reserve, .refused), (.reserve, .neverFits),
            (.reserve, .settledBefore), (.abandoned, _), (.settle, .done), (.settle, .unknown),
            (.renew, .done), (.renew, .unknown), (.usage, .usage):
            self = reply
        default: return nil
        }
    }

    private init?(_ parts: Parts, limits: LimitSet, demand: Demand) {
        let snapshot = LimitsSnapshot(
            limits: limits, used: parts.used, time: parts.now, drainsFrom: parts.clock)
        switch parts.answer {
        case "reserved": self = .reserved(snapshot)
        case "usage": self = .usage(snapshot)
        case "never":
            guard let kind = parts.kind, limits[kind] > 0 else { return nil }
            self = .neverFits(
                kind: kind, limit: limits[kind], requested: demand.amount(of: kind))
        case "refused":
            guard let kind = parts.kind, limits[kind] > 0 else { return nil }
            self = .refused(
                BudgetRefusal(
                    kind: kind, used: parts.used[kind.index],
                    requested: demand.amount(of: kind), wait: .microseconds(parts.wait),
                    snapshot: snapshot))
        default: return nil
        }
    }
}

/// The words of a longer answer. Numbers outside of what the script can say make it no answer: a
/// server may send anything.
private struct Parts {
    let answer: Substring
    let kind: LimitKind?
    let wait: Int
    let now: Int64
    let clock: Int64
    private(set) var used: [7 of Double] = [0, 0, 0, 0, 0, 0, 0]

    init?(_ text: String) {
        let words = text.split(separator: " ", maxSplits: 12, omittingEmptySubsequences: false)
        guard words.count == 12, let place = Int(words[1]), (0...LimitKind.count).contains(place),
            let wait = Self.whole(words[2], upTo: 2e15),
            let now = Self.whole(words[3], upTo: 0x1p52),
            let clock = Self.whole(words[4], upTo: 0x1p52)
        else { return nil }
        answer = words[0]
        kind = place > 0 ? .at(place - 1) : nil
        self.wait = wait
        self.now = Int64(now)
        self.clock = Int64(clock)
        for index in 0..<LimitKind.count {
            guard let amount = Double(words[5 + index]), (0...1e30).contains(amount) else {
                return nil
            }
            used[index] = amount
        }
    }

    private static func whole(_ word: Substring, upTo most: Double) -> Int? {
        guard let number = Double(word), (0...most).contains(number) else { return nil }
        return Int(number)
    }
}
