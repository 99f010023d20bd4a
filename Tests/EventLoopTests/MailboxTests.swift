// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Synchronization
import Testing
import Units

@Suite struct MailboxTests {
    private func isReadable(_ descriptor: Int32) throws -> Bool {
        let poller = try Poller(batch: 1)
        try poller.add(descriptor, .read, someToken)
        let now = MonotonicClock.now()
        return try poller.wait(until: now, now: now) == 1
    }

    @Test func messagesComeInTheOrderTheyWerePosted() throws {
        let box = try Mailbox<Int>(limit: 10)
        for number in 0..<5 { box.post(number) }
        var taken: [Int] = []
        box.drain(into: &taken)
        #expect(taken == [0, 1, 2, 3, 4])
    }

    @Test func theDescriptorIsReadableExactlyWhileThereAreMessages() throws {
        let box = try Mailbox<Int>(limit: 10)
        var taken: [Int] = []
        for _ in 0..<3 {
            #expect(try isReadable(box.descriptor) == false)
            box.post(1)
            #expect(try isReadable(box.descriptor))
            box.post(2)
            #expect(try isReadable(box.descriptor))
            taken.removeAll(keepingCapacity: true)
            box.drain(into: &taken)
            #expect(taken == [1, 2])
        }
        #expect(try isReadable(box.descriptor) == false)
    }

    @Test func drainingAnEmptyBoxGivesNothing() throws {
        let box = try Mailbox<Int>(limit: 10)
        var taken = [7]
        box.drain(into: &taken)
        #expect(taken == [7])
    }

    @Test func messagesComeBehindThoseAlreadyTaken() throws {
        let box = try Mailbox<Int>(limit: 10)
        var taken = [7]
        box.post(8)
        box.drain(into: &taken)
        #expect(taken == [7, 8])
        taken = []
        box.drain(into: &taken)
        #expect(taken == [])
    }

    @Test func aFullBoxRefusesUntilItIsDrained() throws {
        let box = try Mailbox<Int>(limit: 2)
        #expect(box.post(1))
        #expect(box.post(2))
        #expect(!box.post(3))
        var taken: [Int] = []
        box.drain(into: &taken)
        #expect(taken == [1, 2])
        #expect(box.post(4))
        taken = []
        box.drain(into: &taken)
        #expect(taken == [4])
    }

    @Test func theMemoryOfBothArraysIsKept() throws {
        let box = try Mailbox<Int>(limit: 1_000)
        var taken: [Int] = []
        for _ in 0..<2 {
            for number in 0..<1_000 { box.post(number) }
            taken.removeAll(keepingCapacity: true)
            box.drain(into: &taken)
        }
        #expect(taken.capacity >= 1_000)
        taken.removeAll(keepingCapacity: true)
        box.drain(into: &taken)
        #expect(taken.capacity >= 1_000)
    }

    private struct Letter: Sendable, Hashable {
        let sender: Int
        let number: Int
    }

    @Test func manyThreadsPostToAWaitingOwnerAndNothingIsLost() throws {
        let box = try Mailbox<Letter>(limit: 1_000_000)
        let poller = try Poller()
        try poller.add(box.descriptor, .read, someToken)
        var threads: [LoopThread] = []
        for sender in 0..<4 {
            threads.append(
                try LoopThread(name: "sender \(sender)") {
                    for number in 0..<20_000 {
                        box.post(Letter(sender: sender, number: number))
                    }
                })
        }
        var counts = [Int](repeating: 0, count: 4)
        var batch: [Letter] = []
        let end = MonotonicClock.now() + patience
        while counts.reduce(0, +) < 80_000 {
            let now = MonotonicClock.now()
            guard now < end, try poller.wait(until: end, now: now) > 0 else { break }
            batch.removeAll(keepingCapacity: true)
            box.drain(into: &batch)
            for letter in batch {
                #expect(letter.number == counts[letter.sender])
                counts[letter.sender] += 1
            }
        }
        for thread in threads { thread.join() }
        #expect(counts == [20_000, 20_000, 20_000, 20_000])
    }
}
