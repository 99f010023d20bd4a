// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Synchronization
import Testing
import Units

@Suite struct ResolverTests {
    /// The answer to one question; waits for it.
    private func ask(_ resolver: Resolver, _ host: String, port: UInt16 = 80) throws
        -> ResolveOutcome
    {
        let answers = try Mailbox<ResolveOutcome>(limit: 1)
        #expect(resolver.resolve(host, port: port) { answers.post($0) })
        _ = try ready(answers.descriptor, .read)
        var taken: [ResolveOutcome] = []
        answers.drain(into: &taken)
        return try #require(taken.first)
    }

    @Test func localhostIsThisMachine() throws {
        let resolver = try Resolver(limit: 4)
        guard case .addresses(let found) = try ask(resolver, "localhost", port: 8_080) else {
            Issue.record("localhost has an address")
            return
        }
        #expect(!found.isEmpty)
        #expect(found.allSatisfy { $0.isLoopback && $0.port == 8_080 })
        #expect(Set(found).count == found.count)
    }

    @Test(arguments: [("192.0.2.7", "192.0.2.7:443"), ("2001:db8::7", "[2001:db8::7]:443")])
    func aLiteralIsItsOwnAnswer(host: String, shown: String) throws {
        let resolver = try Resolver(limit: 4)
        guard case .addresses(let found) = try ask(resolver, host, port: 443) else {
            Issue.record("a literal has an address")
            return
        }
        #expect(found.map(\.description) == [shown])
    }

    /// `.invalid` never resolves (RFC 6761); without a name service there may be no answer at all.
    @Test func aNameThatDoesNotExistHasNoAddress() throws {
        let resolver = try Resolver(limit: 4)
        let outcome = try ask(resolver, "penstock.invalid")
        #expect(outcome == .unknown || outcome == .unavailable)
    }

    @Test(arguments: ["localhost\0x", "127.0.0.1\0", "", "a b", String(repeating: "x", count: 70)])
    func whatIsNoNameHasNoAddress(host: String) throws {
        let resolver = try Resolver(limit: 4)
        let outcome = try ask(resolver, host)
        #expect(outcome == .unknown || outcome == .unavailable)
    }

    @Test func aFullQueueRefusesAndAcceptsAgain() throws {
        let resolver = try Resolver(limit: 2)
        let held = Mutex(())
        let answers = try Mailbox<Int>(limit: 10)
        let isBusy = held.withLock { _ in
            let first = resolver.resolve("127.0.0.1", port: 1) { _ in
                held.withLock { _ in _ = answers.post(1) }
            }
            let second = resolver.resolve("127.0.0.1", port: 1) { _ in _ = answers.post(2) }
            let third = resolver.resolve("127.0.0.1", port: 1) { _ in _ = answers.post(3) }
            return [first, second, third]
        }
        #expect(isBusy == [true, true, false])
        var taken: [Int] = []
        while taken.count < 2 {
            _ = try ready(answers.descriptor, .read)
            answers.drain(into: &taken)
        }
        #expect(taken == [1, 2])
        let end = MonotonicClock.now() + patience
        var isAccepted = false
        while !isAccepted, MonotonicClock.now() < end {
            isAccepted = resolver.resolve("127.0.0.1", port: 1) { _ in _ = answers.post(4) }
        }
        #expect(isAccepted)
        resolver.stop()
        resolver.join()
        answers.drain(into: &taken)
        #expect(taken == [1, 2, 4])
    }

    @Test func stoppingAnswersEveryOpenQuestionOnce() throws {
        let resolver = try Resolver(limit: 100)
        let held = Mutex(())
        let answers = try Mailbox<(Int, ResolveOutcome)>(limit: 200)
        held.withLock { _ in
            for number in 0..<50 {
                _ = resolver.resolve("127.0.0.1", port: 1) { outcome in
                    held.withLock { _ in _ = answers.post((number, outcome)) }
                }
            }
            resolver.stop()
            resolver.stop()
        }
        #expect(!resolver.resolve("127.0.0.1", port: 1) { answers.post((99, $0)) })
        resolver.join()
        var taken: [(Int, ResolveOutcome)] = []
        answers.drain(into: &taken)
        #expect(taken.map(\.0) == Array(0..<50))
        // The first may have been at the system already; the others were not.
        #expect(taken.dropFirst(1).allSatisfy { $0.1 == .stopped })
    }

    @Test func aResolverThatGoesAnswersWhatIsOpen() throws {
        let answers = try Mailbox<ResolveOutcome>(limit: 10)
        do {
            let resolver = try Resolver(limit: 4)
            for _ in 0..<4 {
                #expect(resolver.resolve("127.0.0.1", port: 1) { answers.post($0) })
            }
        }
        var taken: [ResolveOutcome] = []
        while taken.count < 4 {
            _ = try ready(answers.descriptor, .read)
            answers.drain(into: &taken)
        }
        #expect(taken.count == 4)
    }
}
