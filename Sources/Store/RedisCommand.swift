// SPDX-License-Identifier: Apache-2.0

import Budget
import Units

/// What a run of the script is for.
enum ScriptRun {
    case reserve(ReserveRequest)
    /// A `reserve` whose request has ended: a settlement follows it, and nobody wants the answer.
    case abandoned(ReserveRequest)
    case settle(Settlement)
    /// What was used while the store was away: reserves nothing, so that a settlement can follow.
    case late(Settlement)
    case renew(Lease)
    /// One tenant of the usage read that is at its turn.
    case usage(BudgetAccount)
    /// All overrides, after a change where there is one.
    case overrides(OverrideRun)
    /// The last of a greeting: the script runs, and may write.
    case probe
    /// Of `SharingScript`, on a link of its own.
    case exchange(SharingRun)
    /// Of one of the ledger's scripts, on a link of its own.
    case ledger(LedgerRun)

    /// The task as the script is called with it.
    var call: RedisCommandWriter.Call {
        switch self {
        case .reserve(let request), .abandoned(let request):
            RedisCommandWriter.Call(
                operation: "reserve", account: request.account,
                reservation: request.reservation, demand: request.order.demand,
                last: String(request.order.serviceTime.nanoseconds / 1_000))
        case .settle(let settlement): settlement.call
        case .late(let settlement):
            // It takes no place among concurrent requests: its lease is over with the call, and
            // what lapsed is charged by its settlement.
            RedisCommandWriter.Call(
                operation: "reserve", account: settlement.account.withoutBound,
                reservation: settlement.reservation, lease: .microseconds(1))
        case .renew(let lease):
            RedisCommandWriter.Call(
                operation: "renew", account: lease.account, reservation: lease.reservation)
        case .usage(let account):
            RedisCommandWriter.Call(
                operation: "usage", account: account, reservation: Self.noReservation)
        case .overrides(let run):
            RedisCommandWriter.Call(
                operation: "overrides", account: .unlimited, reservation: Self.noReservation,
                overrides: run)
        case .probe, .exchange, .ledger:
            RedisCommandWriter.Call(
                operation: "probe", account: .unlimited, reservation: Self.noReservation)
        }
    }

    private static let noReservation = ReservationID(nonce: 0, number: 0)
}

/// One run of `SharingScript`.
struct SharingRun {
    /// Comes back with the answer.
    let number: Int
    /// The endpoint's name among gateways.
    let endpoint: String
    let gateway: String
    let lease: Duration
    let account: String
    let want: String
    let slack: Int
    let easy: Int
    /// Empty: the others' are not asked for.
    let report: String
}

extension Settlement {
    fileprivate var call: RedisCommandWriter.Call {
        var call = RedisCommandWriter.Call(
            operation: "settle", account: account, reservation: reservation, last: "nothing")
        if case .used(let demand) = use {
            call.demand = demand
            call.last = "used"
        }
        return call
    }
}

/// A command that was sent and has no reply yet.
struct RedisCommand {
    enum Kind {
        /// AUTH or SELECT: anything but OK is a fault.
        case greeting
        case loadScript
        case run(ScriptRun)
    }
    var kind: Kind
    /// When the reply has to be there.
    var deadline: Instant
    /// Sent a second time, because the server had lost the script.
    var isResent = false
}
