// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Budget
import Decision
import Estimation
import Policy
import Scheduling
import Store
import Synchronization
import Telemetry
import Transport
import Units

/// Copies of what is in motion, taken for one page.
extension Control {
    /// Of one class's queue.
    struct QueueState {
        var requests: Int
        var tokens: Tokens
        var oldest: Instant?
        /// What the one whose turn is next waits for.
        var phase: WaitingPhase?
    }

    /// All workers' counters together.
    func totals() -> RequestTotals {
        var totals = RequestTotals(reasons: RefusalReason.allCases.count, limit: 16_384)
        for metrics in shared.metrics { totals.add(metrics.snapshot()) }
        return totals
    }

    func endpointStates() -> UniqueArray<EndpointState> {
        shared.decider.withLock { $0.endpointStates }
    }

    /// What a tenant's estimates are multiplied with, of each of its models.
    func promptRatios(of tenant: TenantPolicy) -> [(ModelID, Double)] {
        shared.decider.withLock { decider in
            tenant.models.map { ($0, decider.promptRatio(of: tenant.id, for: $0)) }
        }
    }

    /// How far a tenant's corrected estimates were off lately, of each of its models that told.
    func promptErrors(of tenant: TenantPolicy) -> [(ModelID, EstimateError, addition: Double)] {
        shared.decider.withLock { decider in
            tenant.models.compactMap { model in
                decider.promptError(of: tenant.id, for: model).map {
                    (model, $0, decider.promptAddition(for: model))
                }
            }
        }
    }

    func ledgerError(of endpoint: EndpointID) -> LedgerError {
        shared.decider.withLock { $0.ledgerError(of: endpoint) }
    }

    func sharingStatus() -> SharingStatus? {
        shared.decider.withLock { $0.sharingStatus }
    }

    func queueStates() -> [QueueState] {
        shared.decider.withLock { decider in
            policy.classes.map { trafficClass in
                let queue = decider.queue(of: trafficClass.id)
                return QueueState(
                    requests: queue.count, tokens: queue.tokens,
                    oldest: queue.head?.entry.arrivedAt,
                    phase: decider.waitingPhase(of: trafficClass.id, now: loop.now))
            }
        }
    }

    /// Of each class, who waits and for how long.
    func queueViews() -> [QueueView] {
        shared.decider.withLock { decider in
            policy.classes.map { decider.queueView(of: $0.id, now: loop.now) }
        }
    }
}
