// SPDX-License-Identifier: Apache-2.0

import Dialects
import EventLoop
import Policy
import Synchronization
import Tokenization
import Units

/// Counts the tokens of big prompts on threads of their own, so that a worker's other requests do
/// not wait for it. Bounded: what finds no room is estimated instead.
final class CountingThreads: Sendable {
    /// A body to be counted, and where the number goes.
    struct Job: Sendable {
        let request: RequestID
        let body: [UInt8]
        let dialect: Dialect
        let limits: InspectionLimits
        let tokenizer: Tokenizer
        let reply: Mailbox<WorkerMessage>
    }

    fileprivate enum Message: Sendable {
        case job(Job)
        case end
    }

    /// Jobs that wait for one thread, at most.
    private static let boxLimit = 65_536

    let policy: CountingPolicy
    let counts = Counts()
    private let boxes: [Mailbox<Message>]
    private let threads: [LoopThread]
    private let turn = Atomic<Int>(0)
    private let held: HeldBytes

    /// Body bytes that wait or are being counted.
    fileprivate final class HeldBytes: Sendable {
        let count = Atomic<Int>(0)
    }

    /// Prompts of models with a tokenizer since the start, by the way in which they were counted.
    final class Counts: Sendable {
        let inline = Atomic<Int>(0)
        let threads = Atomic<Int>(0)
        /// For want of room.
        let estimated = Atomic<Int>(0)
    }

    init(_ policy: CountingPolicy) throws(SystemFault) {
        var boxes: [Mailbox<Message>] = []
        var threads: [LoopThread] = []
        let held = HeldBytes()
        for place in 0..<policy.threads {
            let box = try Mailbox<Message>(limit: Self.boxLimit)
            let thread = try CountingThread(box, held)
            threads.append(
                try LoopThread(name: "penstock-count-\(place)") { thread.run() })
            boxes.append(box)
        }
        self.policy = policy
        self.boxes = boxes
        self.threads = threads
        self.held = held
    }

    /// Takes a job unless too much would wait then; one alone always has room. The number is told
    /// to the job's mailbox.
    func count(_ job: Job) -> Bool {
        let bytes = job.body.count
        let before = held.count.add(bytes, ordering: .relaxed).oldValue
        let place = turn.add(1, ordering: .relaxed).oldValue
        if before == 0 || before + bytes <= policy.maxWaiting.count,
            boxes[Int(UInt(bitPattern: place) % UInt(boxes.count))].post(.job(job))
        {
            counts.threads.add(1, ordering: .relaxed)
            return true
        }
        held.count.subtract(bytes, ordering: .relaxed)
        counts.estimated.add(1, ordering: .relaxed)
        return false
    }

    /// Ends the threads when they have counted what waits.
    func end() {
        for box in boxes { box.post(.end) }
        for thread in threads { thread.join() }
    }
}

/// One of the threads.
private final class CountingThread {
    private let box: Mailbox<CountingThreads.Message>
    private let held: CountingThreads.HeldBytes
    private let poller: Poller
    private let counter = TokenCounter()
    private var inspection = Inspection()

    init(
        _ box: Mailbox<CountingThreads.Message>, _ held: CountingThreads.HeldBytes
    ) throws(SystemFault) {
        self.box = box
        self.held = held
        poller = try Poller(batch: 1)
        try poller.add(box.descriptor, .read, Token(kind: 0, key: SlabKey(raw: 0)))
    }

    func run() {
        var messages: [CountingThreads.Message] = []
        while true {
            _ = try? poller.wait(until: nil, now: MonotonicClock.now())
            box.drain(into: &messages)
            for message in messages {
                guard case .job(let job) = message else { return }
                count(job)
            }
            messages.removeAll(keepingCapacity: true)
        }
    }

    private func count(_ job: CountingThreads.Job) {
        let count = unsafe ExactCount.of(
            job.body.span.bytes, job.dialect, job.limits, job.tokenizer, counter, &inspection)
        held.count.subtract(job.body.count, ordering: .relaxed)
        job.reply.post(.counted(job.request, count))
    }
}
