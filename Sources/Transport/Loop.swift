// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units

/// What the connections of one thread share: poller, timers, the turn's time, and one read buffer.
///
/// Owned by one thread and never handed to another.
@safe
public final class Loop {
    /// What a connection that is at work holds at least.
    static let blockSize = 8_192

    /// Where the owner registers descriptors of its own.
    public let poller: Poller
    private var wheel: TimerWheel
    private var current: Instant
    private var wallOffset: Int64
    private var fired: [Token] = []
    private var buffers = BufferPool(blockSize: Loop.blockSize, limit: 256)
    private var date = HTTPDate()
    private let writing: Writing
    private var unwrittenServers: [ServerConnection] = []
    private var unwrittenClients: [ClientConnection] = []
    /// Requests that may go out before engines are looked at again.
    private var unlooked = 0
    /// More was ready than one look shows: each connection is read before its request goes out.
    private var isBlind = false
    /// So many requests go out after one look: some 30 µs.
    private static let writesPerLook = 8
    /// Where engines' answers are read into, to be passed on within the same turn.
    let scratch: UnsafeMutableRawBufferPointer

    /// When connections hand to the kernel what was written.
    public enum Writing: Sendable {
        /// With each flush.
        case atOnce
        /// At the end of the turn, all connections one after the other: what many events of one
        /// turn brought leaves in a row, and the other side's threads are woken once for many.
        /// The owner calls `nextUnwrittenServer` and `nextUnwrittenClient` until they give nothing,
        /// and before each step looks for what engines have sent meanwhile where `mustLook` says
        /// so.
        case atTurnsEnd
    }

    /// At most `timers` deadlines at once. `scratch` is the most that one read brings of an answer:
    /// it comes on top of a full stream buffer, and both together should stay below a power of two.
    public init(
        timers: Int, scratch scratchSize: Bytes = .kibi(32), writing: Writing = .atOnce
    ) throws(SystemFault) {
        self.writing = writing
        poller = try Poller()
        current = MonotonicClock.now()
        wheel = TimerWheel(now: current, limit: timers)
        wallOffset = WallClock.now().nanoseconds &- Int64(current.nanoseconds)
        unsafe scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: scratchSize.count, alignment: 64)
    }

    deinit { unsafe scratch.deallocate() }

    /// The time at which this turn began.
    public var now: Instant { current }
    /// The same on the wall clock.
    public var wall: WallTime {
        WallTime(nanoseconds: wallOffset &+ Int64(current.nanoseconds))
    }

    /// Sleeps until something is ready or due, reads the clock, and says how many events there are.
    public func wait(atMost limit: Duration? = nil) throws(SystemFault) -> Int {
        var deadline = wheel.nextDeadline
        if let limit {
            let latest = current + limit
            deadline = deadline.map { min($0, latest) } ?? latest
        }
        let ready = try poller.wait(until: deadline, now: current)
        unlooked = 0
        current = MonotonicClock.now()
        wallOffset = WallClock.now().nanoseconds &- Int64(current.nanoseconds)
        return ready
    }

    /// The tokens whose deadlines have passed, each once. Valid until the next call.
    public func dueTimers() -> [Token] {
        fired.removeAll(keepingCapacity: true)
        wheel.expire(now: current, into: &fired)
        return fired
    }

    /// Whether a flush waits for the turn's end.
    var defersWrites: Bool { writing == .atTurnsEnd }
    func enqueue(_ connection: ServerConnection) { unwrittenServers.append(connection) }
    func enqueue(_ connection: ClientConnection) { unwrittenClients.append(connection) }

    /// Whether requests wait to be sent, and it is a while ago that engines were listened to.
    ///
    /// A byte that nobody asked for must not pass for the beginning of the answer to what is asked
    /// next: what a kept connection brings before its next request goes out has to be read before.
    /// One look for several requests costs less than a read for each.
    public var mustLook: Bool { unlooked == 0 && !unwrittenClients.isEmpty }

    /// What is ready now, without waiting: engines' connections are to be driven as after `wait`,
    /// of all else the next turn tells again.
    public func look() throws(SystemFault) -> Int {
        unlooked = Self.writesPerLook
        let ready = try poller.wait(until: current, now: current)
        isBlind = ready == poller.batch
        return ready
    }

    /// Writes for one more client's connection, which is then to be driven; nil when none is left.
    public func nextUnwrittenServer() -> ServerConnection? {
        guard let connection = unwrittenServers.popLast() else { return nil }
        connection.transmit()
        return connection
    }

    /// Writes for one more engine's connection, which is then to be driven; nil when none is left.
    public func nextUnwrittenClient() -> ClientConnection? {
        guard let connection = unwrittenClients.popLast() else { return nil }
        unlooked = max(0, unlooked - 1)
        connection.transmitFirst(checking: isBlind)
        return connection
    }

    /// An empty buffer with a block of room, to be given back.
    func lend() -> ByteBuffer { buffers.lend() }
    func takeBack(_ buffer: inout ByteBuffer) { buffers.takeBack(&buffer) }
    /// The `Date` field of this second.
    var dateLine: UnsafeRawBufferPointer { unsafe date.line(wall) }

    /// Lets `dueTimers` give `token` once `deadline` has come; nil when there are too many already.
    public func schedule(_ token: Token, at deadline: Instant) -> TimerKey? {
        wheel.schedule(token, at: deadline)
    }

    /// Forgets a timer, unless it has fired.
    public func cancel(_ key: TimerKey) { wheel.cancel(key) }
}

@available(*, unavailable)
extension Loop: Sendable {}

/// A deadline that moves often and is seldom reached: the wheel is touched only when it moves
/// closer.
public struct LazyDeadline {
    private var key: TimerKey?
    private var armed = Instant.distantFuture
    private var deadline = Instant.distantFuture

    /// Switched off.
    public init() {}

    /// The deadline that counts.
    public var current: Instant { deadline }

    /// Sets the deadline; `distantFuture` switches it off.
    public mutating func set(_ instant: Instant, _ token: Token, _ loop: Loop) {
        deadline = instant
        if instant < armed { arm(token, loop) }
    }

    /// To be called when the wheel fires the token: true when the deadline has really passed.
    public mutating func fired(_ token: Token, _ loop: Loop) -> Bool {
        key = nil
        armed = .distantFuture
        if deadline <= loop.now {
            deadline = .distantFuture
            return true
        }
        if deadline != .distantFuture { arm(token, loop) }
        return false
    }

    /// Switches it off, and takes it out of the wheel.
    public mutating func cancel(_ loop: Loop) {
        if let key { loop.cancel(key) }
        key = nil
        armed = .distantFuture
        deadline = .distantFuture
    }

    private mutating func arm(_ token: Token, _ loop: Loop) {
        if let key { loop.cancel(key) }
        key = loop.schedule(token, at: deadline)
        armed = key == nil ? .distantFuture : deadline
    }
}
