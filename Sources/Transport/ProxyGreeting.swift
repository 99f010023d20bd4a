// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units
public import Wire

/// A connection from a proxy that is to say first whose it is: afterwards its socket goes on as if
/// the client itself had connected. Not one byte behind the header is taken.
public final class ProxyGreeting {
    /// What the bytes so far came to.
    public enum Outcome: Sendable, Equatable {
        case waiting
        /// `takeSocket` has it.
        case done(ProxyHeader)
        /// The connection is over: `close` it.
        case failed
    }

    public let key: SlabKey
    public let door: Int
    /// The proxy.
    public let peer: SocketAddress
    private let loop: Loop
    private let token: Token
    private let descriptor: Int32
    private var socket: Socket?
    private var received = ByteBuffer()
    private var deadline = LazyDeadline()
    private var isRegistered = true

    /// Registers with the loop's poller.
    public init(
        key: SlabKey, door: Int, token: Token, socket: consuming Socket, peer: SocketAddress,
        timeout: Duration, loop: Loop
    ) throws(SystemFault) {
        self.key = key
        self.door = door
        self.token = token
        self.loop = loop
        self.peer = peer
        descriptor = socket.descriptor
        self.socket = consume socket
        try loop.poller.add(descriptor, .read + .peerClosed, token)
        deadline.set(loop.now + timeout, token, loop)
    }

    /// The descriptor is ready: reads on.
    ///
    /// What is there is looked at before it is taken. As long as the header is not whole all of it
    /// is the header's; once it is, only its own bytes are taken.
    public func ready() -> Outcome {
        let before = received.count
        let room = unsafe received.room(ProxyHeader.limit + 1 - before)
        switch unsafe socket?.peek(room) ?? .closed {
        case .bytes(let count):
            received.wrote(count)
            return read(count, behind: before)
        case .wouldBlock: return .waiting
        case .closed, .failed: return .failed
        }
    }

    private func read(_ count: Int, behind before: Int) -> Outcome {
        do throws(ProxyHeader.Fault) {
            if let (header, length) = try unsafe ProxyHeader.parse(received.readable.bytes) {
                return take(length - before) ? .done(header) : .failed
            }
        } catch {
            return .failed
        }
        // A parser that wants more than the limit has refused it before.
        return take(count) ? .waiting : .failed
    }

    /// Takes bytes that were looked at before.
    private func take(_ count: Int) -> Bool {
        unsafe socket?.receive(UnsafeMutableRawBufferPointer(rebasing: loop.scratch[..<count]))
            == .bytes(count)
    }

    /// The wheel fired this greeting's token: whether its time is over.
    public func timerFired() -> Bool { deadline.fired(token, loop) }

    /// No later than then.
    public func hurry(by latest: Instant) {
        deadline.set(min(deadline.current, latest), token, loop)
    }

    /// The socket, no longer with the poller; to be asked for once, after `done`.
    public func takeSocket() -> Socket? {
        leaveLoop()
        received.release()
        return socket.take()
    }

    /// Ends the connection.
    public func close() {
        leaveLoop()
        socket = nil
    }

    private func leaveLoop() {
        deadline.cancel(loop)
        guard isRegistered else { return }
        isRegistered = false
        loop.poller.remove(descriptor)
    }
}

@available(*, unavailable)
extension ProxyGreeting: Sendable {}
