// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import Policy
import Store
import Synchronization
import Telemetry
import Units

/// What a request was settled with, and who said so.
struct SettledUsage: Sendable {
    enum Source: String, Sendable {
        /// The engine reported it.
        case engine
        /// The engine reported nothing, so it was counted here.
        case counted
        /// No engine worked for it.
        case none
    }
    var usage: Usage
    var cost: Double
    var source: Source

    init(_ usage: Usage, _ cost: Double, _ source: Source) {
        self.usage = usage
        self.cost = cost
        self.source = source
    }
}

/// The worker's part of what an operator is told of one request: who asked, how the limits stood,
/// when what happened, and what was settled. No prompt, no key. Plain memory, as `DecisionTrace`,
/// which stands under the same number.
struct RequestTrace: Sendable {
    var name: RequestName
    var tenant: TenantID
    var trafficClass: ClassID?
    var model: ModelID?
    /// Where the client was; nil for Unix sockets.
    var client: ClientAddress?
    var began: WallTime
    var arrivedAt: Instant
    /// When all of it was here.
    var readAt: Instant?
    /// Estimated prompt tokens, and the client's own output bound; nil before they were known.
    var input: Tokens?
    var askedBound: Tokens?
    /// What the store was asked for.
    var ask: BudgetAsk?
    /// The limits that hold, and how they stood before the request; nil where nobody told.
    var limits: LimitSet
    var snapshot: LimitsSnapshot?
    /// The request itself is in `snapshot`.
    var isCharged = false
    var holder: ReservationHolder?
    /// How it ended; nil while it is open.
    var outcome: Outcome?
    var refusal: Refusal?
    var wasQueued = false
    var wasTruncated = false
    /// What the engine answered; zero where it did not.
    var status = 0
    var endpoint: EndpointID?
    var forwardedAt: Instant?
    var firstTokenAt: Instant?
    var endedAt: Instant?
    var settled: SettledUsage?

    init(
        _ name: RequestName, _ tenant: TenantID, limits: LimitSet, began: WallTime,
        arrivedAt: Instant
    ) {
        self.name = name
        self.tenant = tenant
        self.limits = limits
        self.began = began
        self.arrivedAt = arrivedAt
    }

    /// How a limit stood when it was compared, and what was asked of it.
    struct Comparison: Equatable {
        var scope: LimitScope
        var kind: LimitKind
        var limit: Double
        /// Nil where the store did not say.
        var used: Double?
        /// Nil where it was not asked.
        var requested: Double?
        var fits: Bool?
    }

    /// Of every limit that holds, in their order.
    var comparisons: [Comparison] {
        let set = snapshot?.limits ?? limits
        return set.limits.indices.map { comparison(set, $0) }
    }

    private func comparison(_ set: LimitSet, _ place: Int) -> Comparison {
        let limit = set.limits[place]
        let requested = ask.map {
            Demand(input: $0.input, output: $0.output, cost: $0.cost).amount(of: limit.kind)
        }
        var used = snapshot?.standing(place).used
        if isCharged, let charged = used, let requested { used = max(0, charged - requested) }
        var compared = Comparison(
            scope: limit.scope, kind: limit.kind, limit: limit.capacityInUnits, used: used)
        guard let requested else { return compared }
        compared.requested = requested
        // What was charged did fit, whatever rounding does to the difference.
        compared.fits =
            isCharged
            ? true
            : used.map { $0 + requested <= compared.limit }
                ?? (requested <= compared.limit ? nil : false)
        return compared
    }
}

/// The latest requests of all workers, a fixed number of them: the oldest gives way.
///
/// Shared by the workers, each of which holds the lock three times a request, for a copy of some
/// hundred bytes: a ring for each would forget soon what a busy worker did, and long keep the rest.
final class TraceLog: Sendable {
    private struct Ring: Sendable {
        var ring: NumberedRing<RequestTrace>
        var latest: UInt64 = 0
    }
    private let ring: Mutex<Ring>

    init(limit: Int) { ring = Mutex(Ring(ring: NumberedRing(limit: limit))) }

    /// Keeps one more, under the number that it gives; zero where none are kept.
    func append(_ trace: RequestTrace) -> UInt64 {
        ring.withLock { ring in
            guard ring.ring.limit > 0 else { return 0 }
            ring.latest += 1
            ring.ring.put(ring.latest, trace)
            return ring.latest
        }
    }

    func update(_ number: UInt64, _ change: (inout RequestTrace) -> Void) {
        ring.withLock { ring in _ = ring.ring.update(number, change) }
    }

    /// Another number of them: mostly the newest stay.
    func resize(to limit: Int) { ring.withLock { $0.ring.resize(to: limit) } }

    /// The newest of that name, of one tenant where one is named: names are the clients', who may
    /// use one twice.
    func newest(
        _ name: RequestName, of tenant: TenantID?
    ) -> (number: UInt64, element: RequestTrace)? {
        ring.withLock { ring in
            ring.ring.newest { trace in
                trace.name == name && (tenant == nil || trace.tenant == tenant)
            }
        }
    }
}
