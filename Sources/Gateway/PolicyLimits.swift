// SPDX-License-Identifier: Apache-2.0

import EventLoop
import HTTP2
import Policy
import Transport
import Units
import Wire

extension ServerLimits {
    /// What the configuration allows a client.
    init(_ http: HTTPPolicy) {
        self.init()
        head = HeadLimits(
            maxTarget: http.maxTarget.count, maxHead: http.maxHead.count,
            maxFields: http.maxFields)
        maxBody = http.maxBody.count
        maxTrailers = http.maxTrailers.count
        maxChunkExtensions = http.maxChunkExtensions.count
        streamBuffer = http.streamBuffer.count
        headTimeout = http.headTimeout
        bodyTimeout = http.bodyTimeout
        bodyFloorPerSecond = http.bodyFloor.count
        idleTimeout = http.idleTimeout
        writeTimeout = http.writeTimeout
    }
}

extension HTTP2Limits {
    /// What the configuration allows a client of HTTP/2.
    init(_ policy: Policy) {
        self.init()
        head = ServerLimits(policy.http).head
        maxTrailers = policy.http.maxTrailers.count
        maxStreams = policy.http2.maxConcurrentStreams
        maxFrame = policy.http2.maxFrame.count
        streamWindow = policy.http2.streamWindow.count
        connectionWindow = max(policy.http2.connectionWindow.count, streamWindow)
        maxResets = policy.http2.maxResets
        maxIdleFrames = policy.http2.maxIdleFrames
        maxContinuations = policy.http2.maxContinuations
        maxPendingAcks = policy.http2.maxPendingAcks
        // What one read of an engine brings comes on top.
        streamBuffer = max(1, policy.http.streamBuffer.count / 2)
    }
}

extension ClientLimits {
    /// What the configuration allows an engine.
    init(_ upstream: UpstreamPolicy) {
        self.init()
        head = HeadLimits(maxTarget: 8_192, maxHead: upstream.maxHead.count, maxFields: 256)
        connectTimeout = upstream.connectTimeout
        idleTimeout = upstream.idleTimeout
        http2.head = head
        http2.maxTrailers = maxTrailers
    }
}

extension SocketAddress {
    /// Nil for a host name, which has to be resolved first.
    init?(_ address: Address) {
        switch address {
        case .ip(let host, let port): self.init(ip: host, port: port)
        case .unix(let path): self.init(unixPath: path)
        case .name: return nil
        }
    }
}
