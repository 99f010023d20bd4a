// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
public import Units

/// What a descriptor is ready for. A hang-up and a failure are reported whether asked for or not.
///
/// The values are those of Linux's epoll (a test compares them with the C constants); they stand
/// here as numbers so that the optimiser sees through them in other modules.
@frozen
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var readable: Readiness { Readiness(rawValue: 0x001) }
    @inlinable public static var writable: Readiness { Readiness(rawValue: 0x004) }
    /// The peer has shut down its sending side; bytes may still be waiting (EPOLLRDHUP).
    @inlinable public static var peerClosed: Readiness { Readiness(rawValue: 0x2000) }
    /// Both directions are shut down, or the connection was reset (EPOLLHUP).
    @inlinable public static var hungUp: Readiness { Readiness(rawValue: 0x010) }
    /// An error is pending on the descriptor (EPOLLERR).
    @inlinable public static var failed: Readiness { Readiness(rawValue: 0x008) }
    /// Reading will tell something: bytes, an end, or a failure.
    @inlinable public static var input: Readiness { Readiness(rawValue: 0x2019) }
    /// The connection is broken or over in both directions.
    @inlinable public static var broken: Readiness { Readiness(rawValue: 0x018) }

    /// Whether anything of `other` is in it.
    @inlinable
    public func has(_ other: Readiness) -> Bool { rawValue & other.rawValue != 0 }
}

/// What a registration asks for.
@frozen
public struct Interest: OptionSet, Sendable {
    public var rawValue: UInt32
    @inlinable
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static var read: Interest { Interest(rawValue: 0x001) }
    @inlinable public static var write: Interest { Interest(rawValue: 0x004) }
    /// That the peer has sent its last byte, without reading up to it (EPOLLRDHUP).
    @inlinable public static var peerClosed: Interest { Interest(rawValue: 0x2000) }

    /// Both together.
    @inlinable
    public static func + (left: Interest, right: Interest) -> Interest {
        Interest(rawValue: left.rawValue | right.rawValue)
    }
}

/// Level-triggered epoll of one thread: says which registrations are ready, calls nobody.
///
/// A descriptor is removed before it is closed. An event of the same batch that was taken before
/// still comes, with a token whose key finds nothing.
@safe
public final class Poller {
    private let descriptor: Descriptor
    private let events: UnsafeMutablePointer<epoll_event>
    /// Events that one wait gives at most.
    public let batch: Int
    private var ready = 0
    private var timeouts: Timeouts

    /// How exactly the kernel can wait.
    public enum Timeouts: Sendable {
        /// epoll_pwait2, Linux 5.11: nanoseconds. Where it is missing, `coarse` takes its place.
        case precise
        /// epoll_wait: milliseconds, rounded up.
        case coarse
    }

    /// Takes at most `batch` events in one wait; the rest come with the next.
    public init(batch: Int = 512, timeouts: Timeouts = .precise) throws(SystemFault) {
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
    public func add(
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
    public func change(
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
    public func remove(_ descriptor: Int32) {
        let poller = self.descriptor.raw
        let result = System.once { penstock_epoll_remove(poller, descriptor) }
        invariant(result >= 0, "only a registered descriptor is removed")
    }

    /// Waits until something is ready or `deadline`; how many events there are then.
    ///
    /// Without a deadline it waits for ever; one that is not after `now` polls. It may give 0
    /// before the deadline: when interrupted, and without epoll_pwait2 after 24 days.
    public func wait(until deadline: Instant?, now: Instant) throws(SystemFault) -> Int {
        ready = 0
        let result = waitOnce(Poller.timeout(until: deadline, now: now))
        if result == -Int(EINTR) { return 0 }
        ready = try System.check(result)
        return ready
    }

    /// The event at `index` below what `wait` returned last.
    public func event(_ index: Int) -> (token: Token, readiness: Readiness) {
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
