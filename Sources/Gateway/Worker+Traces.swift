// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Store
import Telemetry
import Transport
import Units

/// Notes for the operator who asks why a request was decided about as it was.
extension Worker {
    /// Nothing is noted where nobody wants it.
    private var isTracing: Bool { policy.requestHistory > 0 }

    /// The request is known, and the machine will be asked.
    func beginTrace(_ exchange: Exchange) {
        guard isTracing else { return }
        exchange.trace = shared.traces.append(trace(exchange))
    }

    private func trace(_ exchange: Exchange) -> RequestTrace {
        let sinceArrival = loop.now - exchange.arrivedAt
        var trace = RequestTrace(
            exchange.name, exchange.tenant, limits: exchange.account.limits,
            began: WallTime(nanoseconds: loop.wall.nanoseconds - sinceArrival.nanoseconds),
            arrivedAt: exchange.arrivedAt)
        trace.trafficClass = exchange.trafficClass
        trace.model = exchange.model
        trace.client = exchange.address
        if let arrival = exchange.arrival {
            trace.readAt = exchange.readAt
            trace.input = arrival.input
            trace.askedBound = arrival.bound
        }
        return trace
    }

    /// The store has spoken.
    func traceBudget(_ exchange: Exchange, _ answer: ReserveAnswer) {
        guard exchange.trace > 0 else { return }
        shared.traces.update(exchange.trace) { trace in
            trace.ask = exchange.ask
            switch answer {
            case .reserved(let snapshot, let holder):
                trace.holder = holder
                // Who holds nothing has not looked at the limits.
                guard holder != .nobody else { return }
                trace.snapshot = snapshot
                trace.isCharged = true
            case .refused(let refusal): trace.snapshot = refusal.snapshot
            case .neverFits, .unavailable: return
            }
        }
    }

    /// The one closing step of a request that was noted, or is worth noting now.
    func endTrace(
        _ exchange: Exchange, _ outcome: Outcome, _ refusal: Refusal?, _ settled: SettledUsage
    ) {
        if exchange.trace == 0 {
            // Refused before the machine was asked.
            guard refusal != nil, exchange.arrival == nil else { return }
            beginTrace(exchange)
        }
        guard exchange.trace > 0 else { return }
        let now = loop.now
        shared.traces.update(exchange.trace) { trace in
            trace.outcome = outcome
            trace.refusal = refusal
            trace.wasQueued = exchange.wasQueued
            trace.wasTruncated = exchange.wasTruncated
            trace.status = exchange.status
            trace.endpoint = exchange.endpoint
            trace.forwardedAt = exchange.forwardedAt
            trace.firstTokenAt = exchange.firstTokenAt
            trace.endedAt = now
            trace.settled = settled
        }
    }

    /// A request of which only the head was read.
    func traceRefusal(
        _ name: RequestName, _ tenant: TenantID, _ refusal: Refusal, _ server: ServerStream
    ) {
        guard isTracing else { return }
        var trace = RequestTrace(
            name, tenant, limits: LimitSet(), began: loop.wall, arrivedAt: loop.now)
        trace.client = ForwardedFor.client(server, trusting: policy.http.trustedProxies)
        trace.outcome = .refused
        trace.refusal = refusal
        trace.endedAt = loop.now
        _ = shared.traces.append(trace)
    }
}
