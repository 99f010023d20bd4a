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
    /// Asks for a grant in advance.
    case grant(GrantOrder, BudgetAccount)
    /// What has become of one.
    case report(GrantReport, BudgetAccount)
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
                reservation: request.reservation, amounts: Amounts(request.order.demand),
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
        case .grant(let order, let account):
            RedisCommandWriter.Call(
                operation: "grant", account: account, reservation: order.id,
                amounts: order.wanted,
                last: "\(RedisCommandWriter.number(order.wanted.requests)) \(order.parts)",
                lease: order.lease)
        case .report(let report, let account): report.call(account)
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

    /// What its answer is about.
    var limits: LimitSet {
        switch self {
        case .reserve(let request), .abandoned(let request): request.account.limits
        case .settle(let settlement), .late(let settlement): settlement.account.limits
        case .renew(let lease): lease.account.limits
        case .grant(_, let account), .report(_, let account), .usage(let account): account.limits
        case .overrides, .probe, .exchange, .ledger: BudgetAccount.unlimited.limits
        }
    }

    /// What a refusal of it is about.
    var demand: Demand {
        switch self {
        case .reserve(let request), .abandoned(let request): request.order.demand
        default: .nothing
        }
    }

    /// Nobody waits for it: it can be sent again by its owner.
    var isPatient: Bool {
        switch self {
        case .abandoned, .settle, .late, .renew: true
        default: false
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

extension GrantReport {
    fileprivate func call(_ account: BudgetAccount) -> RedisCommandWriter.Call {
        let words = [spent.input, spent.output, spent.costMicros, spent.requests]
            .map(RedisCommandWriter.number).joined(separator: " ")
        let requests = RedisCommandWriter.number(held.requests)
        return RedisCommandWriter.Call(
            operation: "report", account: account, reservation: id, amounts: held,
            last: "\(requests) \(number) \(isLast ? "last" : "more") \(words)")
    }
}

extension Settlement {
    fileprivate var call: RedisCommandWriter.Call {
        var call = RedisCommandWriter.Call(
            operation: "settle", account: account, reservation: reservation, last: "nothing")
        if case .used(let demand) = use {
            call.amounts = Amounts(demand)
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
    /// How it was sent.
    var route = Route()

    /// Of a task in a cluster.
    struct Route {
        /// A server that is past this many is none of a cluster that agrees with itself.
        static let mostHops = 5

        /// After `ASKING`: the slot is on its way to this server.
        var isAsking = false
        /// How often a server said that another one has it, one after the other.
        var hops = 0
    }
}
