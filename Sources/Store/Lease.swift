// SPDX-License-Identifier: Apache-2.0

import Budget
import Units

/// A reservation whose place among concurrent requests is kept by renewing.
struct Lease {
    let reservation: ReservationID
    let account: BudgetAccount
    /// When to renew.
    var due: Instant
}
