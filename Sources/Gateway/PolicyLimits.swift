// SPDX-License-Identifier: Apache-2.0

import EventLoop
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

extension ClientLimits {
    /// What the configuration allows an engine.
    init(_ upstream: UpstreamPolicy) {
        self.init()
        head = HeadLimits(maxTarget: 8_192, maxHead: upstream.maxHead.count, maxFields: 256)
        connectTimeout = upstream.connectTimeout
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
