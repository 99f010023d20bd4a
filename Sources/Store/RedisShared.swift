// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Policy
import Synchronization
import Units

/// What the Redis stores of a process's workers have in common.
public final class RedisShared: Sendable {
    public let policy: RedisStorePolicy
    /// This replica's own budgets for the time that Redis is away: one for all workers, so that a
    /// replica grants each budget at most once more. It is never emptied: what was used in one
    /// outage still counts in the next, as far as it has not drained.
    public let fallback = MemoryStore()
    let addresses: RedisAddresses
    private let gate = Mutex(AttemptGate())

    /// `resolver` may be left out when no address is a host name.
    public init(policy: RedisStorePolicy, resolver: Resolver? = nil) {
        self.policy = policy
        addresses = RedisAddresses(policy.addresses, resolver: resolver)
    }

    /// Whether the files of `tls` are what they should be; reads them.
    public func checkFiles() throws(StoreFault) {
        if let tls = policy.tls { _ = try RedisTLSContext(tls) }
    }

    func attempt(now: Instant) -> AttemptGate.Answer { gate.withLock { $0.attempt(now: now) } }
    func succeeded() { gate.withLock { $0.succeeded() } }
    func failed() { gate.withLock { $0.failed() } }
}
