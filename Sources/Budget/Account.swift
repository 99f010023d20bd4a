// SPDX-License-Identifier: Apache-2.0

import Policy

/// What one tenant has used of each limit, and the arithmetic of reserve and settle.
///
/// Kept is what is *used*, not what is left: a new limit, lower or higher, then applies to the same
/// use, and a tenant that nobody has seen has used nothing. A minute's limit is a leaky bucket:
/// `used` drains at limit ÷ 60 s. A request fits while used + requested ≤ limit. A settlement above
/// the reservation may push `used` over the limit; the debt drains like the rest.
///
/// The hard part is the refund. A charge that has drained already cannot be given back, or requests
/// that reserve much and end late with little would each open the bucket twice. What may be
/// refunded of a charge is exactly the lowest level since it was made (Lindley's recursion with a
/// smaller arrival). The account keeps a lower bound of that, in one number per charge: the level
/// right after it, less all that has flowed out since. So over any time t admitted requests use at
/// most limit × (1 + t ÷ 60 s), and the price is that a charge older than a minute may get no
/// refund.
///
/// Same operations in the same order as the script in `Store`, on IEEE doubles: both give the same
/// bits.
public struct Account: Sendable {
    static let minuteMicroseconds = 60_000_000.0
    /// Waits beyond are told as this one, 31 years: 10^15 µs.
    static let longestWait = 1e15
    /// A clock that goes back by less is waited for; by more, it was set, and is followed.
    static let backwardTolerance: Int64 = 60_000_000

    /// By `LimitKind.index`. The place of concurrent requests is unused: the open reservations are
    /// counted.
    public private(set) var used: [7 of Double] = [0, 0, 0, 0, 0, 0, 0]
    /// All that ever drained from or was refunded to each minute's limit.
    private var outflow: [4 of Double] = [0, 0, 0, 0]
    /// Microseconds since 1970 of the last change.
    public private(set) var clock: Int64 = 0
    public private(set) var day: Int64 = 0
    public private(set) var month: Int64 = 0

    public init() {}

    /// As it was saved. Nothing refundable is saved: whoever held reservations then is gone.
    public init(used: [7 of Double], clock: Int64, day: Int64, month: Int64) {
        self.used = used
        self.clock = clock
        self.day = day
        self.month = month
    }

    /// The time that counts at `now`.
    func effectiveTime(_ now: Int64) -> Int64 { wasSetBack(now) ? now : max(now, clock) }

    /// The time that draining is counted from at `now`.
    func effectiveClock(_ now: Int64) -> Int64 { wasSetBack(now) ? now : clock }

    private func wasSetBack(_ now: Int64) -> Bool { now < clock - Self.backwardTolerance }

    /// Drains the buckets and turns the calendar to `now`. What has no limit stays as it was.
    mutating func advance(to now: Int64, limits: LimitSet) {
        let isSetBack = wasSetBack(now)
        if isSetBack { clock = now }
        let elapsed = Double(max(now - clock, 0))
        clock = max(now, clock)
        if elapsed > 0 {
            for index in 0..<LimitKind.minuteCount where limits.amounts[index] > 0 {
                let rate = limits.amounts[index] / Self.minuteMicroseconds
                let drained = min(used[index], elapsed * rate)
                used[index] -= drained
                outflow[index] += drained
            }
        }
        if limits[.tokensPerDay] > 0 {
            let today = CalendarWindow.day(clock)
            turn(.tokensPerDay, from: day, to: today, isSetBack)
            day = today
        }
        if limits[.costPerMonth] > 0 {
            let current = CalendarWindow.month(clock)
            turn(.costPerMonth, from: month, to: current, isSetBack)
            month = current
        }
    }

    /// A new day or month begins with nothing used, unless it is new because the clock was set
    /// back.
    private mutating func turn(
        _ kind: LimitKind, from kept: Int64, to current: Int64, _ isSetBack: Bool
    ) {
        if kept == current || (isSetBack && kept > current) { return }
        used[kind.index] = 0
    }

    /// Charges every limit. The caller has advanced, and has seen that all fit.
    mutating func charge(_ requested: [7 of Double], limits: LimitSet) -> Charge {
        var charge = Charge(day: day, month: month)
        for index in 0..<LimitKind.count where limits.amounts[index] > 0 {
            charge.kinds |= 1 << UInt8(index)
            if index == LimitKind.concurrentRequests.index { continue }
            used[index] += requested[index]
            if index < LimitKind.minuteCount {
                charge.marks[index] = used[index] + outflow[index]
            }
        }
        return charge
    }

    /// Replaces what a charge took by what was used. The caller has advanced.
    ///
    /// Limits that the charge did not know, or that are gone, stay as they are; so do a day and a
    /// month that the charge was not made in.
    mutating func settle(
        _ charge: Charge, reserved: [7 of Double], actual: [7 of Double], limits: LimitSet
    ) {
        for index in 0..<LimitKind.minuteCount where charge.has(index) && limits.amounts[index] > 0
        {
            let more = actual[index] - reserved[index]
            if more >= 0 {
                used[index] += more
            } else {
                let undrained = max(0, charge.marks[index] - outflow[index])
                let refund = min(-more, min(used[index], undrained))
                used[index] -= refund
                outflow[index] += refund
            }
        }
        let daily = LimitKind.tokensPerDay.index
        if charge.has(daily), limits.amounts[daily] > 0, charge.day == day {
            used[daily] = max(0, used[daily] + (actual[daily] - reserved[daily]))
        }
        let monthly = LimitKind.costPerMonth.index
        if charge.has(monthly), limits.amounts[monthly] > 0, charge.month == month {
            used[monthly] = max(0, used[monthly] + (actual[monthly] - reserved[monthly]))
        }
    }
}

/// What a reservation has to remember of the account it was charged to.
struct Charge: Sendable {
    /// Bit `LimitKind.index` for each limit that was charged.
    var kinds: UInt8 = 0
    /// Level plus outflow right after the charge: what is refundable is this less the outflow by
    /// then.
    var marks: [4 of Double] = [0, 0, 0, 0]
    var day: Int64
    var month: Int64

    init(day: Int64, month: Int64) {
        self.day = day
        self.month = month
    }

    func has(_ index: Int) -> Bool { kinds & (1 << UInt8(index)) != 0 }

    var countsAsConcurrent: Bool { has(LimitKind.concurrentRequests.index) }
}
