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
        let count = limits.limits.count
        let words = text.split(
            separator: " ", maxSplits: 4 + 2 * count, omittingEmptySubsequences: false)
        guard words.count == 4 + 2 * count, let place = Int(words[1]), (0...count).contains(place),
            let wait = Self.whole(words[2], upTo: 2e15),
            let now = Self.whole(words[3], upTo: 0x1p52)
        else { return nil }
        answer = words[0]
        self.place = place > 0 ? place - 1 : nil
        self.wait = wait
        var used: [Double] = []
        var resets: [Double] = []
        for index in 0..<count {
            guard let amount = Double(words[4 + 2 * index]), (0...1e30).contains(amount),
                let reset = Double(words[5 + 2 * index]), (0...2e15).contains(reset)
            else { return nil }
            used.append(amount)
            resets.append(reset)
        }
        let snapshot = LimitsSnapshot(
            limits: limits, used: used, resets: resets, time: Int64(now))
        guard let snapshot else { return nil }
        self.snapshot = snapshot
    }

    private static func whole(_ word: Substring, upTo most: Double) -> Int? {
        guard let number = Double(word), (0...most).contains(number) else { return nil }
        return Int(number)
    }
}
