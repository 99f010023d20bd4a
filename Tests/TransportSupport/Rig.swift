// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Transport
public import Units

/// Why a test cannot even begin.
public enum RigFault: Error {
    case address
    case notAccepted
    case full
}

/// Connections of both sides on one loop that the test itself drives, turn by turn.
///
/// Everything is on loopback and in one thread: what one side has sent the other side finds in the
/// next turn. Nothing sleeps but the poller, and that only for a timer or for a few milliseconds.
public final class Rig {
    private enum Kind {
        static let door: UInt8 = 1
        static let server: UInt8 = 2
        static let client: UInt8 = 3
        static let greeting: UInt8 = 4
    }

    public let loop: Loop
    /// Where the rig listens as a server.
    public let address: SocketAddress
    private let door: Listener
    private let serverLimits: ServerLimits
    private let clientLimits: ClientLimits
    private let owner: Owner
    private let security: TLSServerContext?
    private let greetingTimeout: Duration
    private var faults: [TLSFault] = []
    private var servers = Slab<HTTP1ServerConnection>(limit: 2_048)
    private var greetings = Slab<TLSGreeting>(limit: 2_048)
    private var clients = Slab<HTTP1ClientConnection>(limit: 2_048)
    private var peers: [Peer] = []
    private var events: [Told] = []
    private var answers: [SlabKey: [Heard]] = [:]
    private var lastServer: HTTP1ServerConnection?
    private var highest: Int32 = 0

    public init(
        server serverLimits: ServerLimits = ServerLimits(),
        client clientLimits: ClientLimits = ClientLimits(), owner: Owner = Owner(),
        writing: Loop.Writing = .atOnce, security: TLSServerContext? = nil,
        greetingTimeout: Duration = .seconds(10)
    ) throws {
        self.security = security
        self.greetingTimeout = greetingTimeout
        loop = try Loop(timers: 8_192, writing: writing)
        guard let local = SocketAddress(ip: "127.0.0.1", port: 0) else { throw RigFault.address }
        door = try Listener.bind(local, backlog: 512)
        address = door.address
        self.serverLimits = serverLimits
        self.clientLimits = clientLimits
        self.owner = owner
        try loop.poller.add(
            door.descriptor, .read, Token(kind: Kind.door, key: SlabKey(raw: 0)))
    }

    // MARK: what happened

    /// Events of all clients' connections, in order.
    public var told: [Told] { events }
    /// Events of one engine's connection, in order.
    public func heard(_ client: ClientStream) -> [Heard] { answers[client.key] ?? [] }
    public func clearTold() { events.removeAll() }
    /// Why handshakes of clients failed, in order.
    public var handshakeFaults: [TLSFault] { faults }
    /// Handshakes of clients that are under way.
    public var openHandshakes: Int { greetings.count }
    /// Client connections that are open.
    public var openServers: Int { servers.count }
    /// The client connection accepted last; stays after it has closed.
    public var server: HTTP1ServerConnection? { lastServer }
    /// What all clients' connections hold, in bytes.
    public var heldBytes: Int {
        var sum = 0
        func add(_: SlabKey, _ server: HTTP1ServerConnection) {
            sum += server.heldRequestBytes + server.heldAnswerBytes
        }
        servers.each(add)
        return sum
    }
    /// The highest descriptor that a client's connection had.
    public var highestDescriptor: Int32 { highest }

    // MARK: peers

    /// A raw client of the rig's server side, accepted.
    public func connect(most: Int = 262_144) throws -> Peer {
        let before = lastServer
        let peer = Peer(try Socket.connect(to: address), most: most)
        peers.append(peer)
        guard run(until: { self.lastServer !== before }) else { throw RigFault.notAccepted }
        return peer
    }

    /// The same where no request's connection may come of it.
    public func dialRaw() throws -> Peer {
        let peer = Peer(try Socket.connect(to: address))
        peers.append(peer)
        return peer
    }

    /// The peers so far are not driven any more, and close when the test lets go of them.
    public func forgetPeers() { peers.removeAll() }
    /// A connection that the test has closed itself.
    public func forget(_ client: ClientStream) {
        clients.remove(client.key)
        answers[client.key] = nil
    }

    /// A raw engine for the rig's client side, on the other end of a connection that is open.
    public func engine(on listener: borrowing Listener) throws -> Peer {
        var peer: Peer?
        for _ in 0..<1_000 where peer == nil {
            if case .socket(let socket, _) = listener.accept() { peer = Peer(socket) }
            if peer == nil { turn() }
        }
        guard let peer else { throw RigFault.notAccepted }
        peers.append(peer)
        return peer
    }

    /// A connection of the rig to an engine.
    public func dial(
        _ address: SocketAddress, security: ClientSecurity = .none
    ) throws -> HTTP1ClientConnection {
        guard let key = clients.nextKey else { throw RigFault.full }
        let client = try HTTP1ClientConnection(
            key: key, destination: 0, token: Token(kind: Kind.client, key: key),
            address: address, security: security, limits: clientLimits, loop: loop)
        _ = clients.insert(client)
        answers[key] = []
        return client
    }

    // MARK: turns

    /// Runs until `done`, for ten seconds at most; whether it came to that.
    public func run(until done: () -> Bool) -> Bool {
        let end = MonotonicClock.now() + .seconds(10)
        while !done() {
            if MonotonicClock.now() > end { return false }
            turn()
        }
        return true
    }

    /// Runs until nobody has anything more to do now; timers aside.
    public func settle() {
        var quiet = 0
        while quiet < 3 { quiet = turn(atMost: .zero) ? 0 : quiet + 1 }
    }

    /// One turn of the loop and of every peer; whether anything happened.
    @discardableResult
    public func turn(atMost limit: Duration = .milliseconds(2)) -> Bool {
        var moved = false
        for peer in peers where peer.turn() { moved = true }
        let ready = (try? loop.wait(atMost: limit)) ?? 0
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            switch token.kind {
            case Kind.door: accept()
            case Kind.server:
                guard let server = servers[token.key] else { continue }
                server.ready(readiness)
                pump(server)
            case Kind.client:
                guard let client = clients[token.key] else { continue }
                client.ready(readiness)
                pump(client)
            case Kind.greeting:
                guard let greeting = greetings[token.key], greeting.ready() else { continue }
                take(greeting)
            default: continue
            }
        }
        let due = loop.dueTimers()
        for token in due { fire(token) }
        if write() { moved = true }
        return moved || ready > 0 || !due.isEmpty
    }

    private func hearEngines(_ ready: Int) {
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            guard token.kind == Kind.client, let client = clients[token.key] else { continue }
            client.ready(readiness)
            pump(client)
        }
    }

    /// What was put off to the turn's end; whether there was any.
    @discardableResult
    public func write() -> Bool {
        var wrote = false
        while true {
            if loop.mustLook { hearEngines((try? loop.look()) ?? 0) }
            if let connection = loop.nextUnwrittenClient() {
                guard case .http1(let client) = connection else { continue }
                if clients[client.key] === client { pump(client) }
            } else if let connection = loop.nextUnwrittenServer() {
                guard case .http1(let server) = connection else { continue }
                if servers[server.key] === server { pump(server) }
            } else {
                return wrote
            }
            wrote = true
        }
    }

    private func fire(_ token: Token) {
        if token.kind == Kind.server, let server = servers[token.key] {
            server.timerFired()
            pump(server)
        } else if token.kind == Kind.client, let client = clients[token.key] {
            client.timerFired()
            pump(client)
        } else if token.kind == Kind.greeting, let greeting = greetings[token.key] {
            guard greeting.timerFired() else { return }
            greetings.remove(token.key)
            greeting.close()
        }
    }

    private func accept() {
        while case .socket(let socket, let peer) = door.accept() {
            guard security != nil else {
                open(Channel(socket))
                continue
            }
            guard let key = greetings.nextKey,
                let greeting = try? TLSGreeting(
                    key: key, door: 0, token: Token(kind: Kind.greeting, key: key),
                    socket: socket, peer: peer, timeout: greetingTimeout, loop: loop)
            else { return }
            _ = greetings.insert(greeting)
        }
    }

    private func take(_ greeting: TLSGreeting) {
        switch greeting.step({ security }) {
        case .waiting: return
        case .done:
            greetings.remove(greeting.key)
            if let channel = greeting.takeChannel() { open(channel) }
        case .failed(let fault):
            faults.append(fault)
            greetings.remove(greeting.key)
            greeting.close()
        }
    }

    private func open(_ channel: consuming Channel) {
        guard let key = servers.nextKey else { return }
        highest = max(highest, channel.descriptor)
        let names = channel.peerNames()
        let server = try? HTTP1ServerConnection(
            key: key, door: 0, token: Token(kind: Kind.server, key: key), channel: channel,
            limits: serverLimits, loop: loop)
        guard let server else { return }
        server.peer = ClientPeer(address: nil, names: names)
        _ = servers.insert(server)
        lastServer = server
        // What came with the handshake's end the poller does not tell of.
        pump(server)
    }

    // MARK: events

    /// Drives a client's connection until it has nothing more to say.
    public func pump(_ server: HTTP1ServerConnection) {
        while true {
            switch server.next() {
            case .none: return
            case .head:
                let method = unsafe String(decoding: server.methodName, as: UTF8.self)
                events.append(.head("\(method) \(server.targetText)"))
                owner.head(server)
            case .request:
                events.append(.request(server.bodyText))
                owner.request(server)
            case .fault(let fault):
                events.append(.fault(fault))
                owner.fault(server, fault)
            case .drained:
                events.append(.drained)
                owner.drained(server)
            case .left:
                events.append(.left)
                owner.left(server)
            case .preface: continue
            case .closed:
                events.append(.closed)
                servers.remove(server.key)
                return
            }
        }
    }

    /// Drives an engine's connection until it has nothing more to say.
    public func pump(_ client: HTTP1ClientConnection) {
        while true {
            switch unsafe client.next() {
            case .none: return
            case .connected: note(client, .connected)
            case .head: note(client, .head(client.status))
            case .payload(let bytes):
                note(client, .payload(unsafe String(decoding: bytes, as: UTF8.self)))
            case .end:
                note(client, .end)
                return
            case .fault(let fault):
                clients.remove(client.key)
                note(client, .fault(fault))
                return
            case .closed:
                clients.remove(client.key)
                note(client, .closed)
                return
            }
        }
    }

    private func note(_ client: HTTP1ClientConnection, _ heard: Heard) {
        var all = answers[client.key] ?? []
        if case .payload(let more) = heard, case .payload(let before)? = all.last {
            all[all.count - 1] = .payload(before + more)
        } else {
            all.append(heard)
        }
        answers[client.key] = all
        owner.heard(client, heard)
    }
}

@available(*, unavailable)
extension Rig: Sendable {}
