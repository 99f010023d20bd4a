// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct PollerTests {
    /// What the only registration is ready for right now.
    private func now(_ poller: Poller) throws -> Readiness {
        let now = MonotonicClock.now()
        return try poller.wait(until: now, now: now) == 0 ? [] : poller.event(0).readiness
    }

    /// What it is ready for as soon as it is ready for `wanted`.
    private func soon(_ poller: Poller, _ wanted: Readiness) throws -> Readiness {
        let end = MonotonicClock.now() + patience
        while true {
            let now = MonotonicClock.now()
            guard now < end else { throw Missing.readiness }
            guard try poller.wait(until: end, now: now) > 0 else { continue }
            let readiness = poller.event(0).readiness
            if readiness.isSuperset(of: wanted) { return readiness }
        }
    }

    private func pair() throws -> Pair {
        try Pair(try #require(SocketAddress(ip: "127.0.0.1", port: 0)))
    }

    @Test(arguments: [Poller.Timeouts.precise, .coarse])
    func anEmptyPollerWaitsUntilItsDeadlineAndNotLess(timeouts: Poller.Timeouts) throws {
        let poller = try Poller(timeouts: timeouts)
        for span in [0, 1, 50, 300, 1_100, 2_500] {
            let start = MonotonicClock.now()
            let deadline = start + .microseconds(span)
            #expect(try poller.wait(until: deadline, now: start) == 0)
            #expect(MonotonicClock.now() >= deadline)
        }
    }

    @Test(arguments: [Poller.Timeouts.precise, .coarse])
    func aDeadlineThatHasPassedPolls(timeouts: Poller.Timeouts) throws {
        let poller = try Poller(timeouts: timeouts)
        let now = MonotonicClock.now()
        #expect(try poller.wait(until: now - .seconds(5), now: now) == 0)
    }

    @Test(arguments: [Poller.Timeouts.precise, .coarse])
    func aReadyDescriptorEndsAWaitWithoutOrWithADistantDeadline(timeouts: Poller.Timeouts) throws {
        let pair = try pair()
        let poller = try Poller(timeouts: timeouts)
        try poller.add(pair.client.descriptor, .write, someToken)
        #expect(try poller.wait(until: nil, now: MonotonicClock.now()) == 1)
        #expect(try poller.wait(until: .distantFuture, now: MonotonicClock.now()) == 1)
        #expect(poller.event(0).token == someToken)
        #expect(poller.event(0).readiness == .writable)
    }

    @Test func readinessStaysUntilTheBytesAreRead() throws {
        let pair = try pair()
        let poller = try Poller()
        try poller.add(pair.server.descriptor, .read, someToken)
        #expect(try now(poller) == [])
        #expect(pair.client.send(text: "hello") == .bytes(5))
        #expect(try soon(poller, .readable) == .readable)
        #expect(pair.server.receive(limit: 2).transfer == .bytes(2))
        #expect(try now(poller) == .readable)
        #expect(pair.server.receive().transfer == .bytes(3))
        #expect(try now(poller) == [])
    }

    @Test func interestAndTokenCanChange() throws {
        let pair = try pair()
        let poller = try Poller()
        try poller.add(pair.client.descriptor, [], someToken)
        #expect(try now(poller) == [])
        let other = Token(kind: 9, key: SlabKey(raw: 1))
        try poller.change(pair.client.descriptor, [.read, .write], other)
        #expect(try now(poller) == .writable)
        #expect(poller.event(0).token == other)
        poller.remove(pair.client.descriptor)
        #expect(try now(poller) == [])
        try poller.add(pair.client.descriptor, .write, someToken)
        #expect(try now(poller) == .writable)
    }

    @Test(arguments: Family.present)
    func aPeerThatEndsItsStreamIsSeenBehindUnreadBytes(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        let poller = try Poller()
        try poller.add(pair.server.descriptor, .peerClosed, someToken)
        #expect(pair.client.send(text: "last words") == .bytes(10))
        #expect(try now(poller) == [])
        pair.client.shutdownWrite()
        #expect(try soon(poller, .peerClosed) == .peerClosed)
        #expect(try pair.server.receive(text: 10) == "last words")
        #expect(pair.server.receive().transfer == .closed)
    }

    @Test func bothDirectionsClosedAreAHangUpEvenWithoutInterest() throws {
        let pair = try pair()
        let poller = try Poller()
        try poller.add(pair.server.descriptor, [], someToken)
        pair.client.shutdownWrite()
        pair.server.shutdownWrite()
        #expect(try soon(poller, .hungUp) == .hungUp)
    }

    @Test func aResetIsAFailureWithItsFaultBehindIt() throws {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(address, backlog: 4)
        let server: Socket
        do {
            let client = try Socket.connect(to: listener.address)
            server = try listener.next()
            client.resetOnClose()
        }
        let poller = try Poller()
        try poller.add(server.descriptor, .read, someToken)
        let readiness = try soon(poller, .failed)
        #expect(readiness.isSuperset(of: [.failed, .hungUp]))
        #expect(server.connectOutcome() == .reset)
    }

    @Test func moreReadyDescriptorsThanABatchAllGetTheirTurn() throws {
        let first = try pair()
        let second = try pair()
        let third = try pair()
        let poller = try Poller(batch: 2)
        for (kind, descriptor) in [
            first.client.descriptor, second.client.descriptor, third.client.descriptor,
        ].enumerated() {
            try poller.add(descriptor, .write, Token(kind: UInt8(kind), key: SlabKey(raw: 0)))
        }
        var seen: Set<UInt8> = []
        for _ in 0..<3 {
            let now = MonotonicClock.now()
            #expect(try poller.wait(until: now, now: now) == 2)
            for index in 0..<2 { seen.insert(poller.event(index).token.kind) }
        }
        #expect(seen == [0, 1, 2])
    }
}
