// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// A byte stream to a peer, in clear or through TLS: all that HTTP/1.1 and HTTP/2 know of either.
///
/// In clear each call is one test more than the socket's own. With TLS a socket that is not
/// readable may still have something: while `hasBuffered` says so, and there is room, the driver
/// receives from `.buffer` before it waits for the poller. Bytes that `send` did not take have to
/// be offered again as they were, with more behind them or not, since half a record may be out.
public struct Channel: ~Copyable {
    private let socket: Socket
    private let session: TLSSession?

    /// In clear.
    public init(_ socket: consuming Socket) {
        self.socket = socket
        session = nil
    }

    /// The server's side of TLS; `handshake` makes it one.
    public init(
        _ socket: consuming Socket, accepting context: TLSServerContext
    ) throws(TLSFault) {
        let descriptor = socket.descriptor
        self.socket = socket
        session = try TLSSession(accepting: context, descriptor)
    }

    /// The client's side of TLS with a server that has to be `name`, a host's name or an IP
    /// literal; `handshake` makes it one, once the socket is connected.
    public init(
        _ socket: consuming Socket, connecting context: TLSClientContext, to name: String
    ) throws(TLSFault) {
        let descriptor = socket.descriptor
        self.socket = socket
        session = try TLSSession(connecting: context, to: name, descriptor)
    }

    /// Stays the same for the life of the channel; for registration with a `Poller` only.
    public var descriptor: Int32 { socket.descriptor }
    /// TLS, and not in clear.
    public var isSecure: Bool { session != nil }

    // MARK: the handshake

    /// Goes on with the handshake as far as what has come goes; in clear there is none to make.
    public borrowing func handshake() -> Handshake { session?.handshake() ?? .done }

    /// What both sides agreed to speak (ALPN, RFC 7301); nil where nothing was said of it.
    public var applicationProtocol: ApplicationProtocol? { session?.applicationProtocol }

    /// What the peer's verified certificate calls it: its alternative names, or, where it has
    /// none, its common name. Empty where it showed none. Not cheap: ask once.
    public borrowing func peerNames() -> [String] { session?.peerNames() ?? [] }

    // MARK: bytes

    /// Where bytes are to come from.
    public enum Source: Sendable {
        /// Received at most once, and what is here already.
        case kernel
        /// What is here already, with TLS.
        case buffer
    }

    /// Reads into a buffer that must not be empty.
    public borrowing func receive(
        _ into: UnsafeMutableRawBufferPointer, from source: Source = .kernel
    ) -> Transfer {
        guard let session else { return unsafe socket.receive(into) }
        return unsafe session.receive(into, from: source)
    }

    /// Something may be had without the kernel: bytes, an end or a failure.
    public var hasBuffered: Bool { session?.hasBuffered ?? false }

    /// Sends as much as the kernel takes now.
    public borrowing func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        guard let session else { return unsafe socket.send(bytes) }
        return unsafe session.send(bytes)
    }

    /// Sends two pieces as if they were one.
    public borrowing func send(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Transfer {
        guard let session else { return unsafe socket.send(first, second) }
        let sent = unsafe session.send(first)
        guard sent == .bytes(first.count), unsafe !second.isEmpty else { return sent }
        guard case .bytes(let more) = unsafe session.send(second) else { return sent }
        return .bytes(first.count + more)
    }

    // MARK: ends

    /// Tells the peer that nothing follows, where TLS has a word for it. Without it a peer takes
    /// the end for a cut.
    public borrowing func sayGoodbye() { session?.sayGoodbye() }

    /// Sends the end of the stream after what was sent; receiving goes on.
    public borrowing func shutdownWrite() {
        session?.sayGoodbye()
        socket.shutdownWrite()
    }

    /// From now on closing discards what is unsent and resets the connection.
    public borrowing func resetOnClose() { socket.resetOnClose() }

    /// As `Socket.connectOutcome`.
    public borrowing func connectOutcome() -> SystemFault? { socket.connectOutcome() }

    /// As `Socket.unsentBytes`.
    public borrowing func unsentBytes() -> Int? { socket.unsentBytes() }

    /// Bytes on the wire that the peer has never acknowledged; nil where that cannot be known.
    public borrowing func unacknowledgedBytes() -> Int? { socket.unacknowledgedBytes() }

    /// Words in clear to a peer that does not speak TLS.
    borrowing func sendInClear(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        unsafe socket.send(bytes)
    }

    /// The end of them: what is here of the peer's is read away once, into `scratch`.
    borrowing func endInClear(_ scratch: UnsafeMutableRawBufferPointer) {
        socket.shutdownWrite()
        _ = unsafe socket.receive(scratch)
    }
}

/// Where a handshake stands.
public enum Handshake: Sendable, Equatable {
    case done
    /// Until the socket is readable.
    case wantsRead
    /// Until the socket is writable.
    case wantsWrite
    case failed(TLSFault)
}

/// What is spoken over a channel, by the names of RFC 7301's registry.
public enum ApplicationProtocol: String, Sendable, CaseIterable {
    case http1 = "http/1.1"
    case http2 = "h2"
}
