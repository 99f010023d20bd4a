// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import DequeModule
import Dialects
import EventLoop
import HTTP2
import Policy
import Store
import Synchronization
import Telemetry
import Tokenization
import Transport
import Units
import Wire

/// One thread's share of the gateway: its doors, connections and requests. Nothing of it is seen by
/// another thread.
final class Worker {
    /// What the tokens of this worker's poller and wheel stand for.
    enum Kind {
        static let mailbox: UInt8 = 1
        static let door: UInt8 = 2
        static let server: UInt8 = 3
        static let client: UInt8 = 4
        static let exchange: UInt8 = 5
        static let store: UInt8 = 6
        static let sweep: UInt8 = 7
        static let greeting: UInt8 = 8
        static let proxy: UInt8 = 9
    }

    /// Connections to engines beyond one for each client: those that are kept.
    static let spareClients = 4_096

    let index: Int
    let shared: Shared
    let loop: Loop
    let digest: Digest
    let tokens: TokenReader
    var policy: Policy
    /// For the present configuration.
    var accounts: AccountTable
    var serverLimits: ServerLimits
    var http2Limits: HTTP2Limits
    var clientLimits: ClientLimits
    var doors: [Door]
    var servers: Slab<ServerConnection>
    /// Connections whose TLS handshake is under way, and when they came.
    var greetings: Slab<TLSGreeting>
    var greetingOrder = Deque<SlabKey>()
    /// Those of which a step is to be taken.
    var greetingRow = Deque<SlabKey>()
    /// Connections of proxies that have not said yet whose they are.
    var proxyGreetings: Slab<ProxyGreeting>
    /// Requests with a packed body, and those of them that are being unpacked.
    var packedRow = Deque<SlabKey>()
    var unpackingRow = Deque<SlabKey>()
    var clients: Slab<ClientConnection>
    var exchanges: Slab<Exchange>
    var upstreams: Upstreams
    var store: BudgetStore
    var naming: ReservationNaming
    var random: SplitMix64
    var actions: [Action] = []
    var answers: [StoreAnswer] = []
    var isPerforming = false
    var isDraining = false
    var isStopping = false
    /// What was last told of the store; nil before it was reached or given up once.
    var storeWasUp: Bool?
    private var cutRequests = 0
    /// The wheel will say when to look for connections that were kept for too long.
    var isSweeping = false
    /// Request bodies held, in bytes.
    var heldBodies = 0
    /// Price the texts of the request under inspection.
    var textMeter = PromptMeter()
    var toolMeter = PromptMeter()
    /// Count prompts exactly, where models have tokenizers.
    lazy var counter = TokenCounter()
    var recount = Inspection()
    /// Whose every request through a door is, by door.
    let doorTenants: [TenantID?]
    /// The doors themselves, which a drain does without.
    let bounds: [BoundDoor]
    /// Scratch for heads, bodies and edits of the turn.
    var fields = ByteBuffer()
    var text = ByteBuffer()
    var edited = ByteBuffer()

    init(
        index: Int, shared: Shared, policy: Policy, doors: [Door],
        addresses: [[SocketAddress]]
    ) throws(SystemFault) {
        self.index = index
        self.shared = shared
        self.policy = policy
        self.doors = doors
        doorTenants = doors.map(\.bound.tenant)
        bounds = doors.map(\.bound)
        let connections = HTTPPolicy.connectionsLimit
        loop = try Loop(
            timers: 4 * connections + 2 * HTTPPolicy.handshakesLimit + 64, writing: .atTurnsEnd)
        accounts = AccountTable(policy, wall: loop.wall)
        if let redis = shared.redis {
            store = .redis(
                RedisStore(
                    shared: redis, poller: loop.poller, tokenKind: Kind.store,
                    seed: shared.nonce &+ UInt64(index)))
        } else {
            store = .memory(shared.memory ?? MemoryStore())
        }
        servers = Slab(limit: connections)
        greetings = Slab(limit: HTTPPolicy.handshakesLimit)
        proxyGreetings = Slab(limit: HTTPPolicy.handshakesLimit)
        clients = Slab(limit: connections + Self.spareClients)
        exchanges = Slab(limit: connections)
        upstreams = Upstreams(addresses: addresses)
        naming = ReservationNaming(nonce: shared.nonce, worker: index)
        random = SplitMix64(seed: shared.nonce &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
        digest = Digest(remembering: random.next())
        tokens = TokenReader(shared.identities, shared.tokenCounts[index])
        serverLimits = ServerLimits(policy.http)
        http2Limits = HTTP2Limits(policy)
        clientLimits = ClientLimits(policy.upstream)
    }

    /// Runs until it has been told to drain and has nothing left.
    func run() throws(SystemFault) {
        let mailbox = shared.mailboxes[index]
        try loop.poller.add(
            mailbox.descriptor, .read, Token(kind: Kind.mailbox, key: SlabKey(raw: 0)))
        for door in doors {
            try loop.poller.add(
                door.bound.listener.descriptor, .read,
                Token(kind: Kind.door, key: SlabKey(raw: UInt64(door.bound.index))))
        }
        attachStore()
        var messages: [WorkerMessage] = []
        while !isStopping, !(isDraining && openConnections == 0) {
            try turn(mailbox, &messages)
        }
        close()
        // What was used is told to the store, for as long as it takes it in a second.
        let latest = loop.now + .seconds(1)
        while unsentSettlements > 0, loop.now < latest { try turn(mailbox, &messages) }
        shared.control.post(.workerEnded(cutRequests))
    }

    private func turn(
        _ mailbox: Mailbox<WorkerMessage>, _ messages: inout [WorkerMessage]
    ) throws(SystemFault) {
        let ready = try loop.wait(atMost: isBusy ? .zero : storePatience)
        // Engines first: what a kept connection has brought unasked, or that it has ended, is known
        // before a client's request of the same turn is sent over it.
        hearEngines(ready)
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            switch token.kind {
            case Kind.server:
                guard let server = servers[token.key] else { continue }
                server.ready(readiness)
                pump(server)
            case Kind.door:
                // None are left once a drain has begun, even within this turn.
                if token.key.slot < doors.count { accept(doors[token.key.slot]) }
            case Kind.mailbox:
                mailbox.drain(into: &messages)
                for message in messages { handle(message) }
                messages.removeAll(keepingCapacity: true)
            case Kind.store: storeReady(token, readiness)
            case Kind.greeting: greetingReady(token.key)
            case Kind.proxy: proxyReady(token.key)
            default: continue
            }
        }
        for token in loop.dueTimers() { fire(token) }
        driveStore()
        try write()
        guard isBusy else { return }
        shakeHands()
        unpackSome()
        try write()
    }

    /// There is work that no descriptor tells of.
    private var isBusy: Bool { !greetingRow.isEmpty || isUnpacking }

    private func hearEngines(_ ready: Int) {
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            guard token.kind == Kind.client, let client = clients[token.key] else { continue }
            client.ready(readiness)
            pump(client)
        }
    }

    /// What this turn has brought leaves now, each connection's in one piece. Driving a connection
    /// that has written may bring more to write.
    private func write() throws(SystemFault) {
        while true {
            if loop.mustLook { hearEngines(try loop.look()) }
            if let client = loop.nextUnwrittenClient() {
                pump(client)
            } else if let server = loop.nextUnwrittenServer() {
                pump(server)
            } else {
                return
            }
        }
    }

    private func fire(_ token: Token) {
        switch token.kind {
        case Kind.server:
            guard let server = servers[token.key] else { return }
            server.timerFired()
            pump(server)
        case Kind.client:
            guard let client = clients[token.key] else { return }
            client.timerFired()
            pump(client)
        case Kind.exchange:
            guard let exchange = exchanges[token.key] else { return }
            if exchange.deadline.fired(token, loop) { due(exchange) }
        case Kind.sweep: sweep()
        case Kind.greeting: greetingDue(token.key)
        case Kind.proxy: proxyDue(token.key)
        default: return
        }
    }

    private func handle(_ message: WorkerMessage) {
        switch message {
        case .action(let action): perform(later: action)
        case .reconfigured(let policy): adopt(policy)
        case .resolved(let endpoint, let addresses):
            upstreams.resolved(endpoint, addresses)
        case .counted(let request, let count): counted(request, count)
        case .read(let request, let result): bodyRead(request, result)
        case .drain: drain()
        case .stop: isStopping = true
        }
    }

    /// The machine may speak of what a reload has brought before its message is here.
    func adopt(_ policy: Policy) {
        guard policy.generation > self.policy.generation else { return }
        self.policy = policy
        accounts = AccountTable(policy, wall: loop.wall)
        serverLimits = ServerLimits(policy.http)
        http2Limits = HTTP2Limits(policy)
        clientLimits = ClientLimits(policy.upstream)
        upstreams.grow(to: policy.endpoints.count)
        // Names are resolved by the control thread, which tells later.
        for endpoint in policy.endpoints where !endpoint.removed {
            guard let fixed = SocketAddress(endpoint.address) else { continue }
            upstreams.resolved(endpoint.id, [fixed])
        }
    }

    // MARK: doors

    /// Of clients, at their beginning or after it.
    private var openConnections: Int {
        servers.count + greetings.count + proxyGreetings.count
    }

    /// Takes what waits at the door, a handful a turn so that no stream starves meanwhile.
    private func accept(_ door: Door) {
        for _ in 0..<32 {
            switch door.bound.listener.accept() {
            case .none: return
            case .exhausted(let fault):
                // Without descriptors the listener would stay ready and the loop spin: it rests for
                // a turn of the wheel, as does the backlog.
                shared.log.write("accept: \(fault)")
                rest(door)
                return
            case .socket(let socket, let peer):
                // Full: closing at once is the only answer that costs nothing.
                guard openConnections < policy.http.maxConnections else {
                    shared.connectionRefusals.count(.full)
                    continue
                }
                welcome(socket, peer, door.bound)
            }
        }
    }

    /// A client's connection begins that was accepted in clear, or whose handshake is done.
    func open(_ channel: consuming Channel, _ peer: SocketAddress, _ door: BoundDoor) {
        guard let key = servers.nextKey else { return leave(peer) }
        let names = channel.isSecure ? channel.peerNames() : []
        do throws(SystemFault) {
            let connection = try connection(key, channel, door)
            connection.identify(ClientPeer(address: peer, names: names))
            _ = servers.insert(connection)
            shared.openConnections.add(1, ordering: .relaxed)
            if isDraining { connection.closeAfterAnswer() }
            // What came with the handshake's end the poller does not tell of.
            pump(connection)
        } catch {
            leave(peer)
            shared.log.write("register connection: \(error)")
        }
    }

    /// HTTP/2 where both sides agreed to it, or nothing else is spoken; in clear a client of
    /// HTTP/1.1 may turn out to be one of HTTP/2.
    private func connection(
        _ key: SlabKey, _ channel: consuming Channel, _ door: BoundDoor
    ) throws(SystemFault) -> ServerConnection {
        let token = Token(kind: Kind.server, key: key)
        let isHTTP2 =
            channel.applicationProtocol == .http2 || !door.protocols.contains(.http1)
        if isHTTP2 {
            return .http2(
                try unsafe HTTP2ServerConnection(
                    key: key, door: door.index, token: token, channel: channel,
                    limits: serverLimits, http2: http2Limits, loop: loop))
        }
        var limits = serverLimits
        limits.allowsHTTP2 = !channel.isSecure && door.protocols.contains(.http2)
        return .http1(
            try HTTP1ServerConnection(
                key: key, door: door.index, token: token, channel: channel, limits: limits,
                loop: loop))
    }

    private func rest(_ door: Door) {
        door.isResting = true
        loop.poller.remove(door.bound.listener.descriptor)
    }

    /// A connection has closed: a door that rested may take one again.
    func wakeDoors() {
        for door in doors where door.isResting && !isDraining {
            door.isResting = false
            try? loop.poller.add(
                door.bound.listener.descriptor, .read,
                Token(kind: Kind.door, key: SlabKey(raw: UInt64(door.bound.index))))
        }
    }

    // MARK: the end

    private func drain() {
        guard !isDraining else { return }
        // Whoever had come before is served: connections that wait at a door, and requests that
        // have arrived on connections thought to be idle.
        for door in doors {
            takeAll(door)
            if !door.isResting { loop.poller.remove(door.bound.listener.descriptor) }
            // The thread's start still holds it: dropping it here would not free it.
            door.bound.listener.stop()
        }
        doors.removeAll()
        servers.each { _, server in
            server.ready(.readable)
            pump(server)
        }
        isDraining = true
        hurryGreetings()
        servers.each { _, server in
            server.closeAfterAnswer()
            pump(server)
        }
    }

    private func takeAll(_ door: Door) {
        var before = -1
        while before < openConnections {
            before = openConnections
            accept(door)
        }
    }

    private func close() {
        cutRequests = exchanges.count
        closeGreetings()
        servers.each { _, server in
            server.abort()
            pump(server)
        }
        clients.each { _, client in client.close() }
        endGrants()
        driveStore()
    }
}

@available(*, unavailable)
extension Worker: Sendable {}

/// One listening socket of one worker.
final class Door {
    let bound: BoundDoor
    private var resting = false
    var isResting: Bool {
        get { resting }
        set { resting = newValue }
    }

    init(_ bound: BoundDoor) { self.bound = bound }
}
