// SPDX-License-Identifier: Apache-2.0

import EventLoop
public import HTTP2
import Units

extension HTTP1ServerConnection {
    /// After `.preface`: the same connection as one of HTTP/2, in this one's place.
    public func upgrade(_ http2: HTTP2Limits) -> HTTP2ServerConnection? {
        guard phase == .head, let channel = channel.take() else { return nil }
        phase = .closed
        times.cancel()
        defer { intake.discard(loop) }
        let connection = try? unsafe HTTP2ServerConnection(
            key: key, door: door, token: token, channel: channel, limits: limits, http2: http2,
            loop: loop, received: intake.received)
        connection?.peer = peer
        return connection
    }
}
