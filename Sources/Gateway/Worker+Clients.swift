// SPDX-License-Identifier: Apache-2.0

import EventLoop
import HTTP2
import Policy
import Transport
import Units

/// The worker's connections to engines: made, kept, shared and let go.
extension Worker {
    /// A kept connection to the endpoint, or a new one; of those with many streams one with room.
    func stream(to endpoint: EndpointID, fresh: Bool) -> ClientStream? {
        if !fresh, let kept = kept(endpoint) { return kept }
        guard speaksHTTP2(endpoint) else { return connect(endpoint) }
        if !fresh, let shared = shared(endpoint) { return shared.stream() }
        return share(endpoint)?.stream()
    }

    private func speaksHTTP2(_ endpoint: EndpointID) -> Bool {
        policy.pools[policy.endpoints[endpoint.index].pool.index].speaks == .http2
    }

    private func shared(_ endpoint: EndpointID) -> HTTP2ClientConnection? {
        for key in upstreams.shared(endpoint) {
            guard case .http2(let connection)? = clients[key], connection.hasRoom else { continue }
            return connection
        }
        return nil
    }

    private func share(_ endpoint: EndpointID) -> HTTP2ClientConnection? {
        guard clients.count < policy.http.maxConnections + Self.spareClients,
            let key = clients.nextKey, let address = upstreams.address(of: endpoint),
            let security = shared.security.engine(endpoint, policy, speaking: .http2),
            let connection = try? HTTP2ClientConnection(
                key: key, destination: endpoint.index,
                token: Token(kind: Kind.client, key: key), address: address,
                security: security, limits: clientLimits, loop: loop)
        else { return nil }
        _ = clients.insert(.http2(connection))
        upstreams.share(key, to: endpoint)
        return connection
    }

    private func kept(_ endpoint: EndpointID) -> HTTP1ClientConnection? {
        var stale: [SlabKey] = []
        let key = upstreams.take(
            endpoint, idleAtMost: policy.upstream.idleTimeout, now: loop.now, stale: &stale)
        for old in stale { drop(old) }
        guard case .http1(let client)? = key.flatMap({ clients[$0] }) else { return nil }
        return client
    }

    private func connect(_ endpoint: EndpointID) -> HTTP1ClientConnection? {
        guard clients.count < policy.http.maxConnections + Self.spareClients,
            let key = clients.nextKey, let address = upstreams.address(of: endpoint),
            let security = shared.security.engine(endpoint, policy)
        else { return nil }
        do throws(SystemFault) {
            let client = try HTTP1ClientConnection(
                key: key, destination: endpoint.index,
                token: Token(kind: Kind.client, key: key), address: address,
                security: security, limits: clientLimits, loop: loop)
            _ = clients.insert(.http1(client))
            return client
        } catch {
            return nil
        }
    }

    private func drop(_ key: SlabKey) { clients.remove(key)?.close() }

    /// Lets a stream go, and its connection where that has no others.
    func drop(_ client: ClientStream) {
        if !client.isShared { clients.remove(client.key) }
        client.close()
    }

    // MARK: kept connections

    /// Sees to it that kept connections end with their idle time, used again or not.
    private func sweepLater() {
        guard !isSweeping else { return }
        isSweeping =
            loop.schedule(
                Token(kind: Kind.sweep, key: SlabKey(raw: 0)),
                at: loop.now + policy.upstream.idleTimeout) != nil
    }

    /// Closes the kept connections that have been idle for too long.
    func sweep() {
        isSweeping = false
        var stale: [SlabKey] = []
        let isAnyLeft = upstreams.expire(
            idleAtMost: policy.upstream.idleTimeout, now: loop.now, stale: &stale)
        for key in stale { drop(key) }
        if isAnyLeft { sweepLater() }
    }

    func release(_ client: ClientStream, _ exchange: Exchange) {
        client.tag = nil
        exchange.client = nil
        if client.isShared { return }
        guard client.isReusable, let endpoint = exchange.endpoint, !isDraining else {
            return drop(client)
        }
        let surplus = upstreams.keep(
            client.key, to: endpoint, atMost: policy.upstream.maxIdle, now: loop.now)
        if let surplus { drop(surplus) }
        sweepLater()
    }
}
