// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Scheduling
import Units

extension EndpointState {
    /// Where the pool's controller begins; nil where it has none, or its targets tell.
    static func prefillShare(_ pool: PoolPolicy) -> PrefillShare? {
        pool.phases.map {
            PrefillShare(from: $0.share, least: $0.least, most: $0.most)
        }
    }

    /// The part of each second that prompts may take there; nil without a bound.
    public var prefillPart: Double? { prompts.part }
}

/// The part of each second that prompts may have at endpoints without targets (`PrefillShare`).
///
/// Shares move every 250 ms, at whole intervals from the first event on. Of intervals that passed
/// without an event all but the first saw no queue grow. All requests of a class wait for what its
/// next one waits for; what grows is counted in prompt tokens, over the classes of a pool.
extension Decider {
    /// A pool has got a controller, or has none any more.
    mutating func planShares() {
        let isControlled = policy.pools.contains { $0.phases != nil && !$0.removed }
        if !isControlled {
            sharesDue = .distantFuture
        } else if sharesDue == .distantFuture {
            sharesDue = present + PrefillShare.interval
        }
    }

    /// Intervals are over.
    mutating func moveShares(_ now: Instant) {
        let interval = UInt64(PrefillShare.interval.nanoseconds)
        let missed = (now - sharesDue).nanoseconds / Int64(interval)
        sharesDue = sharesDue + Duration(nanoseconds: (missed + 1) * Int64(interval))
        // From one bound to the other it takes fewer.
        let quiet = min(Int(missed), 64)
        for pool in policy.pools where pool.phases != nil && !pool.removed {
            let growth = growth(at: pool.id, now: now)
            let rest: PrefillShare.Growth = growth == .none ? .none : .neither
            for id in pool.endpoints {
                let isFull = (endpoints[id.index].share(now: now) ?? 0) >= PrefillShare.full
                var hasMoved = endpoints[id.index].prompts.move(growth, isFull: isFull)
                for _ in 0..<quiet {
                    let moves = endpoints[id.index].prompts.move(rest, isFull: isFull)
                    hasMoved = hasMoved || moves
                }
                if hasMoved { endpoints[id.index].adjustPrompts(now) }
            }
        }
    }

    /// Which of a pool's queues has grown faster since the last time.
    private mutating func growth(at pool: PoolID, now: Instant) -> PrefillShare.Growth {
        var (prefill, decode, isWaiting) = (0, 0, false)
        if waiting > 0 {
            for place in queues.indices where policy.classes[place].pool == pool {
                guard !queues[place].isEmpty else { continue }
                isWaiting = true
                switch waitingPhase(of: ClassID(place), now: now) {
                case .prefill: prefill += waitingPrompts[place].count
                case .decode: decode += waitingPrompts[place].count
                case .turn, nil: break
                }
            }
        }
        let more = (
            prefill - pools[pool.index].waitedForPrefill, decode - pools[pool.index].waitedForDecode
        )
        pools[pool.index].waitedForPrefill = prefill
        pools[pool.index].waitedForDecode = decode
        guard isWaiting else { return .none }
        if more.0 > max(more.1, 0) { return .prefill }
        return more.1 > max(more.0, 0) ? .decode : .neither
    }
}
