// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Scheduling
import Testing
import Units

/// Random configurations: classes, weights, targets, caps, lower bounds, prefixes and small queues;
/// random events: bounces, drains, deserted engines, reloads, words that come too late.
@Suite("Crowds")
struct CrowdProperties {
    @Test(
        "accounts are exact, queues keep their bounds, nobody waits too long, nothing leaks",
        arguments: 0..<200 as Range<UInt64>)
    func accounts(seed: UInt64) {
        var crowd = Crowd(seed: seed)
        for _ in 0..<500 {
            crowd.step()
            if let fault = crowd.fault {
                Issue.record("seed \(seed), step \(crowd.steps): \(fault)")
                return
            }
        }
        crowd.endAll()
        #expect(crowd.fault == nil)
        #expect(crowd.machine.isAtRest)
        #expect(crowd.machine.states { $0.turnover }.allSatisfy { $0 == 0 })
    }

    @Test("looking at it changes nothing", arguments: 0..<30 as Range<UInt64>)
    func watching(seed: UInt64) {
        var (alone, watched) = (Crowd(seed: seed), Crowd(seed: seed, isWatched: true))
        for _ in 0..<400 {
            alone.step()
            watched.step()
            guard alone.machine.actions == watched.machine.actions else {
                Issue.record("seed \(seed), step \(alone.steps)")
                return
            }
        }
    }

    @Test("histories come to all that can happen")
    func coverage() {
        var seen: [String: Int] = [:]
        for seed in 0..<60 as Range<UInt64> {
            var crowd = Crowd(seed: seed)
            for _ in 0..<500 { crowd.step() }
            seen.merge(crowd.seen) { $0 + $1 }
        }
        for what in [
            "forwarded", "queued", "deferred", "refused on arrival", "abandoned", "bounced", "late",
            "reloaded", "kv_cache_pressure", "queue_full", "queue_wait_too_long",
            "no_healthy_endpoint", "request_exceeds_limit", "upstream_failed", "deadline_exceeded",
            "budget_store_unavailable",
        ] {
            #expect(seen[what, default: 0] > 0, "\(what) never happened")
        }
    }

    /// Tenants who always have something waiting are served by their weights: what they were
    /// served, divided by them, never differs by more than six of the largest requests.
    @Test("who always waits is served by weight", arguments: 0..<40 as Range<UInt64>)
    func weights(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        let weights = (0..<(2 + draw(4))).map { _ in [0.5, 1, 2, 3, 4][draw(5)] }
        var plan = Plan(endpoints: 1 + draw(3), kv: 12_000, maxWait: .seconds(1_000_000))
        plan.tenants = weights.enumerated().map { place, weight in
            TenantPolicy(
                id: TenantID(place), name: "tenant\(place)", keys: [], classes: [], models: [],
                weight: weight)
        }
        var machine = Machine(plan, seed: seed)
        var running: [(sent: Machine.Sent, tenant: Int, output: Int)] = []
        var waiting: [RequestID: (sent: Machine.Sent, tenant: Int, output: Int)] = [:]
        var count = [Int](repeating: 0, count: weights.count)
        var served = [Double](repeating: 0, count: weights.count)
        var base: [Double] = []
        let largest = 800 + 2 * 400
        for step in 0..<1_500 {
            for tenant in weights.indices {
                while count[tenant] < 4 {
                    let (input, output) = (1 + draw(800), 1 + draw(400))
                    let sent = try machine.send(
                        Arrival(
                            tenant: TenantID(tenant), model: ModelID(1), trafficClass: ClassID(0),
                            input: Tokens(input), bound: Tokens(output), isForced: true))
                    guard sent.isQueued else {
                        running.append((sent, tenant, output))
                        continue
                    }
                    waiting[sent.request] = (sent, tenant, output)
                    count[tenant] += 1
                }
            }
            let last = running.remove(at: draw(running.count))
            machine.handle(.streamed(last.sent.ticket, output: Tokens(last.output)))
            for action in machine.end(last.sent, output: last.output) {
                guard case .forward(let request, _, _) = action, let next = waiting[request] else {
                    continue
                }
                waiting[request] = nil
                count[next.tenant] -= 1
                running.append(next)
            }
            for tenant in weights.indices {
                let counter = machine.decider.queue(of: ClassID(0)).fair.counter(
                    of: TenantID(tenant))
                served[tenant] = Double(counter) / Double(FairShare.unit)
            }
            if step == 100 { base = served }
            guard step > 100 else { continue }
            let gains = zip(served, base).map { $0 - $1 }
            let spread = (gains.max() ?? 0) - (gains.min() ?? 0)
            let bound = 6 * Double(largest) / (weights.min() ?? 1)
            if spread > bound {
                Issue.record("seed \(seed), step \(step): \(spread) over \(bound)")
                return
            }
        }
    }
}
