// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// A client's connection of either protocol, as its owner keeps it.
public enum ServerConnection {
    case http1(HTTP1ServerConnection)
    case http2(HTTP2ServerConnection)

    /// The descriptor is ready.
    public func ready(_ readiness: Readiness) {
        switch self {
        case .http1(let connection): connection.ready(readiness)
        case .http2(let connection): connection.ready(readiness)
        }
    }

    /// The wheel fired this connection's token.
    public func timerFired() {
        switch self {
        case .http1(let connection): connection.timerFired()
        case .http2(let connection): connection.timerFired()
        }
    }

    /// Who is at the other end, as `identify` was told.
    public var peer: ClientPeer? {
        switch self {
        case .http1(let connection): connection.peer
        case .http2(let connection): connection.peer
        }
    }

    /// Who is at the other end, which whoever owns it knows.
    public func identify(_ peer: ClientPeer) {
        switch self {
        case .http1(let connection): connection.peer = peer
        case .http2(let connection): connection.peer = peer
        }
    }

    /// No further request after those that are under way.
    public func closeAfterAnswer() {
        switch self {
        case .http1(let connection): connection.closeAfterAnswer()
        case .http2(let connection): connection.closeAfterAnswers()
        }
    }

    /// Cuts what is under way, and closes.
    public func abort() {
        switch self {
        case .http1(let connection): connection.abort()
        case .http2(let connection): connection.abort()
        }
    }

    /// Hands to the kernel what it takes.
    func transmit() {
        switch self {
        case .http1(let connection): connection.transmit()
        case .http2(let connection): connection.transmit()
        }
    }
}

@available(*, unavailable)
extension ServerConnection: Sendable {}
