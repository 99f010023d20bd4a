// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
package import Units

/// What a descriptor is ready for. A hang-up and a failure are reported whether asked for or not.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: penstock_epoll_in)
    package static let writable = Readiness(rawValue: penstock_epoll_out)
    /// The peer has shut down its sending side; bytes may still be waiting (EPOLLRDHUP).
    package static let peerClosed = Readiness(rawValue: penstock_epoll_peer_closed)
    /// Both directions are shut down, or the connection was reset (EPOLLHUP).
    package static let hungUp = Readiness(rawValue: penstock_epoll_hung_up)
    /// An error is pending on the descriptor (EPOLLERR).
    package static let failed = Readiness(rawValue: penstock_epoll_failed)
}

/// What a registration asks for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let read = Interest(rawValue: penstock_epoll_in)
    package static let write = Interest(rawValue: penstock_epoll_out)
    /// That the peer has sent its last byte, without reading up to it (EPOLLRDHUP).
    package static let peerClosed = Interest(rawValue: penstock_epoll_peer_closed)
}

/// Level-triggered epoll of one thread: says which registrations are ready, calls nobody.
///
/// A descriptor is removed before it is closed. An event of the same batch that was taken before
/// still comes, with a token whose key finds nothing.
@safe
package final class Poller {
    private let descriptor: Descriptor
    private let events: UnsafeMutablePointer<epoll_event>
    private let batch: Int
    private var ready = 0
    private var timeouts: Timeouts

    /// How exactly the kernel can wait.
    package enum Timeouts: Sendable {
        /// epoll_pwait2, Linux 5.11: nanoseconds. Where it is missing, `coarse` takes its place.
        case precise
        /// epoll_wait: milliseconds, rounded up.
        case coarse
    }

    /// Takes at most `batch` events in one wait; the rest come with the next.
    package init(batch: Int = 512, timeouts: Timeouts = .precise) throws(SystemFault) {
        invariant(batch > 0, "a poller takes at least one event")
        descriptor = try Descriptor(checking: System.once { penstock_epoll_create() })
        self.batch = batch
        self.timeouts = timeouts
        unsafe events = .allocate(capacity: batch)
        unsafe events.initialize(repeating: epoll_event(), count: batch)
    }

    deinit { unsafe events.deallocate() }

    /// Registers a descriptor that is not registered yet. Fails when the user's quota of watches
    /// (`fs.epoll.max_user_watches`) or the kernel's memory is used up.
    package func add(
        _ descriptor: Int32, _ interest: Interest, _ token: Token
    ) throws(SystemFault) {
        let poller = self.descriptor.raw
        let result = System.once {
            penstock_epoll_add(poller, descriptor, interest.rawValue, token.raw)
        }
        invariant(result != -Int(EEXIST), "a descriptor is registered once")
        try System.check(result)
    }

    /// Replaces interest and token of a registered descriptor.
    package func change(
        _ descriptor: Int32, _ interest: Interest, _ token: Token
    ) throws(SystemFault) {
        let poller = self.descriptor.raw
        let result = System.once {
            penstock_epoll_change(poller, descriptor, interest.rawValue, token.raw)
        }
        invariant(result != -Int(ENOENT), "only a registered descriptor is changed")
        try System.check(result)
    }

    /// Ends a registration; the descriptor must still be open.
    package func remove(_ descriptor: Int32) {
        let poller = self.descriptor.raw
        let result = System.once { penstock_epoll_remove(poller, descriptor) }
        invariant(result >= 0, "only a registered descriptor is removed")
    }

    /// Waits until something is ready or `deadline`; how many events there are then.
    ///
    /// Without a deadline it waits for ever; one that is not after `now` polls. It may give 0
    /// before the deadline: when interrupted, and without epoll_pwait2 after 24 days.
    package func wait(until deadline: Instant?, now: Instant) throws(SystemFault) -> Int {
        ready = 0
        let result = waitOnce(Poller.timeout(until: deadline, now: now))
        if result == -Int(EINTR) { return 0 }
        ready = try System.check(result)
        return ready
    }

    /// The event at `index` below what `wait` returned last.
    package func event(_ index: Int) -> (token: Token, readiness: Readiness) {
        invariant(index >= 0 && index < ready, "an event of the last wait")
        let event = unsafe events + index
        return unsafe (
            Token(raw: penstock_event_token(event)),
            Readiness(rawValue: penstock_event_bits(event))
        )
    }

    /// Nanoseconds to wait; negative for ever.
    private static func timeout(until deadline: Instant?, now: Instant) -> Int64 {
        guard let deadline else { return -1 }
        return max(0, (deadline - now).nanoseconds)
    }

    private func waitOnce(_ nanoseconds: Int64) -> Int {
        let poller = descriptor.raw
        let count = Int32(clamping: batch)
        if timeouts == .precise {
            let result = System.once {
                unsafe penstock_epoll_wait_precise(poller, events, count, nanoseconds)
            }
            // Old kernels do not know the call; old seccomp profiles forbid what they do not know.
            guard result == -Int(ENOSYS) || result == -Int(EPERM) else { return result }
            timeouts = .coarse
        }
        let whole = Duration(nanoseconds: nanoseconds).millisecondsRoundedUp
        let milliseconds = nanoseconds < 0 ? -1 : Int32(clamping: whole)
        return System.once { unsafe penstock_epoll_wait(poller, events, count, milliseconds) }
    }
}

@available(*, unavailable)
extension Poller: Sendable {}
