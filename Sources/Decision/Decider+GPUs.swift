// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Scheduling
public import Units

/// What engines that share a GPU may hold together.
///
/// A request needs its whole in the common budget: prompt and expected output, for as long as it is
/// open; what scrapes show of others counts too. Nothing is kept beside the ledgers, whose sum it
/// is: there is no account of its own that could leak. A stream that goes past its expectation may
/// take the sum over the budget; then nobody is let in until it is below again.
///
/// Room that one pool's request gives back may be what another pool's waits for. Who lacks it keeps
/// those of later classes in the other pools from taking it first, and one whose class is due
/// (`ClassShare`) keeps everybody from it: so that a batch pool beside an interactive one neither
/// takes its room nor starves.
extension Decider {
    /// The prompts and expected outputs that are open on a GPU, by its place in the policy.
    public func tokensInFlight(onGPU place: Int) -> Tokens {
        policy.gpus[place].endpoints.reduce(.zero) { $0 + endpoints[$1.index].inFlight }
    }

    /// Tokens by which a request that will hold `whole` is over the budget of the endpoint's GPU;
    /// zero or less within it, nil where there is none.
    private func gpuDeficit(_ whole: Tokens, at endpoint: EndpointID) -> Tokens? {
        guard let gpu = endpoints[endpoint.index].gpu else { return nil }
        return tokensInFlight(onGPU: gpu) + whole - policy.gpus[gpu].maxTokensInFlight
    }

    /// The budget of its GPU has room for a request that will hold `whole`, and nobody before it
    /// waits for that.
    func gpuTakes(
        _ entry: Entry, holding whole: Tokens, at endpoint: EndpointID, now: Instant
    ) -> Bool {
        guard let deficit = gpuDeficit(whole, at: endpoint) else { return true }
        return deficit <= .zero && !isBarred(entry, at: endpoint, now: now)
    }

    /// The same for one that goes there as it is.
    func gpuTakes(_ entry: Entry, at endpoint: EndpointID, now: Instant) -> Bool {
        gpuTakes(entry, holding: entry.input + entry.rest, at: endpoint, now: now)
    }

    /// It could be there if nobody else were.
    func gpuCanHold(_ whole: Tokens, at endpoint: EndpointID) -> Bool {
        endpoints[endpoint.index].gpu.map { policy.gpus[$0].maxTokensInFlight >= whole } ?? true
    }

    /// The most that one request may hold on the GPUs of its pool; nil where one has none.
    func largestOnGPU(_ entry: Entry) -> Tokens? {
        var largest = Tokens.zero
        for id in policy.pools[entry.pool.index].endpoints {
            guard let gpu = endpoints[id.index].gpu else { return nil }
            largest = max(largest, policy.gpus[gpu].maxTokensInFlight)
        }
        return largest
    }

    /// Everywhere it could go it is its GPU's budget that has no room.
    func lacksGPU(_ entry: Entry) -> Bool {
        let whole = claim(entry).whole
        let open = policy.pools[entry.pool.index].endpoints.filter {
            endpoints[$0.index].isAvailable
        }
        return !open.isEmpty
            && open.allSatisfy { gpuDeficit(whole, at: $0).map { $0 > .zero } ?? false }
    }

    // MARK: whose turn

    /// In another pool of the GPU somebody whose turn is before waits for room in its budget.
    private func isBarred(_ entry: Entry, at endpoint: EndpointID, now: Instant) -> Bool {
        guard waiting > 0 else { return false }
        for place in order where !queues[place].isEmpty {
            let pool = policy.classes[place].pool
            guard pool != entry.pool, let seat = seat(of: pool, besides: endpoint),
                let head = queues[place].first(by: turnOrder(place, now: now)),
                let waiter = entries[head.entry.ticket], waiter.pool == pool,
                precedes(waiter, entry), let deficit = gpuDeficit(claim(waiter).whole, at: seat)
            else { continue }
            if deficit > .zero { return true }
        }
        return false
    }

    /// An endpoint of a pool that is open and on the same GPU.
    private func seat(of pool: PoolID, besides endpoint: EndpointID) -> EndpointID? {
        let gpu = endpoints[endpoint.index].gpu
        return policy.pools[pool.index].endpoints.first {
            endpoints[$0.index].gpu == gpu && endpoints[$0.index].isAvailable
        }
    }

    private func precedes(_ waiter: Entry, _ entry: Entry) -> Bool {
        let isDue = shares[waiter.trafficClass.index].isDue(waiter.cost)
        if isDue != shares[entry.trafficClass.index].isDue(entry.cost) { return isDue }
        return policy.classes[waiter.trafficClass.index].rank
            < policy.classes[entry.trafficClass.index].rank
    }

    /// Forwards from the queues of a pool and of those that share a GPU with it: what has left one
    /// may be room for all. Those go first in which somebody is due.
    mutating func dispatchAround(
        _ pool: PoolID, now: Instant, into actions: inout [Action]
    ) {
        guard waiting > 0 else { return }
        let around = neighbours[pool.index]
        guard around.count > 1 else { return dispatch(pool, now: now, into: &actions) }
        let due = around.filter { !dueWaiters(at: $0, now: now).isEmpty }
        for other in due { dispatch(other, now: now, into: &actions) }
        for other in around where !due.contains(other) {
            dispatch(other, now: now, into: &actions)
        }
    }

    /// For each pool those that share a GPU with it, itself among them, in the order in which their
    /// first classes have their turn.
    mutating func meetNeighbours() {
        var first = [Int](repeating: .max, count: policy.pools.count)
        for (turn, place) in order.enumerated().reversed() {
            first[policy.classes[place].pool.index] = turn
        }
        let residents = policy.gpus.map { gpu in gpu.endpoints.map { endpoints[$0.index].pool } }
        neighbours = policy.pools.map { pool in
            var known: [PoolID] = []
            for gpu in pool.endpoints.compactMap({ endpoints[$0.index].gpu }) {
                for other in residents[gpu] where !known.contains(other) { known.append(other) }
            }
            guard known.count > 1 else { return [pool.id] }
            return known.sorted { (first[$0.index], $0.index) < (first[$1.index], $1.index) }
        }
    }

    // MARK: waits

    /// Until the budget of the endpoint's GPU has room for `whole` behind those `ahead`. Nil when
    /// nothing that is known frees as much.
    func gpuWait(
        _ whole: Tokens, behind ahead: Tokens, at endpoint: EndpointID, _ outlook: Outlook,
        now: Instant
    ) -> Duration? {
        guard let gpu = endpoints[endpoint.index].gpu,
            let deficit = gpuDeficit(whole + ahead, at: endpoint), deficit > .zero
        else { return .zero }
        let there = policy.gpus[gpu].endpoints
        let count = there.reduce(0) { $0 + seats[$1.index].count }
        guard count <= DrainEstimate.walkLimit else {
            let rate = there.reduce(0) { $0 + endpoints[$1.index].turnoverPerSecond }
            return rate > 0 ? .seconds(Double(deficit.count) / rate) : nil
        }
        var open: [DrainEstimate.Sequence] = []
        open.reserveCapacity(count)
        for id in there {
            for ticket in seats[id.index] {
                guard let entry = entries[ticket] else { continue }
                var sequence = sequence(entry, at: id, outlook, now: now)
                // All that it stands for comes back at once: its growth is in the sum already.
                sequence.frees = entry.input + entry.streamed + entry.rest
                sequence.growsPerSecond = 0
                open.append(sequence)
            }
        }
        return DrainEstimate.wait(for: deficit, sequences: &open)
    }
}
