// SPDX-License-Identifier: Apache-2.0

package import Units

/// A no that was decided, with the numbers that decided it.
package struct Refusal: Sendable, Equatable {
    package var reason: RefusalReason
    /// When the same request will be admitted; on every 429 and 503.
    package var retryAfter: Duration?
    /// A retry is pointless, or would be paid for twice.
    package var isFinal: Bool
    /// The limit that said no, in its own unit: what it allows, what was used, what was asked for.
    package var limit: Double?
    package var used: Double?
    package var requested: Double?

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
