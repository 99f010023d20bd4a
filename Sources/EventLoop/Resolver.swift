// SPDX-License-Identifier: Apache-2.0
import Units

/// What became of a question to the `Resolver`.
public enum ResolveOutcome: Sendable, Equatable {
    /// At least one, in the order to try them (RFC 6724), at most `Resolver.mostAddresses`.
    case addresses([SocketAddress])
    /// The name does not exist, or has no address.
    case unknown
    /// The name service did not answer, or not usably: later it may.
    case unavailable
    /// The resolver was stopped first.
    case stopped
}

/// Host names to addresses, off the loops: one thread asks the system, which may block it for
/// seconds.
public final class Resolver: Sendable {
    /// Addresses of one name beyond this are left out.
    public static let mostAddresses = 64

    private let questions: ResolveQueue
    private let thread: LoopThread

    /// At most `limit` questions are open at once. The thread ends after `stop`, or when this goes.
    public init(limit: Int) throws(SystemFault) {
        let questions = try ResolveQueue(limit: limit)
        let poller = try Poller(batch: 1)
        let token = Token(kind: 0, key: SlabKey(raw: 0))
        try poller.add(questions.descriptor, .read, token)
        self.questions = questions
        thread = try LoopThread(name: "resolver") {
            Resolver.run(questions, poller)
        }
    }

    deinit { questions.stop() }

    /// Asks for the addresses of a name or a literal, each with `port`. `deliver` gets the answer,
    /// exactly once, on the resolver's thread. False when the queue is full or stopped; then it is
    /// not called.
    public func resolve(
        _ host: String, port: UInt16, _ deliver: @escaping @Sendable (ResolveOutcome) -> Void
    ) -> Bool {
        questions.add(Question(host: host, port: port, deliver: deliver))
    }

    /// Takes no more questions and answers the open ones with `stopped`, except the one that the
    /// system is busy with. Does not wait for that.
    public func stop() { questions.stop() }

    /// After `stop`: waits until the last question is answered and the thread has ended.
    public func join() { thread.join() }

    private static func run(_ questions: ResolveQueue, _ poller: Poller) {
        var batch: [ResolveQueue.Message] = []
        while true {
            do {
                _ = try poller.wait(until: nil, now: MonotonicClock.now())
            } catch {
                broken("a wait on a valid poller succeeds")
            }
            questions.drain(into: &batch)
            for message in batch {
                guard case .question(let question) = message else { return }
                question.deliver(questions.isStopped ? .stopped : question.answer())
                questions.answered()
            }
            batch.removeAll(keepingCapacity: true)
        }
    }
}
