// SPDX-License-Identifier: Apache-2.0

package import EventLoop
package import Units

/// What the connections of one thread share: poller, timers, the turn's time, and one read buffer.
///
/// Owned by one thread and never handed to another.
@safe
package final class Loop {
    /// What a connection that is at work holds at least.
    static let blockSize = 8_192

    package let poller: Poller
    private var wheel: TimerWheel
    private var current: Instant
    private var wallOffset: Int64
    private var fired: [Token] = []
    private var buffers = BufferPool(blockSize: Loop.blockSize, limit: 256)
    private var date = HTTPDate()
    private let writing: Writing
    private var unwrittenServers: [HTTP1ServerConnection] = []
    private var unwrittenClients: [HTTP1ClientConnection] = []
    /// Where engines' answers are read into, to be passed on within the same turn.
    let scratch: UnsafeMutableRawBufferPointer

    /// When connections hand to the kernel what was written.
    package enum Writing: Sendable {
        /// With each flush.
        case atOnce
        /// At the end of the turn, all connections one after the other: what many events of one
        /// turn brought leaves in a row, and the other side's threads are woken once for many.
        /// The owner calls `nextUnwrittenServer` and `nextUnwrittenClient` until they give nothing.
        case atTurnsEnd
    }

    /// At most `timers` deadlines at once. `scratch` is the most that one read brings of an answer:
    /// it comes on top of a full stream buffer, and both together should stay below a power of two.
    package init(
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
    package var now: Instant { current }
    /// The same on the wall clock.
    package var wall: WallTime {
        WallTime(nanoseconds: wallOffset &+ Int64(current.nanoseconds))
    }

    /// Sleeps until something is ready or due, reads the clock, and says how many events there are.
    package func wait(atMost limit: Duration? = nil) throws(SystemFault) -> Int {
        var deadline = wheel.nextDeadline
        if let limit {
            let latest = current + limit
            deadline = deadline.map { min($0, latest) } ?? latest
        }
        let ready = try poller.wait(until: deadline, now: current)
        current = MonotonicClock.now()
        wallOffset = WallClock.now().nanoseconds &- Int64(current.nanoseconds)
        return ready
    }

    /// The tokens whose deadlines have passed, each once. Valid until the next call.
    package func dueTimers() -> [Token] {
        fired.removeAll(keepingCapacity: true)
        wheel.expire(now: current, into: &fired)
        return fired
    }

    /// Whether a flush waits for the turn's end.
    var defersWrites: Bool { writing == .atTurnsEnd }
    func enqueue(_ connection: HTTP1ServerConnection) { unwrittenServers.append(connection) }
    func enqueue(_ connection: HTTP1ClientConnection) { unwrittenClients.append(connection) }

    /// Writes for one more client's connection, which is then to be driven; nil when none is left.
    package func nextUnwrittenServer() -> HTTP1ServerConnection? {
        guard let connection = unwrittenServers.popLast() else { return nil }
        connection.transmit()
        return connection
    }

    /// Writes for one more engine's connection, which is then to be driven; nil when none is left.
    package func nextUnwrittenClient() -> HTTP1ClientConnection? {
        guard let connection = unwrittenClients.popLast() else { return nil }
        connection.transmit()
        return connection
    }

    /// An empty buffer with a block of room, to be given back.
    func lend() -> ByteBuffer { buffers.lend() }
    func takeBack(_ buffer: inout ByteBuffer) { buffers.takeBack(&buffer) }
    /// The `Date` field of this second.
    var dateLine: UnsafeRawBufferPointer { unsafe date.line(wall) }

    package func schedule(_ token: Token, at deadline: Instant) -> TimerKey? {
        wheel.schedule(token, at: deadline)
    }

    package func cancel(_ key: TimerKey) { wheel.cancel(key) }
}

@available(*, unavailable)
extension Loop: Sendable {}

/// A deadline that moves often and is seldom reached: the wheel is touched only when it moves
/// closer.
package struct LazyDeadline {
    private var key: TimerKey?
    private var armed = Instant.distantFuture
    private var deadline = Instant.distantFuture

    package init() {}

    /// The deadline that counts.
    package var current: Instant { deadline }

    /// Sets the deadline; `distantFuture` switches it off.
    package mutating func set(_ instant: Instant, _ token: Token, _ loop: Loop) {
        deadline = instant
        if instant < armed { arm(token, loop) }
    }

    /// To be called when the wheel fires the token: true when the deadline has really passed.
    package mutating func fired(_ token: Token, _ loop: Loop) -> Bool {
        key = nil
        armed = .distantFuture
        if deadline <= loop.now {
            deadline = .distantFuture
            return true
        }
        if deadline != .distantFuture { arm(token, loop) }
        return false
    }

    package mutating func cancel(_ loop: Loop) {
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
