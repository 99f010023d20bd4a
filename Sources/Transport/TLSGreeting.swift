// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units

/// A client's connection during its TLS handshake: afterwards its channel goes to whatever speaks
/// the protocol that both sides agreed to.
///
/// The owner says when a step is taken, because a step costs up to milliseconds of a key's
/// arithmetic: a `ready` only notes that there is one to take.
public final class TLSGreeting {
    /// What a step came to.
    public enum Outcome: Sendable, Equatable {
        /// The poller will tell when there is another step to take.
        case waiting
        /// `takeChannel` has it.
        case done
        /// The connection is over: `close` it.
        case failed(TLSFault)
    }

    /// What a client gets that speaks HTTP in clear at a door of TLS.
    private static let refusal: StaticString = """
        {"error": {"message": "This port speaks TLS: the URL has to begin with https.", \
        "type": "invalid_request_error", "param": null, "code": "bad_request"}}
        """

    public let key: SlabKey
    public let door: Int
    /// The other end.
    public let peer: SocketAddress
    private let loop: Loop
    private let token: Token
    private let descriptor: Int32
    /// Until the client has sent something there is nothing but the socket.
    private var socket: Socket?
    private var channel: Channel?
    private var interest = Interest.read + .peerClosed
    private var deadline = LazyDeadline()
    private var isWaitingForStep = false
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
        try loop.poller.add(descriptor, interest, token)
        deadline.set(loop.now + timeout, token, loop)
    }

    /// There is a step to take: true when that was not known before.
    public func ready() -> Bool {
        guard !isWaitingForStep else { return false }
        isWaitingForStep = true
        // Until it is taken the poller need not tell again.
        settle(Interest(rawValue: 0))
        return true
    }

    /// The wheel fired this greeting's token: whether its time is over.
    public func timerFired() -> Bool { deadline.fired(token, loop) }

    /// No later than then.
    public func hurry(by latest: Instant) {
        deadline.set(min(deadline.current, latest), token, loop)
    }

    /// Takes one step; with the first one the session is made of what `context` gives.
    public func step(_ context: () -> TLSServerContext?) -> Outcome {
        isWaitingForStep = false
        if let socket = socket.take() {
            guard let context = context() else { return .failed(.broken("no certificate")) }
            do throws(TLSFault) {
                channel = try Channel(socket, accepting: context)
            } catch {
                return .failed(error)
            }
        }
        switch channel?.handshake() ?? .done {
        case .done: return .done
        case .wantsRead: settle(.read + .peerClosed)
        case .wantsWrite: settle(.write + .peerClosed)
        case .failed(let fault):
            if fault == .plainHTTP { refuse() }
            return .failed(fault)
        }
        return .waiting
    }

    /// The channel, no longer with the poller; to be asked for once, after `done`.
    public func takeChannel() -> Channel? {
        leaveLoop()
        return channel.take()
    }

    /// Ends the connection.
    public func close() {
        leaveLoop()
        socket = nil
        channel = nil
    }

    private func leaveLoop() {
        deadline.cancel(loop)
        guard isRegistered else { return }
        isRegistered = false
        loop.poller.remove(descriptor)
    }

    private func refuse() {
        var answer = ByteBuffer()
        answer.append("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")
        unsafe answer.append(loop.dateLine)
        answer.append("Content-Length: ")
        answer.append(decimal: Self.refusal.utf8CodeUnitCount)
        answer.append("\r\nConnection: close\r\n\r\n")
        answer.append(Self.refusal)
        // A fresh socket takes all of it.
        _ = unsafe channel?.sendInClear(answer.readable)
        // What is unread at the close would reset the connection before the answer is read.
        unsafe channel?.endInClear(loop.scratch)
    }

    private func settle(_ wanted: Interest) {
        guard wanted != interest else { return }
        interest = wanted
        try? loop.poller.change(descriptor, wanted, token)
    }
}

@available(*, unavailable)
extension TLSGreeting: Sendable {}
