// SPDX-License-Identifier: Apache-2.0

public import Budget
import Policy
public import Units

/// What a request is charged to, made once for a configuration: its limits, and how the store is
/// told of them.
public final class BudgetAccount: Sendable {
    public let limits: LimitSet
    /// The last arguments of the script, in the protocol's form: the limits.
    let arguments: [UInt8]
    /// How many they are.
    let argumentCount: Int

    public convenience init(_ limits: LimitSet) {
        self.init(limits, LimitArguments.words(limits))
    }

    private init(_ limits: LimitSet, _ words: [String]) {
        self.limits = limits
        arguments = LimitArguments.bulks(words)
        argumentCount = words.count
    }

    /// The same without a bound: what was used already is charged whatever there is.
    var withoutBound: BudgetAccount {
        BudgetAccount(limits, LimitArguments.words(limits, isBounded: false))
    }

    /// Nothing is limited.
    static let unlimited = BudgetAccount(LimitSet())
}

/// One request's question to the budget store.
public struct ReserveRequest: Sendable {
    /// Where the answer belongs.
    public let request: RequestID
    public let account: BudgetAccount
    public let order: BudgetOrder

    /// `serviceTime`: how long such requests take in the mean; zero when unknown. See
    /// `BudgetOrder`.
    public init(
        request: RequestID, reservation: ReservationID, account: BudgetAccount, demand: Demand,
        serviceTime: Duration = .zero
    ) {
        self.request = request
        self.account = account
        order = BudgetOrder(
            id: reservation, limits: account.limits, demand: demand, serviceTime: serviceTime)
    }

    public var reservation: ReservationID { order.id }
}

/// The end of a reservation.
public struct Settlement: Sendable {
    public let reservation: ReservationID
    public let account: BudgetAccount
    public let holder: ReservationHolder
    public let use: SettledUse

    /// `holder`: as the answer to the reservation said; `.outstanding` while it has not come.
    public init(
        reservation: ReservationID, account: BudgetAccount, holder: ReservationHolder,
        use: SettledUse
    ) {
        self.reservation = reservation
        self.account = account
        self.holder = holder
        self.use = use
    }

    /// The end of a reservation that the store may have made without our knowing.
    init(cancelling request: ReserveRequest) {
        self.init(
            reservation: request.reservation, account: request.account, holder: .store,
            use: .nothing)
    }

    /// What was used without the store, as the store will be told of it: under a name of its own,
    /// since the request's may have been cancelled there.
    var late: Settlement {
        Settlement(
            reservation: ReservationID(
                nonce: reservation.nonce ^ 0x6C61_7465_0000_0000, number: reservation.number),
            account: account, holder: .store, use: use)
    }

    /// The same, now that its holder is known.
    init(_ settlement: Settlement, holder: ReservationHolder) {
        self.init(
            reservation: settlement.reservation, account: settlement.account, holder: holder,
            use: settlement.use)
    }
}
