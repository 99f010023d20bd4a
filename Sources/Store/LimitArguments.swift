// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy

/// Limits as the script reads them: how many accounts, and six words for each limit.
enum LimitArguments {
    /// `isBounded`: a request that does not fit is refused.
    static func words(_ set: LimitSet, isBounded: Bool = true) -> [String] {
        var words = [set.accounts.count.description]
        for limit in set.limits {
            words.append((limit.account + 1).description)
            words.append(limit.code.text)
            words.append((limit.quantity.rawValue + 1).description)
            words.append(window(limit.form))
            words.append(number(limit.amount))
            words.append(isBounded ? number(limit.capacity) : "1e300")
        }
        return words
    }

    private static func window(_ form: PlannedLimit.Form) -> String {
        switch form {
        case .concurrent: return "open"
        case .sliding(let microseconds): return number(microseconds)
        case .calendar(let window, let zone):
            var text = "\(letter(window))\(zone.first)"
            for change in zone.changes { text += " \(change.at) \(change.offset)" }
            return text
        }
    }

    private static func letter(_ window: LimitWindow) -> String {
        switch window {
        case .second: "s"
        case .minute: "m"
        case .hour: "h"
        case .day: "d"
        case .week: "w"
        case .month: "M"
        }
    }

    private static func number(_ number: Double) -> String { RedisCommandWriter.number(number) }

    /// In the protocol's form (RESP 2).
    static func bulks(_ words: [String]) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in words { bytes += "$\(word.utf8.count)\r\n\(word)\r\n".utf8 }
        return bytes
    }
}
