// SPDX-License-Identifier: Apache-2.0

public import EventLoop
import HTTP2
public import Units
import Wire

/// What an engine's HTTP/2 connection has to say. Ask until `.none`, after it was driven and after
/// the owner has done something to one of its streams from outside of their events.
public enum HTTP2ClientEvent {
    case none
    /// This stream may have something to say: ask it until it has not.
    case stream(HTTP2ClientStream)
    /// The connection is over: drop it.
    case closed
}

/// An HTTP/2 connection to an engine: many requests at once, each a `ClientStream`. In clear by
/// prior knowledge, through TLS where the engine agrees to it (ALPN).
///
/// What an engine sends on a stream that is paused is held up to the stream's window, and then the
/// engine has to wait: the others go on.
public final class HTTP2ClientConnection {
    private enum Phase {
        /// The handshakes are under way; → open, closed.
        case connecting
        case open
        case closed
    }

    /// Frames are made as long as less than this waits for the kernel.
    private static let outputLimit = 262_144
    /// Reads of one turn.
    private static let readsPerTurn = 4

    /// Under which the owner has it.
    public let key: SlabKey
    /// Which of the owner's destinations it leads to.
    public let destination: Int
    private let session: HTTP2Session
    private let loop: Loop
    private let token: Token
    private let limits: ClientLimits
    private let descriptor: Int32
    private var channel: Channel?
    private var interest = Interest.read + .write + .peerClosed
    /// Until it is connected.
    private var connecting = Interest.read + .write
    /// The kernel has connected; TLS may not have shaken hands.
    private var isConnected = false
    private let isSecure: Bool
    private var phase = Phase.connecting
    private var streams: [Int32: HTTP2ClientStream] = [:]
    private var fresh: [HTTP2ClientStream] = []
    private var output = ByteBuffer()
    private var deadline = LazyDeadline()
    private var idleSince: Instant
    private var isUnwritten = false
    private var isBlocked = false
    private var isExpired = false
    private var isClosedTold = false
    private var hasAnswered = false
    private var failure: ClientFault?

    /// Begins to connect, through TLS where `security` says with whom, and registers with the
    /// loop's poller. Its context has to offer HTTP/2 alone.
    public init(
        key: SlabKey, destination: Int, token: Token, address: SocketAddress,
        security: ClientSecurity = .none, limits: ClientLimits, loop: Loop
    ) throws(SystemFault) {
        self.key = key
        self.destination = destination
        self.loop = loop
        self.token = token
        self.limits = limits
        let socket = try Socket.connect(to: address)
        socket.setReceiveBuffer(limits.kernelBuffer)
        descriptor = socket.descriptor
        if case .tls = security { isSecure = true } else { isSecure = false }
        channel = try security.open(socket)
        session = HTTP2Session(isServer: false, limits: limits.http2, now: loop.now)
        idleSince = loop.now
        try loop.poller.add(descriptor, interest, token)
        deadline.set(loop.now + limits.connectTimeout, token, loop)
    }

    // MARK: streams

    /// Another request may go over it now.
    public var hasRoom: Bool { phase != .closed && failure == nil && session.mayRequest }
    /// No request is under way.
    public var isIdle: Bool { streams.isEmpty && fresh.isEmpty }

    /// A stream for one request.
    public func stream() -> HTTP2ClientStream { HTTP2ClientStream(of: self, wasUsed: hasAnswered) }

    func request(
        _ stream: HTTP2ClientStream, method: Method, target: UnsafeRawBufferPointer,
        authority: String, fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) -> HTTP2StreamState? {
        let state =
            unsafe hasRoom
            ? session.request(
                method: method, scheme: isSecure ? "https" : "http", authority: authority,
                target: target,
                lines: fields.readable, body: body) : nil
        guard let state else {
            fresh.append(stream)
            return nil
        }
        streams[state.id] = stream
        flush()
        return state
    }

    func take(_ count: Int, of state: HTTP2StreamState) {
        session.take(count, of: state)
        flush()
    }

    /// Its answer was read whole.
    func finished(_ state: HTTP2StreamState) {
        hasAnswered = true
        give(up: state)
    }

    /// Nothing more of it is wanted.
    func give(up state: HTTP2StreamState) {
        session.dropInput(of: state)
        streams.removeValue(forKey: state.id)
        if state.closeCode == nil {
            session.cancel(state)
            flush()
        }
        if streams.isEmpty {
            idleSince = loop.now
            expect(by: loop.now + limits.idleTimeout)
        }
    }

    /// Its owner reads on: it is asked again in this turn.
    func wake(_ state: HTTP2StreamState) {
        session.note(state)
        flush()
    }

    /// Why nothing more comes.
    var fault: ClientFault? { failure }
    /// The last stream that the engine serves, once it has said so.
    var lastServed: Int32? { session.peerLast }

    // MARK: driving

    /// The descriptor is ready.
    public func ready(_ readiness: Readiness) {
        if phase == .connecting { finishConnecting(readiness) }
        guard phase == .open, failure == nil else { return }
        if readiness.has(.writable) {
            isBlocked = false
            transmit()
        }
        if readiness.has(.input) { receive(from: .kernel, times: Self.readsPerTurn) }
    }

    /// The wheel fired this connection's token.
    public func timerFired() {
        if deadline.fired(token, loop) { isExpired = true }
    }

    private func finishConnecting(_ readiness: Readiness) {
        if !isConnected {
            if let fault = channel?.connectOutcome() { return fail(.connect(fault)) }
            guard readiness.has(.writable) else { return }
            isConnected = true
        }
        switch channel?.handshake() ?? .done {
        case .done: break
        case .wantsRead:
            connecting = .read
            return
        case .wantsWrite:
            connecting = .write
            return
        case .failed(let fault): return fail(.tls(fault))
        }
        // RFC 9113 section 3.2: what was not agreed to is not spoken.
        if isSecure, channel?.applicationProtocol != .http2 {
            return fail(.tls(.broken("the engine did not agree to HTTP/2")))
        }
        phase = .open
        deadline.set(loop.now + limits.idleTimeout, token, loop)
        transmit()
    }

    /// Takes what TLS holds already, of which the poller does not tell; false where that is
    /// nothing. Flow control bounds it.
    private func takesBuffered() -> Bool {
        guard phase == .open, failure == nil, channel?.hasBuffered ?? false else { return false }
        receive(from: .buffer, times: 1)
        return true
    }

    private func receive(from source: Channel.Source, times: Int) {
        for _ in 0..<times {
            switch unsafe channel?.receive(loop.scratch, from: source) ?? .closed {
            case .bytes(let count):
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: loop.scratch[..<count])
                unsafe session.receive(bytes, now: loop.now)
                if unsafe count < loop.scratch.count { return flush() }
            case .wouldBlock: return flush()
            case .closed: return fail(.closedEarly)
            case .failed: return fail(.reset)
            }
        }
        flush()
    }

    private func fail(_ fault: ClientFault) {
        if failure == nil { failure = fault }
    }

    /// The next thing that happened; `.none` when the connection waits.
    public func next() -> HTTP2ClientEvent {
        while true {
            let event = told()
            if case .none = event, takesBuffered() { continue }
            if case .none = event { settleInterest() }
            return event
        }
    }

    private func told() -> HTTP2ClientEvent {
        guard phase != .closed else { return tellClosed() }
        if isExpired {
            isExpired = false
            expire()
        }
        if let stream = fresh.popLast() { return .stream(stream) }
        while let news = session.nextNews() {
            if let stream = streams[news.id] { return .stream(stream) }
        }
        if session.isTerminated { fail(.unexpectedBytes) }
        if failure != nil, let stream = streams.values.first { return .stream(stream) }
        if failure != nil || session.hasEnded { close() }
        return phase == .closed ? tellClosed() : .none
    }

    private func tellClosed() -> HTTP2ClientEvent {
        if isClosedTold { return .none }
        isClosedTold = true
        return .closed
    }

    private func expire() {
        if phase == .connecting { return fail(.connectTimeout) }
        if isIdle, idleSince + limits.idleTimeout <= loop.now {
            session.close()
            transmit()
            channel?.sayGoodbye()
            return close()
        }
        expect(by: loop.now + limits.idleTimeout)
    }

    private func expect(by instant: Instant) {
        guard phase == .open, instant < deadline.current else { return }
        deadline.set(instant, token, loop)
    }

    // MARK: sending

    private func flush() {
        guard loop.defersWrites else { return transmit() }
        guard !isUnwritten, phase != .closed else { return }
        isUnwritten = true
        loop.enqueue(.http2(self))
    }

    /// Hands to the kernel what it takes.
    func transmit() {
        isUnwritten = false
        while phase == .open, failure == nil, !isBlocked {
            if output.capacity == 0 { output = loop.lend() }
            session.produce(into: &output, limit: Self.outputLimit, now: loop.now)
            guard !output.isEmpty else { return loop.takeBack(&output) }
            switch unsafe channel?.send(output.readable) ?? .closed {
            case .bytes(let count):
                output.consume(count)
                isBlocked = !output.isEmpty
            case .wouldBlock: isBlocked = true
            case .closed, .failed: fail(.reset)
            }
        }
    }

    /// Ends the connection at once; the engine learns of it.
    public func close() {
        guard phase != .closed else { return }
        phase = .closed
        deadline.cancel(loop)
        loop.poller.remove(descriptor)
        channel = nil
        streams.removeAll()
        loop.takeBack(&output)
    }

    private func settleInterest() {
        guard phase != .closed else { return }
        var wanted = phase == .connecting ? connecting + .peerClosed : .read + .peerClosed
        if isBlocked { wanted = wanted + .write }
        guard wanted != interest else { return }
        interest = wanted
        // A change takes no memory: there is nothing that could fail.
        try? loop.poller.change(descriptor, wanted, token)
    }
}

@available(*, unavailable)
extension HTTP2ClientConnection: Sendable {}
