// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Scheduling
import Simulation
import Testing
import Units

/// The order among classes, and the share of those that come last.
@Suite("Classes")
struct ClassTests {
    private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

    /// Two classes for one pool, both with more than they can be served until minute 2. What batch
    /// got of all that was dispatched while both waited.
    private func batchShare(
        endpoints: Int, batchThrottle: Double, batchInput: Int, seed: UInt64
    ) -> Double {
        var plan = Plan(endpoints: endpoints, kv: nil, maxWait: .seconds(3_600))
        plan.classes[0].throttleAt = 0.85
        plan.addClass(
            throttleAt: batchThrottle, rejectAt: 0.95, maxRequests: 10_000, maxTokens: 1 << 30,
            maxWait: .seconds(3_600))
        plan.classes[0].queue = plan.classes[1].queue
        var fleet = Fleet(plan, profile: .fixtureA, seed: seed)
        var random = SplitMix64(seed: seed)
        for place in 0..<2_000 * endpoints {
            let client = Fleet.Client(
                input: 200 + Int(random.next() % 2_000), output: 150, bound: 150)
            fleet.add(client, at: at(1 + 0.001 * Double(place)))
        }
        for place in 0..<400 {
            let client = Fleet.Client(input: batchInput, output: 150, bound: 150, trafficClass: 1)
            fleet.add(client, at: at(1 + 0.002 * Double(place)))
        }
        fleet.run(until: at(120))
        #expect(!fleet.decider.queue(of: ClassID(0)).isEmpty)
        #expect(!fleet.decider.queue(of: ClassID(1)).isEmpty)
        var costs = [0, 0]
        for client in fleet.clients {
            guard let forwarded = client.forwardedAt, forwarded > at(3) else { continue }
            costs[client.trafficClass] += client.input + 2 * client.output
        }
        return Double(costs[1]) / Double(costs[0] + costs[1])
    }

    @Test(
        "while it waits, the last class gets a twentieth of what is dispatched",
        arguments: [(1, 0.85, 1_000), (1, 0.6, 1_000), (2, 0.85, 12_000), (2, 0.7, 12_000)])
    func share(endpoints: Int, batchThrottle: Double, batchInput: Int) {
        let share = batchShare(
            endpoints: endpoints, batchThrottle: batchThrottle, batchInput: batchInput, seed: 3)
        #expect((0.049...0.053).contains(share))
    }

    @Test("nothing more: strictly first goes the class that stands first")
    func strict() throws {
        var plan = Plan(maxWait: .seconds(60))
        plan.addClass(maxWait: .seconds(60))
        var machine = Machine(plan)
        let running = try machine.send(input: 7_000, output: 100)
        // Less than twenty times the cost of a batch request goes before it.
        let batch = try machine.send(input: 2_000, trafficClass: 1)
        let first = try (0..<4).map { _ in try machine.send(input: 1_900) }
        #expect(batch.isQueued && first.allSatisfy { $0.isQueued })
        machine.end(running)
        #expect(machine.actions.map(\.request) == first.map(\.request))
    }

    @Test("who is due goes first of all, or keeps one endpoint until it fits")
    func due() throws {
        var plan = Plan(endpoints: 2, maxWait: .seconds(60))
        plan.addClass(maxWait: .seconds(60))
        plan.classes[1].throttleAt = 0.5
        var machine = Machine(plan)
        var running = try (0..<2).map { _ in try machine.send(input: 4_500, output: 100) }
        let batch = try machine.send(input: 1_000, trafficClass: 1)
        #expect(batch.isQueued)
        // Ten times its cost goes past it.
        for _ in 0..<10 {
            let sent = try machine.send(input: 1_100)
            #expect(sent.isForwarded)
            machine.end(sent)
        }
        #expect(machine.actions.isEmpty)
        let kept = try machine.send(input: 10)
        let other = try machine.send(input: 10)
        #expect(kept.isForwarded && kept.endpoint == other.endpoint)
        let free = running.removeFirst { $0.endpoint != kept.endpoint }
        machine.end(free)
        #expect(machine.actions.map(\.request) == [batch.request])
    }

    @Test("a class that a reload adds stands where the configuration names it")
    func added() throws {
        var plan = Plan()
        plan.addClass()
        var machine = Machine(plan)
        machine.scrape(0, used: 8_500)
        let second = try machine.send(input: 1_000, trafficClass: 0)
        let third = try machine.send(input: 1_000, trafficClass: 1)
        plan.addClass()
        plan.classes[2].rank = 0
        plan.classes[0].rank = 1
        plan.classes[1].rank = 2
        machine.handle(.reconfigured(plan.policy))
        let first = try machine.send(input: 1_000, trafficClass: 2)
        machine.scrape(0, used: 0)
        #expect(machine.actions.map(\.request) == [first, second, third].map(\.request))
    }
}

extension Array {
    /// Takes out the first that is meant; there has to be one.
    fileprivate mutating func removeFirst(where isMeant: (Element) -> Bool) -> Element {
        remove(at: firstIndex(where: isMeant) ?? 0)
    }
}
