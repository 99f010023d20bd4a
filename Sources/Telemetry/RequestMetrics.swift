// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// One worker's totals: it writes them once per request, a scrape copies them.
public final class RequestMetrics: Sendable {
    private let totals: Mutex<RequestTotals>

    /// As of `RequestTotals`.
    public init(reasons: Int, limit: Int) {
        totals = Mutex(RequestTotals(reasons: reasons, limit: limit))
    }

    /// Counts the end of one request.
    public func count(_ record: RequestRecord) {
        totals.withLock { $0.count(record) }
    }

    /// What was counted so far.
    public func snapshot() -> RequestTotals { totals.withLock { $0 } }
}
