// SPDX-License-Identifier: Apache-2.0

package import Units

/// A no that was decided, with the numbers that decided it.
package struct Refusal: Sendable, Equatable {
    /// Status, code and label.
    package var reason: RefusalReason
    /// When the same request will be admitted; on every 429 and 503.
    package var retryAfter: Duration?
    /// A retry is pointless, or would be paid for twice.
    package var isFinal: Bool
    /// What the limit that said no allows, in its own unit: tokens, requests, money, shares of a
    /// cache, or seconds of waiting.
    package var limit: Double?
    /// What of it was used, in the same unit.
    package var used: Double?
    /// What was asked for, in the same unit.
    package var requested: Double?

    /// A no without a wait and without numbers, unless they are given.
    package init(
        _ reason: RefusalReason, retryAfter: Duration? = nil, isFinal: Bool = false,
        limit: Double? = nil, used: Double? = nil, requested: Double? = nil
    ) {
        self.reason = reason
        self.retryAfter = retryAfter
        self.isFinal = isFinal
        self.limit = limit
        self.used = used
        self.requested = requested
    }
}
