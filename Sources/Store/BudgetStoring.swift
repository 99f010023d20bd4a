// SPDX-License-Identifier: Apache-2.0

public import Units

/// What the gateway asks of a budget store. Nothing here blocks.
public protocol BudgetStoring {
    /// Charges all limits of the request or none. Nil: the answer comes through `drain`, exactly
    /// once, unless the reservation is settled before. It comes within the store's timeout, of
    /// which some may be spent waiting for a turn, or on asking again: where the server had lost
    /// the script, or another one has the key, or what was leased is given back first.
    func reserve(_ request: ReserveRequest, now: Instant, wall: WallTime) -> ReserveAnswer?

    /// Replaces a reservation by what was used. Every `reserved` answer needs one; more than one
    /// counts once.
    ///
    /// A request that ends while its answer is outstanding settles at once, with the holder
    /// `.outstanding` and use `.nothing`: no answer will come.
    func settle(_ settlement: Settlement, now: Instant, wall: WallTime)

    /// Moves the answers that have arrived behind those in `answers`.
    func drain(into answers: inout [StoreAnswer])

    /// How the limits of `accounts` stand, for people. Nil: the answer comes through `drain`.
    func usage(
        of accounts: [BudgetAccount], for request: RequestID, now: Instant, wall: WallTime
    ) -> UsageAnswer?
}
