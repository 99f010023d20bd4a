// SPDX-License-Identifier: Apache-2.0

import Policy
import Scheduling
import Testing
import Units

private func at(_ milliseconds: Int) -> Instant {
    Instant(nanoseconds: 0) + .milliseconds(milliseconds)
}

/// An entry that says `number` wherever it is looked at.
private func entry(_ number: Int, tokens: Int = 10, expires: Int = 1_000) -> ClassQueue.Entry {
    ClassQueue.Entry(
        ticket: SlabKey(raw: UInt64(number)), tenant: TenantID(0), tokens: Tokens(tokens),
        need: Tokens(tokens / 2), arrivedAt: at(number), expiresAt: at(expires))
}

private func policy(requests: Int = 100, tokens: Int = 10_000) -> QueuePolicy {
    var policy = QueuePolicy()
    policy.maxRequests = requests
    policy.maxTokens = Tokens(tokens)
    return policy
}

extension ClassQueue {
    fileprivate var numbers: [Int] {
        var numbers: [Int] = []
        each { _, entry in
            numbers.append(Int(entry.ticket.raw))
            return true
        }
        return numbers
    }
}

@Suite("ClassQueue")
struct ClassQueueTests {
    @Test("first come, first served")
    func order() throws {
        var queue = ClassQueue(capacity: 10)
        #expect(queue.head == nil && queue.isEmpty)
        for number in 1...4 { _ = queue.append(entry(number), within: policy()) }
        #expect(queue.count == 4)
        #expect(queue.tokens == Tokens(40))
        #expect(queue.needs == Tokens(20))
        for number in 1...4 {
            let head = try #require(queue.head)
            #expect(head.entry == entry(number))
            #expect(queue.remove(head.place) == entry(number))
        }
        #expect(queue.isEmpty && queue.count == 0)
        #expect(queue.tokens == .zero && queue.needs == .zero)
    }

    @Test("who had its turn before goes to the front")
    func front() {
        var queue = ClassQueue(capacity: 10)
        _ = queue.prepend(entry(1), within: policy())
        _ = queue.append(entry(2), within: policy())
        _ = queue.prepend(entry(3), within: policy())
        #expect(queue.numbers == [3, 1, 2])
        #expect(queue.head?.entry.ticket == SlabKey(raw: 3))
    }

    @Test("one that leaves is taken out from wherever it stands", arguments: 0..<4)
    func middle(place: Int) throws {
        var queue = ClassQueue(capacity: 10)
        let appended = (0..<4).map { queue.append(entry($0), within: policy()) }
        let places = try appended.map { try #require($0) }
        #expect(queue.remove(places[place]) == entry(place))
        #expect(queue.remove(places[place]) == nil)
        #expect(queue.numbers == (0..<4).filter { $0 != place })
        #expect(queue.count == 3)
        _ = queue.append(entry(9), within: policy())
        #expect(queue.numbers == (0..<4).filter { $0 != place } + [9])
        #expect(queue.remove(places[place]) == nil)
    }

    @Test("it is full by requests, by tokens, and by its own capacity")
    func bounds() {
        var queue = ClassQueue(capacity: 3)
        let few = policy(requests: 2)
        #expect(queue.append(entry(1), within: few) != nil)
        #expect(queue.append(entry(2), within: few) != nil)
        #expect(queue.append(entry(3), within: few) == nil)
        #expect(queue.prepend(entry(3), within: few) == nil)
        #expect(queue.append(entry(3, tokens: 81), within: policy(tokens: 100)) == nil)
        #expect(queue.append(entry(3, tokens: 80), within: policy(tokens: 100)) != nil)
        #expect(queue.append(entry(4), within: policy()) == nil)
        #expect(queue.numbers == [1, 2, 3])
        #expect(queue.tokens == Tokens(100))
    }

    @Test("looking through it may stop early")
    func each() {
        var queue = ClassQueue(capacity: 10)
        for number in 1...5 { _ = queue.append(entry(number), within: policy()) }
        var seen = 0
        queue.each { _, _ in
            seen += 1
            return seen < 3
        }
        #expect(seen == 3)
    }

    @Test("those whose time is over leave, the longest waiting first")
    func expiry() {
        var queue = ClassQueue(capacity: 10)
        for (number, expires) in [(1, 50), (2, 20), (3, 90), (4, 20)] {
            _ = queue.append(entry(number, expires: expires), within: policy())
        }
        var late: [ClassQueue.Entry] = []
        queue.removeExpired(at(19), into: &late)
        #expect(late.isEmpty)
        queue.removeExpired(at(20), into: &late)
        #expect(late.map(\.ticket.raw) == [2, 4])
        #expect(queue.numbers == [1, 3])
        late = []
        queue.removeExpired(at(49), into: &late)
        #expect(late.isEmpty)
        queue.removeExpired(at(1_000), into: &late)
        #expect(late.map(\.ticket.raw) == [1, 3])
        #expect(queue.isEmpty && queue.tokens == .zero && queue.needs == .zero)
    }

    @Test("one that comes later may expire earlier")
    func laterAndEarlier() {
        var queue = ClassQueue(capacity: 10)
        _ = queue.append(entry(1, expires: 500), within: policy())
        var late: [ClassQueue.Entry] = []
        queue.removeExpired(at(100), into: &late)
        _ = queue.append(entry(2, expires: 120), within: policy())
        queue.removeExpired(at(120), into: &late)
        #expect(late.map(\.ticket.raw) == [2])
    }

    @Test("it behaves like an array", arguments: 0..<50 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let bounds = policy(requests: 12, tokens: 300)
        var queue = ClassQueue(capacity: 15)
        var model: [(place: SlabKey, entry: ClassQueue.Entry)] = []
        for step in 0..<1_000 {
            let new = entry(
                step, tokens: Int(random.next() % 60), expires: step + Int(random.next() % 100))
            let isFull =
                model.count >= 12
                || model.reduce(0) { $0 + $1.entry.tokens.count }
                    + new.tokens.count > 300
            switch random.next() % 6 {
            case 0, 1, 2:
                let place = queue.append(new, within: bounds)
                #expect((place == nil) == isFull)
                if let place { model.append((place, new)) }
            case 3:
                let place = queue.prepend(new, within: bounds)
                #expect((place == nil) == isFull)
                if let place { model.insert((place, new), at: 0) }
            case 4 where !model.isEmpty:
                let gone = model.remove(at: Int(random.next() % UInt64(model.count)))
                #expect(queue.remove(gone.place) == gone.entry)
                #expect(queue.remove(gone.place) == nil)
            default:
                var late: [ClassQueue.Entry] = []
                queue.removeExpired(at(step), into: &late)
                #expect(late == model.map(\.entry).filter { $0.expiresAt <= at(step) })
                model.removeAll { $0.entry.expiresAt <= at(step) }
            }
            let isEqual =
                queue.numbers == model.map { Int($0.entry.ticket.raw) }
                && queue.count == model.count && queue.isEmpty == model.isEmpty
                && queue.tokens.count == model.reduce(0) { $0 + $1.entry.tokens.count }
                && queue.needs.count == model.reduce(0) { $0 + $1.entry.need.count }
            guard isEqual else {
                Issue.record("seed \(seed), step \(step)")
                return
            }
        }
    }
}
