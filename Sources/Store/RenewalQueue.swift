// SPDX-License-Identifier: Apache-2.0

import Budget
import DequeModule
import Units

/// The open reservations of one worker, in the order in which their leases are to be renewed: each
/// a third of a lease after the last time.
struct RenewalQueue {
    private var queue: Deque<Lease> = []
    private var open: Set<ReservationID> = []
    private let interval: Duration
    private let limit: Int

    /// `limit`: the most reservations, those settled in the last interval included; one beyond it
    /// is not renewed.
    init(lease: Duration, limit: Int) {
        interval = Duration(nanoseconds: lease.nanoseconds / 3)
        self.limit = limit
    }

    /// When the next renewal is due, at the latest.
    var nextDue: Instant? { queue.first?.due }

    mutating func add(_ reservation: ReservationID, account: BudgetAccount, now: Instant) {
        guard queue.count < limit, open.insert(reservation).inserted else { return }
        queue.append(
            Lease(reservation: reservation, account: account, due: now + interval))
    }

    mutating func remove(_ reservation: ReservationID) { open.remove(reservation) }

    /// The next one that is due and still open; it comes again after the interval.
    mutating func next(now: Instant) -> Lease? {
        while var lease = queue.first, lease.due <= now {
            queue.removeFirst()
            guard open.contains(lease.reservation) else { continue }
            lease.due = now + interval
            queue.append(lease)
            return lease
        }
        return nil
    }
}
