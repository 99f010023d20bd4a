// SPDX-License-Identifier: Apache-2.0

import Policy
import Scheduling
import Testing
import Units

private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(Double(seconds)) }

private func entry(_ number: Int, tenant: Int = 0, cost: Int, since: Int = 0) -> ClassQueue.Entry {
    ClassQueue.Entry(
        ticket: SlabKey(raw: UInt64(number)), tenant: TenantID(tenant), tokens: Tokens(1),
        cost: Tokens(cost), need: Tokens(cost / 2), arrivedAt: at(since), expiresAt: at(100_000))
}

extension ClassQueue {
    fileprivate func turns(_ order: Order) -> [Int] {
        var turns: [Int] = []
        eachTurn(by: order) { _, entry in
            turns.append(Int(entry.ticket.raw))
            return true
        }
        return turns
    }

    fileprivate mutating func add(_ entry: Entry) -> SlabKey? {
        append(entry, within: QueuePolicy())
    }
}

@Suite("Turns of a class")
struct TurnTests {
    @Test("the heads of all tenants come before the second of any")
    func tenants() {
        var queue = ClassQueue(capacity: 10)
        for number in 0..<3 { _ = queue.add(entry(number, cost: 100)) }
        for number in 3..<5 { _ = queue.add(entry(number, tenant: 1, cost: 100)) }
        #expect(queue.turns(.init(now: at(0))) == [0, 3, 1, 2, 4])
        queue.dispatch(TenantID(0), nil, cost: Tokens(1), charge: Tokens(1))
        #expect(queue.turns(.init(now: at(0))) == [3, 0, 4, 1, 2])
    }

    @Test("of a tenant as they came, but those that cost much more than the mean later")
    func ratio() {
        var queue = ClassQueue(capacity: 100)
        for number in 10..<40 { _ = queue.add(entry(number, tenant: 1, cost: 100)) }
        _ = queue.add(entry(0, cost: 1_000, since: 0))
        _ = queue.add(entry(1, cost: 200, since: 30))
        _ = queue.add(entry(2, cost: 100, since: 40))
        queue.charge(TenantID(1), cost: Tokens(1))
        func first(_ seconds: Int) -> UInt64? {
            queue.first(by: .init(now: at(seconds)))?.entry.ticket.raw
        }
        #expect(first(34) == 0)
        #expect(first(60) == 1)
        #expect(first(10_000) == 1)
    }

    @Test("the cheapest where more waits than can be served, and the oldest for an eighth of it")
    func crowded() {
        var queue = ClassQueue(capacity: 100)
        _ = queue.add(entry(0, cost: 1_600, since: 0))
        for number in 1...20 { _ = queue.add(entry(number, cost: 800, since: number)) }
        var order: [UInt64] = []
        while let next = queue.first(by: .init(now: at(30), isCrowded: true)) {
            order.append(next.entry.ticket.raw)
            queue.dispatch(
                TenantID(0), next.place, cost: next.entry.cost, charge: next.entry.cost)
            queue.remove(next.place)
        }
        #expect(order == Array(1...16) + [0] + Array(17...20))
    }

    @Test("one that costs more than anything still has its turn while cheap ones come without end")
    func neverStarved() {
        var queue = ClassQueue(capacity: 100)
        _ = queue.add(entry(0, cost: 50_000, since: 0))
        var served = 0
        for number in 1...10_000 {
            _ = queue.add(entry(number, cost: 100, since: number))
            guard let next = queue.first(by: .init(now: at(number), isCrowded: true)) else { break }
            queue.dispatch(
                TenantID(0), next.place, cost: next.entry.cost, charge: next.entry.cost)
            queue.remove(next.place)
            if next.entry.ticket.raw == 0 { break }
            served += next.entry.cost.count
        }
        #expect((400_000...420_000).contains(served))
    }

    @Test("who came back goes before all")
    func returned() {
        var queue = ClassQueue(capacity: 10)
        _ = queue.add(entry(0, cost: 10))
        _ = queue.prepend(entry(1, tenant: 3, cost: 900), within: QueuePolicy())
        #expect(queue.turns(.init(now: at(0))) == [1, 0])
    }

    @Test("of others, those ahead are who was served less; of the own all")
    func ahead() {
        var queue = ClassQueue(capacity: 10)
        _ = queue.add(entry(0, tenant: 0, cost: 100))
        _ = queue.add(entry(1, tenant: 1, cost: 100))
        queue.charge(TenantID(1), cost: Tokens(50))
        queue.lift(TenantID(2))
        func ahead(of tenant: Int) -> [UInt64] {
            var ahead: [UInt64] = []
            queue.eachAhead(of: TenantID(tenant), by: .init(now: at(1))) { _, entry in
                ahead.append(entry.ticket.raw)
                return true
            }
            return ahead
        }
        #expect(ahead(of: 2) == [0])
        #expect(ahead(of: 1) == [0, 1])
        let order = ClassQueue.Order(now: at(1))
        let first = queue.needsAhead(of: TenantID(2), cost: Tokens(10), by: order)
        #expect(first == Tokens(10))
        let second = queue.needsAhead(of: TenantID(1), cost: Tokens(10), by: order)
        #expect(second == Tokens(100))
    }

    @Test("everybody has one turn, whoever leaves", arguments: 0..<20 as Range<UInt64>)
    func everybody(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var queue = ClassQueue(capacity: 60)
        var known: [Int: SlabKey] = [:]
        for step in 0..<600 {
            let isCrowded = random.next() % 2 == 0
            let made = entry(
                step, tenant: Int(random.next() % 5), cost: Int(random.next() % 100_000),
                since: step)
            switch random.next() % 4 {
            case 0, 1: known[step] = queue.add(made)
            case 2: known[step] = queue.prepend(made, within: QueuePolicy())
            default:
                guard let gone = known.keys.min(), let place = known.removeValue(forKey: gone)
                else { continue }
                #expect(queue.remove(place)?.ticket.raw == UInt64(gone))
            }
            #expect(queue.count <= 60)
            let turns = queue.turns(.init(now: at(step), isCrowded: isCrowded))
            #expect(turns.sorted() == known.keys.sorted())
        }
    }
}
