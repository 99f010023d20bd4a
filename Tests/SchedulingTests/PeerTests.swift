// SPDX-License-Identifier: Apache-2.0

import Policy
import Scheduling
import Testing
import Units

@Suite("Queues of several gateways")
struct PeerTests {
    private let now = Instant(nanoseconds: 10_000_000_000)
    private var order: ClassQueue.Order { ClassQueue.Order(now: now) }

    private func queue() -> ClassQueue {
        var queue = ClassQueue(capacity: 100)
        queue.configure(weights: [1, 1, 1])
        return queue
    }

    private func wait(_ queue: inout ClassQueue, _ tenant: Int, since: Instant) -> SlabKey? {
        queue.append(
            ClassQueue.Entry(
                ticket: SlabKey(raw: 1), tenant: TenantID(tenant), tokens: Tokens(100),
                need: Tokens(50),
                arrivedAt: since, expiresAt: .distantFuture), within: QueuePolicy())
    }

    @Test("a report tells what was served and how long the head has waited")
    func report() {
        var queue = queue()
        _ = wait(&queue, 1, since: now - .seconds(3))
        _ = wait(&queue, 1, since: now - .seconds(1))
        queue.charge(TenantID(0), cost: Tokens(700))
        let told = queue.report(of: ClassID(4), by: order, most: 64)
        #expect(told.map(\.tenant) == [TenantID(1), TenantID(0)])
        #expect(told.map(\.waited) == [.seconds(3), nil])
        #expect(told.map(\.served) == [0, 700])
        #expect(told.allSatisfy { $0.trafficClass == ClassID(4) })
        #expect(queue.report(of: ClassID(4), by: order, most: 1).count == 1)
    }

    @Test("who was not charged for some reports is not told of, and begins anew after that")
    func quiet() {
        var queue = queue()
        queue.charge(TenantID(0), cost: Tokens(700))
        for _ in 0..<20 { queue.countReport() }
        #expect(queue.report(of: ClassID(0), by: order, most: 64).isEmpty)
        queue.charge(TenantID(0), cost: Tokens(5))
        let told = queue.report(of: ClassID(0), by: order, most: 64)
        #expect(told.map(\.served) == [705])
        #expect(told.map(\.servedBefore) == [700])
    }

    @Test("what others served counts, and is not told again")
    func merge() {
        var queue = queue()
        _ = wait(&queue, 0, since: now)
        _ = wait(&queue, 1, since: now)
        queue.merge(TenantID(0), cost: 500)
        #expect(queue.fair.first == TenantID(1))
        let told = queue.report(of: ClassID(0), by: order, most: 64)
        #expect(told.allSatisfy { $0.served == 0 })
    }

    @Test("one that waits elsewhere is not lifted when it begins to wait here")
    func lift() {
        for isElsewhere in [false, true] {
            var queue = queue()
            // Nobody waits when this is said: it lifts nobody.
            if isElsewhere { queue.waits(elsewhere: [TenantID(1)]) }
            _ = wait(&queue, 0, since: now)
            queue.charge(TenantID(0), cost: Tokens(1_000))
            _ = wait(&queue, 1, since: now)
            let counters = (0..<2).map { queue.fair.counter(of: TenantID($0)) }
            #expect((counters[0] == counters[1]) != isElsewhere)
        }
    }

    @Test("one that begins to wait elsewhere is lifted there as here")
    func liftElsewhere() {
        var queue = queue()
        _ = wait(&queue, 0, since: now)
        queue.charge(TenantID(0), cost: Tokens(1_000))
        queue.waits(elsewhere: [TenantID(1)])
        #expect(
            queue.fair.counter(of: TenantID(1)) == queue.fair.counter(of: TenantID(0)))
        // It waits on, and is served there: nothing is forgiven meanwhile.
        queue.charge(TenantID(0), cost: Tokens(1_000))
        queue.waits(elsewhere: [TenantID(1)])
        #expect(
            queue.fair.counter(of: TenantID(1)) < queue.fair.counter(of: TenantID(0)))
    }

    @Test("one that begins to wait is lifted to the least of those who wait anywhere")
    func liftToLeast() {
        var queue = queue()
        queue.waits(elsewhere: [TenantID(2)])
        _ = wait(&queue, 0, since: now)
        queue.charge(TenantID(0), cost: Tokens(1_000))
        queue.charge(TenantID(2), cost: Tokens(300))
        _ = wait(&queue, 1, since: now)
        let counters = (0..<3).map { queue.fair.counter(of: TenantID($0)) }
        #expect(counters[1] == counters[2] && counters[1] < counters[0])
    }

    @Test("what a tenant is given at one gateway it is given at all, and once")
    func given() throws {
        var (one, two) = (queue(), queue())
        _ = wait(&one, 0, since: now)
        one.charge(TenantID(0), cost: Tokens(1_000))
        _ = wait(&one, 1, since: now)
        let told = try #require(
            one.report(of: ClassID(0), by: order, most: 64).first { $0.tenant == TenantID(1) })
        #expect(told.given == one.fair.counter(of: TenantID(1)) && told.given > 0)
        two.merge(TenantID(0), cost: 1_000)
        for _ in 0..<2 {
            two.raise(TenantID(1), given: told.given, isNew: false)
            for place in 0..<2 {
                let tenant = TenantID(place)
                #expect(two.fair.counter(of: tenant) == one.fair.counter(of: tenant))
            }
        }
        two.raise(TenantID(1), given: told.given - 5, isNew: false)
        two.raise(TenantID(1), given: told.given + 5, isNew: true)
        #expect(two.fair.counter(of: TenantID(1)) == told.given)
        // Whoever has just come takes over what was given before its time, and gives nothing of it.
        two.raise(TenantID(1), given: told.given + 7, isNew: false)
        #expect(two.fair.counter(of: TenantID(1)) == told.given + 2)
    }

    @Test("where nobody waits one is lifted as elsewhere, but not above those who wait")
    func floors() {
        for isWaiting in [false, true] {
            var queue = queue()
            queue.charge(TenantID(0), cost: Tokens(1))
            let least = queue.fair.counter(of: TenantID(0))
            if isWaiting { _ = wait(&queue, 0, since: now) }
            queue.raiseFloor(to: 9 * least)
            queue.lift(TenantID(1))
            #expect(queue.fair.counter(of: TenantID(1)) == (isWaiting ? least : 9 * least))
        }
    }

    @Test("counters that differ by what each gave come together, whatever they all differ by")
    func align() {
        var queue = queue()
        _ = wait(&queue, 0, since: now)
        _ = wait(&queue, 1, since: now)
        queue.charge(TenantID(0), cost: Tokens(300))
        let told = [(TenantID(0), 90_000_000), (TenantID(1), 90_000_000)]
        queue.align(told.map { (tenant: $0.0, counter: $0.1) }, by: 1)
        let counters = (0..<2).map { queue.fair.counter(of: TenantID($0)) }
        #expect(abs(counters[0] - counters[1]) <= 1)
        #expect(counters[0] > 0 && counters[0] < 90_000_000)
    }

    @Test("reports live as long as their lease, and waits grow in them")
    func reports() {
        var store = SharedReports()
        var report = GatewayReport()
        report.tenants = [
            GatewayReport.Tenant(
                ClassID(0), TenantID(0), served: 1, servedBefore: 0, counter: 0,
                waited: .seconds(1))
        ]
        let (one, two) = (GatewayID(raw: 1), GatewayID(raw: 2))
        #expect(
            store.exchange(report, of: one, lease: .seconds(2), now: now).isEmpty)
        let told = store.exchange(
            GatewayReport(), of: two, lease: .seconds(2), now: now + .seconds(1))
        #expect(told.map(\.gateway) == [one])
        #expect(told.first?.report.tenants.first?.waited == .seconds(2))
        let late = store.exchange(
            GatewayReport(), of: two, lease: .seconds(2), now: now + .seconds(2))
        #expect(late.isEmpty)
    }
}
