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
        let code: String
        /// Tokens, requests or millionths of a currency unit.
        var used: Double
        /// Of a sliding window, all that ever drained or was refunded; of a calendar's, when it
        /// began.
        var second: Double
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

    func wasSetBack(_ now: Int64) -> Bool { now < clock - Self.backwardTolerance }

    /// The time that counts at `now`.
    func effectiveTime(_ now: Int64) -> Int64 { wasSetBack(now) ? now : max(now, clock) }

    /// The time that draining is counted from at `now`.
    func effectiveClock(_ now: Int64) -> Int64 { wasSetBack(now) ? now : clock }

    func counter(_ code: String) -> Counter? { counters.first { $0.code == code } }

    /// Sets what is used of the limit that the store knows by `code`.
    public mutating func put(_ code: String, used: Double, second: Double) {
        if let place = counters.firstIndex(where: { $0.code == code }) {
            counters[place].used = used
            counters[place].second = second
        } else {
            counters.append(Counter(code: code, used: used, second: second))
        }
    }

    public var counterCount: Int { counters.count }

    /// Code, used and the second number of each limit, in the order in which they were first used.
    public func eachCounter(_ body: (String, Double, Double) -> Void) {
        for counter in counters { body(counter.code, counter.used, counter.second) }
    }

    /// Nothing of it is used, so that it may be forgotten.
    var isIdle: Bool { counters.allSatisfy { $0.used <= 0 } }
}
