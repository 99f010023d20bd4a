// SPDX-License-Identifier: Apache-2.0

import Dialects
import EventLoop
import Policy
import Synchronization
import Tokenization
import Units

/// Reads big bodies and counts the tokens of big prompts on threads of their own, so that a
/// worker's other requests do not wait for it. Bounded: what finds no room is read by its worker,
/// and estimated.
final class CountingThreads: Sendable {
    /// A body, what is to be done with it, and where the result goes.
    struct Job: Sendable {
        enum Work: Sendable {
            /// The worker has read it: `WorkerMessage.counted`.
            case count(Tokenizer)
            /// Nobody has: `WorkerMessage.read`. It is counted, too, if it may be.
            case read
        }
        let request: RequestID
        let body: [UInt8]
        let reading: BodyReading
        let work: Work
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

    /// Body bytes that wait or are being read.
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
            let thread = try CountingThread(box, held, counts)
            threads.append(
                try LoopThread(name: "penstock-count-\(place)") { thread.run() })
            boxes.append(box)
        }
        self.policy = policy
        self.boxes = boxes
        self.threads = threads
        self.held = held
    }

    /// Takes a job unless too much would wait then; one alone always has room. What comes of it is
    /// told to the job's mailbox.
    func take(_ job: Job) -> Bool {
        let bytes = job.body.count
        let before = held.count.add(bytes, ordering: .relaxed).oldValue
        let place = turn.add(1, ordering: .relaxed).oldValue
        if before == 0 || before + bytes <= policy.maxWaiting.count,
            boxes[Int(UInt(bitPattern: place) % UInt(boxes.count))].post(.job(job))
        {
            return true
        }
        held.count.subtract(bytes, ordering: .relaxed)
        if case .count = job.work { counts.estimated.add(1, ordering: .relaxed) }
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
    private let counts: CountingThreads.Counts
    private let poller: Poller
    private let counter = TokenCounter()
    private var inspection = Inspection()

    init(
        _ box: Mailbox<CountingThreads.Message>, _ held: CountingThreads.HeldBytes,
        _ counts: CountingThreads.Counts
    ) throws(SystemFault) {
        self.box = box
        self.held = held
        self.counts = counts
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
                work(on: job)
            }
            messages.removeAll(keepingCapacity: true)
        }
    }

    private func work(on job: CountingThreads.Job) {
        let message: WorkerMessage =
            switch job.work {
            case .count(let tokenizer): .counted(job.request, count(job, tokenizer))
            case .read: .read(job.request, read(job))
            }
        held.count.subtract(job.body.count, ordering: .relaxed)
        job.reply.post(message)
    }

    private func count(_ job: CountingThreads.Job, _ tokenizer: Tokenizer) -> ExactCount? {
        counts.threads.add(1, ordering: .relaxed)
        return unsafe ExactCount.of(
            job.body.span.bytes, job.reading.dialect, job.reading.limits, tokenizer, counter,
            &inspection)
    }

    private func read(_ job: CountingThreads.Job) -> Result<ReadBody, BodyFault> {
        var texts = PromptMeter()
        var tools = PromptMeter()
        var found = Inspection()
        do throws(BodyFault) {
            try unsafe job.reading.read(
                job.body.span.bytes, texts: &texts, tools: &tools, into: &found)
        } catch {
            return .failure(error)
        }
        let policy = job.reading.policy
        let model =
            unsafe job.reading.named
            ?? policy.model(found.model, in: job.body.span.bytes)
        let tokenizer = model.flatMap { policy.models[$0.index].tokenizer }
        return .success(ReadBody(found, texts, tools, tokenizer.flatMap { count(job, $0) }))
    }
}
