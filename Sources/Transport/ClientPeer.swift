// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// Who is at the other end of a client's connection, as far as that is known.
public final class ClientPeer: Sendable {
    /// Where the client is; nil for Unix sockets.
    public let address: SocketAddress?
    /// What its verified certificate calls it; empty where it showed none.
    public let names: [String]

    public init(address: SocketAddress?, names: [String]) {
        self.address = address
        self.names = names
    }
}
