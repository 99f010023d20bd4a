// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// When a request fits.
extension Account {
    /// The first limit that could never hold the request.
    static func neverFits(_ requested: [7 of Double], limits: LimitSet) -> BudgetOutcome? {
        for index in 0..<LimitKind.count
        where limits.amounts[index] > 0 && requested[index] > limits.amounts[index] {
            return .neverFits(
                kind: .at(index), limit: limits.amounts[index], requested: requested[index])
        }
        return nil
    }

    /// The refusal with the longest wait, or nil when all limits have room. The caller has
    /// advanced.
    func refusal(
        _ requested: [7 of Double], limits: LimitSet, moment: Moment
    ) -> BudgetRefusal? {
        var longest = -1.0
        var refusing = -1
        for index in 0..<LimitKind.count where limits.amounts[index] > 0 {
            let present = level(index, open: moment.open)
            if present + requested[index] <= limits.amounts[index] { continue }
            let wait = wait(
                index, requested: requested[index], limit: limits.amounts[index], moment: moment)
            if wait > longest {
                longest = wait
                refusing = index
            }
        }
        guard refusing >= 0 else { return nil }
        return BudgetRefusal(
            kind: .at(refusing), used: level(refusing, open: moment.open),
            requested: requested[refusing], wait: .microseconds(Int(longest)),
            snapshot: snapshot(limits, open: moment.open, now: moment.now))
    }

    func snapshot(_ limits: LimitSet, open: Int, now: Int64) -> LimitsSnapshot {
        var used = used
        used[LimitKind.concurrentRequests.index] = Double(open)
        return LimitsSnapshot(limits: limits, used: used, time: now, drainsFrom: clock)
    }

    private func level(_ index: Int, open: Int) -> Double {
        index == LimitKind.concurrentRequests.index ? Double(open) : used[index]
    }

    /// Microseconds from now until the limit has room for a request that it has none for at
    /// present.
    private func wait(
        _ index: Int, requested: Double, limit: Double, moment: Moment
    ) -> Double {
        switch LimitKind.at(index) {
        case .tokensPerMinute, .inputTokensPerMinute, .outputTokensPerMinute, .requestsPerMinute:
            return drain(index, requested: requested, limit: limit, moment: moment)
        case .concurrentRequests:
            // One of `open` requests ends every service time ÷ open, in the mean.
            let service = Double(moment.serviceTime.nanoseconds / 1_000)
            return service > 0 ? (service / Double(max(moment.open, 1))).rounded(.up) : 1_000_000
        case .tokensPerDay:
            return Double(CalendarWindow.dayEnd(clock) - moment.now)
        case .costPerMonth:
            return Double(CalendarWindow.monthEnd(CalendarWindow.month(clock)) - moment.now)
        }
    }

    /// The smallest whole number of microseconds after which `requested` fits, by the very
    /// arithmetic that will then decide: a quotient that rounding left a little short is stepped
    /// up.
    private func drain(_ index: Int, requested: Double, limit: Double, moment: Moment) -> Double {
        let rate = limit / Self.minuteMicroseconds
        // Nothing drains before the clock is back where it once was.
        let lag = Double(clock - moment.now)
        let over = (used[index] + requested - limit) / rate
        var wait = lag + min(over.rounded(.up), Self.longestWait)
        let before = moment.stored.used[index]
        let elapsed = Double(moment.now - moment.stored.effectiveClock(moment.now))
        var step = 1.0
        while wait < Self.longestWait {
            let level = before - min(before, (elapsed + wait) * rate)
            if level + requested <= limit { break }
            wait += step
            step *= 2
        }
        return wait
    }
}

/// What a wait depends on beside the account that was advanced.
struct Moment {
    /// The account as it is kept: what it will be advanced from when the request comes again.
    let stored: Account
    let open: Int
    let serviceTime: Duration
    let now: Int64
}
