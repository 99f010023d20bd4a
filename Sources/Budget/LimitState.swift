// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// One limit while it is looked at, and the arithmetic of reserve and settle.
///
/// A sliding window is a leaky bucket: `used` drains at amount ÷ window. A request fits while
/// used + requested ≤ capacity. A settlement above the reservation may push `used` over it; the
/// debt drains like the rest. A calendar's window begins with nothing used and counts whole
/// numbers.
///
/// The hard part is the refund. A charge that has drained already cannot be given back, or requests
/// that reserve much and end late with little would each open the bucket twice. What may be
/// refunded of a charge is exactly the lowest level since it was made (Lindley's recursion with a
/// smaller arrival). The account keeps a lower bound of that, in one number per charge: the level
/// right after it, less all that flowed out since. So over any time t admitted requests use at
/// most capacity + amount × t ÷ window, and the price is that a charge older than a window may
/// get no refund.
///
/// Same operations in the same order as the script in `Store`, on IEEE doubles: both give the same
/// bits.
struct LimitState: Sendable {
    /// Waits beyond are told as this one, 31 years: 10^15 µs.
    static let longestWait = 1e15

    enum Form: UInt8, Sendable {
        case sliding, calendar, concurrent
    }

    let code: LimitCode
    let quantity: LimitQuantity
    let form: Form
    /// The place of its account among those of the set.
    let account: Int
    let capacity: Double
    /// What drains in a microsecond.
    private let rate: Double
    private(set) var used: Double
    /// As in `Account.Counter`.
    private(set) var second: Double
    /// `used` as it is kept: what it will be drained from when the request comes again.
    private var stored: Double
    private let now: Int64
    /// Of the account: see `Account.Clocks`.
    private let clock: Int64
    private var base: Int64
    /// When a calendar's window ends.
    private let windowEnd: Int64

    /// As it stands at `now`: drained, or in the calendar's present window. `counter`: what its
    /// account has of it. `open`: for a limit of concurrent requests, those there are.
    init(
        _ limit: borrowing PlannedLimit, _ counter: Account.Counter, _ clocks: Account.Clocks,
        open: Int, now: Int64
    ) {
        code = limit.code
        quantity = limit.quantity
        account = limit.account
        capacity = limit.capacity
        rate = limit.rate
        self.now = now
        clock = clocks.clock
        base = clocks.base
        var used = counter.used
        var second = counter.second
        stored = used
        switch limit.form {
        case .sliding:
            form = .sliding
            let elapsed = Double(max(now - base, 0))
            let drained = min(used, elapsed * rate)
            used -= drained
            second += drained
            windowEnd = 0
        case .calendar(let unit, let zone):
            form = .calendar
            let window = CalendarWindow(unit, at: clock, in: zone)
            let start = Double(window.start)
            if second != start {
                // Another window begins with nothing used, unless it is another one because the
                // clock was set back.
                if !(clocks.wasSetBack && second > start) { used = 0 }
                second = start
            }
            windowEnd = window.end
        case .concurrent:
            form = .concurrent
            used = Double(open)
            windowEnd = 0
        }
        self.used = used
        self.second = second
    }

    /// What it is now is kept, and drained from when the request comes again.
    mutating func keep() {
        stored = used
        base = clock
    }

    // MARK: reserve

    func neverFits(_ requested: Double) -> Bool { requested > capacity }

    func fits(_ requested: Double) -> Bool { used + requested <= capacity }

    /// Takes `requested`, and gives what has to be remembered for the settlement.
    mutating func charge(_ requested: Double) -> Double {
        switch form {
        case .sliding:
            used += requested
            return used + second
        case .calendar:
            used += requested
            return second
        case .concurrent:
            used += requested
            return 0
        }
    }

    /// Microseconds from now until there is room for a request that there is none for at present.
    func wait(_ requested: Double, serviceTime: Duration) -> Double {
        switch form {
        case .sliding: return drain(requested)
        case .calendar: return Double(windowEnd - now)
        case .concurrent:
            // One of `used` requests ends every service time ÷ used, in the mean.
            let service = Double(serviceTime.nanoseconds / 1_000)
            return service > 0 ? (service / max(used, 1)).rounded(.up) : 1_000_000
        }
    }

    /// The smallest whole number of microseconds after which `requested` fits, by the very
    /// arithmetic that will then decide: a quotient that rounding left a little short is stepped
    /// up.
    private func drain(_ requested: Double) -> Double {
        // Nothing drains before the clock is back where it once was.
        let lag = Double(clock - now)
        let over = (used + requested - capacity) / rate
        var wait = lag + min(over.rounded(.up), Self.longestWait)
        let elapsed = Double(now - base)
        var step = 1.0
        while wait < Self.longestWait {
            let level = stored - min(stored, (elapsed + wait) * rate)
            if level + requested <= capacity { break }
            wait += step
            step *= 2
        }
        return wait
    }

    // MARK: settle

    /// Replaces what a charge took by what was used. `mark`: what `charge` gave.
    ///
    /// A calendar's window that the charge was not made in stays as it is.
    mutating func settle(mark: Double, reserved: Double, actual: Double) {
        switch form {
        case .sliding:
            let more = actual - reserved
            if more >= 0 {
                used += more
            } else {
                let undrained = max(0, mark - second)
                let refund = min(-more, min(used, undrained))
                used -= refund
                second += refund
            }
        case .calendar:
            if mark == second { used = max(0, used + (actual - reserved)) }
        case .concurrent: break
        }
    }

    // MARK: views

    /// Until nothing is used any more if nothing else happens, in microseconds.
    var reset: Double {
        switch form {
        case .sliding:
            let drain = (used / rate).rounded(.up)
            return min(drain, Self.longestWait) + Double(clock - now)
        case .calendar: return Double(windowEnd - now)
        case .concurrent: return 0
        }
    }
}
