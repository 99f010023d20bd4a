// SPDX-License-Identifier: Apache-2.0

import Budget
import Units

/// A reservation that is kept by renewing.
struct Lease {
    let reservation: ReservationID
    let account: BudgetAccount
    /// When to renew.
    var due: Instant
}
