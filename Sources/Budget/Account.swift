// SPDX-License-Identifier: Apache-2.0

import Policy

/// What somebody has used of each of its limits: an organisation, a team, a tenant, a tenant's use
/// of a model, or a key.
///
/// Kept is what is *used*, not what is left: a new limit, lower or higher, then applies to the same
/// use, and somebody that nobody has seen has used nothing.
public struct Account: Sendable, Equatable {
    /// One limit's part.
    struct Counter: Sendable, Equatable {
        let code: LimitCode
        /// Tokens, requests or millionths of a currency unit.
        var used: Double
        /// Of a sliding window, all that ever drained or was refunded; of a calendar's, when it
        /// began.
        var second: Double

        init(code: LimitCode, used: Double, second: Double) {
            self.code = code
            self.used = used
            self.second = second
        }

        /// Of a limit that nobody has used.
        init(unusedOf code: LimitCode) { self.init(code: code, used: 0, second: 0) }
    }

    /// Microseconds since 1970 of the last change.
    public internal(set) var clock: Int64 = 0
    /// A handful: looked through from the beginning.
    private var counters: [Counter] = []

    public init() {}

    /// As it was saved, before `put` adds what it had used.
    public init(clock: Int64) { self.clock = clock }

    /// A clock that goes back by less is waited for; by more, it was set, and is followed.
    static let backwardTolerance: Int64 = 60_000_000

    /// What counts as the time at some moment.
    struct Clocks: Sendable {
        /// The time itself.
        let clock: Int64
        /// The time that draining is counted from.
        let base: Int64
        let wasSetBack: Bool

        /// `last`: of the last change.
        init(_ now: Int64, last: Int64) {
            wasSetBack = now < last - Account.backwardTolerance
            clock = wasSetBack ? now : max(now, last)
            base = wasSetBack ? now : last
        }
    }

    func clocks(_ now: Int64) -> Clocks { Clocks(now, last: clock) }

    /// What is used of a limit; nothing of one that nobody has used.
    func counter(_ code: LimitCode) -> Counter {
        for counter in counters where counter.code == code { return counter }
        return Counter(unusedOf: code)
    }

    /// Sets what is used of a limit.
    public mutating func put(_ code: LimitCode, used: Double, second: Double) {
        for place in counters.indices where counters[place].code == code {
            counters[place].used = used
            counters[place].second = second
            return
        }
        counters.append(Counter(code: code, used: used, second: second))
    }

    public var counterCount: Int { counters.count }

    /// Code, used and the second number of each limit, in the order in which they were first used.
    public func eachCounter(_ body: (LimitCode, Double, Double) -> Void) {
        for counter in counters { body(counter.code, counter.used, counter.second) }
    }

    /// Nothing of it is used, so that it may be forgotten.
    var isIdle: Bool { counters.allSatisfy { $0.used <= 0 } }
}
