// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Routing
import Units

/// Endpoints that are new among others that serve.
///
/// While its share is below 1, an endpoint is compared as if it were so much smaller and slower:
/// its load and its delay are divided by the share, and a prompt takes so much more of its budget.
/// What would go over the class's threshold then, or over a second of its prefill, does not go
/// there. One request at a time may always, or a small cache would never be tried.
///
/// Shares are relative: where all that are open are new, they are alike, and one that is alone has
/// all of its turn. Nobody is refused for a ramp: waits are foreseen without it, and who has waited
/// for three quarters of what it may goes wherever there is room. Who waits for a ramp only keeps
/// nothing from those behind it.
extension Decider {
    /// Prompts in flight at an endpoint that is new, at a share of 1, last for so long.
    private static let promptSeconds = 1.0

    /// The share of its turn that an endpoint has now, among those of its pool.
    func rampShare(of id: EndpointID, now: Instant) -> Double {
        let pool = endpoints[id.index].pool
        guard now < rampsUntil[pool.index] else { return 1 }
        let own = endpoints[id.index].ramp.share(now)
        guard own < 1 else { return 1 }
        var most = own
        for other in policy.pools[pool.index].endpoints where gauges[other.index].isAvailable {
            most = max(most, endpoints[other.index].ramp.share(now))
            if most >= 1 { return own }
        }
        return own / most
    }

    /// A load as the choice compares it; nil where the ramp leaves no room for the request.
    func ramped(_ load: Double, of entry: Entry, at id: EndpointID, now: Instant) -> Double? {
        let share = rampShare(of: id, now: now)
        guard share < 1 else { return load }
        let hasCapacity = gauges[id.index].capacity > 0
        let seen = hasCapacity ? load / share : load
        guard endpoints[id.index].decoding > 0, !isAtLast(entry, now: now) else { return seen }
        let limit = policy.classes[entry.trafficClass.index].throttleAt
        if hasCapacity, seen > limit { return nil }
        let most = share * Self.promptSeconds * endpoints[id.index].prefillRate.perSecond
        let committed = endpoints[id.index].committedOfAll
        if committed > .zero, Double((committed + entry.input).count) > most { return nil }
        return seen
    }

    /// It has waited for most of what it may.
    private func isAtLast(_ entry: Entry, now: Instant) -> Bool {
        guard let from = entry.waitsFrom else { return false }
        let left = entry.waitsUntil - now
        return left.nanoseconds <= (entry.waitsUntil - from).nanoseconds / 4
    }

    /// It would have room, but for a ramp.
    func waitsForRamp(_ entry: Entry, now: Instant) -> Bool {
        guard now < rampsUntil[entry.pool.index] else { return false }
        return policy.pools[entry.pool.index].endpoints.contains {
            rampShare(of: $0, now: now) < 1 && endpoints[$0.index].takesPrompt(now)
                && share(of: $0, with: entry, now: now) != nil
        }
    }

    /// What a prompt takes of an endpoint's budget.
    func ramped(_ uncached: Tokens, at id: EndpointID, now: Instant) -> Tokens {
        let share = rampShare(of: id, now: now)
        return share < 1 ? Tokens(Int(Double(uncached.count) / share)) : uncached
    }

    // MARK: what begins one

    /// Others of its pool have served already.
    private func isNewcomer(_ id: EndpointID) -> Bool {
        policy.pools[endpoints[id.index].pool.index].endpoints.contains {
            $0 != id && $0.index < endpoints.count && endpoints[$0.index].prompted > 0
        }
    }

    /// The configuration has brought it.
    mutating func awaitRamp(_ id: EndpointID) {
        if isNewcomer(id) { endpoints[id.index].ramp.expect() }
    }

    /// It has answered a probe. `wentAway`: when it left the rotation, where it did; nil for one
    /// that was there all the time.
    mutating func rampAnswered(_ id: EndpointID, away since: Instant?, now: Instant) {
        endpoints[id.index].ramp.answered(now: now)
        let isFirst = !endpoints[id.index].hasAnswered
        endpoints[id.index].hasAnswered = true
        if let since, isFirst || now - since >= EndpointRamp.longAway, isNewcomer(id) {
            endpoints[id.index].ramp.begin(now: now)
        }
        noteRamps(endpoints[id.index].pool)
    }

    /// It has slept, and takes work again.
    mutating func rampWoken(_ id: EndpointID, now: Instant) {
        if isNewcomer(id) { endpoints[id.index].ramp.begin(now: now) }
        noteRamps(endpoints[id.index].pool)
    }

    /// Until when a pool has an endpoint that is new.
    mutating func noteRamps(_ pool: PoolID) {
        var until = Instant(nanoseconds: 0)
        for id in policy.pools[pool.index].endpoints where id.index < endpoints.count {
            until = max(until, endpoints[id.index].ramp.until)
        }
        rampsUntil[pool.index] = until
    }
}
