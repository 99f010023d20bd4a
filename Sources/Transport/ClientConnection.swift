// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// An engine's connection of either protocol, as its owner keeps it.
public enum ClientConnection {
    case http1(HTTP1ClientConnection)
    case http2(HTTP2ClientConnection)

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

    /// Ends the connection at once; the engine learns of it.
    public func close() {
        switch self {
        case .http1(let connection): connection.close()
        case .http2(let connection): connection.close()
        }
    }

    func transmitFirst(checking: Bool) {
        switch self {
        case .http1(let connection): connection.transmitFirst(checking: checking)
        case .http2(let connection): connection.transmit()
        }
    }
}

@available(*, unavailable)
extension ClientConnection: Sendable {}
