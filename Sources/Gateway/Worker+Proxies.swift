// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Transport
import Units
import Wire

/// Connections at their beginning: whose they are, and whether there is room for them.
extension Worker {
    /// A connection was accepted: from a proxy whose word is waited for, or from a client.
    func welcome(_ socket: consuming Socket, _ peer: SocketAddress, _ door: BoundDoor) {
        if let address = ClientAddress(peer), address.isWithin(door.proxies) {
            awaitHeader(socket, peer, door)
        } else {
            admit(socket, peer, door)
        }
    }

    /// A client at that address begins, through TLS or in clear.
    private func admit(_ socket: consuming Socket, _ peer: SocketAddress, _ door: BoundDoor) {
        guard enter(peer) else {
            // With a reset nothing of it stays, here or in the kernel.
            socket.resetOnClose()
            shared.connectionRefusals.count(.address)
            return
        }
        if door.isSecure {
            greet(socket, peer, door)
        } else {
            open(Channel(socket), peer, door)
        }
    }

    // MARK: counted by address

    /// Counts a connection; false where its address has too many. Trusted proxies have as many as
    /// they want: who stands behind them is not known before a request is read.
    private func enter(_ peer: SocketAddress) -> Bool {
        guard let address = ClientAddress(peer) else { return true }
        let http = policy.http
        let isFree = http.maxConnectionsPerAddress == 0 || address.isWithin(http.trustedProxies)
        return shared.addresses.enter(
            address, limit: isFree ? nil : http.maxConnectionsPerAddress)
    }

    /// What `enter` counted has ended.
    func leave(_ peer: SocketAddress?) {
        guard let address = peer.flatMap(ClientAddress.init) else { return }
        shared.addresses.leave(address)
    }

    // MARK: the PROXY protocol

    private func awaitHeader(
        _ socket: consuming Socket, _ peer: SocketAddress, _ door: BoundDoor
    ) {
        guard proxyGreetings.count < policy.http.maxHandshakes, let key = proxyGreetings.nextKey
        else { return shared.connectionRefusals.count(.proxyHeader) }
        do throws(SystemFault) {
            let greeting = try ProxyGreeting(
                key: key, door: door.index, token: Token(kind: Kind.proxy, key: key),
                socket: socket, peer: peer, timeout: policy.http.handshakeTimeout, loop: loop)
            _ = proxyGreetings.insert(greeting)
            // It comes with the connection, more often than not.
            proxyReady(key)
        } catch {
            shared.log.write("register connection: \(error)")
        }
    }

    func proxyReady(_ key: SlabKey) {
        guard let greeting = proxyGreetings[key] else { return }
        switch greeting.ready() {
        case .waiting: return
        case .failed: endHeader(greeting)
        case .done(.unknown): admit(greeting, greeting.peer)
        case .done(.client(ip: let ip, port: let port)):
            guard let client = SocketAddress(ip: ip, port: port) else {
                return endHeader(greeting)
            }
            admit(greeting, client)
        }
    }

    private func admit(_ greeting: ProxyGreeting, _ client: SocketAddress) {
        proxyGreetings.remove(greeting.key)
        if let socket = greeting.takeSocket() { admit(socket, client, bounds[greeting.door]) }
    }

    func proxyDue(_ key: SlabKey) {
        guard let greeting = proxyGreetings[key], greeting.timerFired() else { return }
        endHeader(greeting)
    }

    private func endHeader(_ greeting: ProxyGreeting) {
        proxyGreetings.remove(greeting.key)
        shared.connectionRefusals.count(.proxyHeader)
        greeting.close()
        wakeDoors()
    }
}
