// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import EventLoop
public import Policy
import Store
import Synchronization
import Telemetry
import Transport
import Units
import Wire

/// What a reload came to.
public enum ReloadOutcome: Sendable {
    case loaded(Policy, effective: String)
    /// Every mistake with its place; nothing was changed.
    case rejected([String])
}

/// The thread beside the workers: signals, probes of the engines, the operators' door, reload,
/// snapshots, and the end. Whatever takes its time happens here, so that no request waits for it.
final class Control {
    enum Kind {
        static let mailbox: UInt8 = 1
        static let signals: UInt8 = 2
        static let admin: UInt8 = 3
        static let server: UInt8 = 4
        static let client: UInt8 = 5
        static let probe: UInt8 = 6
        static let store: UInt8 = 7
        static let sharing: UInt8 = 8
        static let keySet: UInt8 = 9
    }

    let shared: Shared
    let loop: Loop
    let digest = Digest()
    let adminToken: KeyHash?
    let setup: GatewaySetup
    var policy: Policy
    /// Without what operators have overridden.
    var base: Policy
    var overrides: [StoredOverride] = []
    var pendingChanges: [PendingChange] = []
    private var overridesAt = Instant(nanoseconds: 0)
    var effective: String
    var reloads = (succeeded: 0, failed: 0)
    var lastReload: [String] = []
    let startedAt: WallTime
    var servers = Slab<HTTP1ServerConnection>(limit: 256)
    var clients = Slab<HTTP1ClientConnection>(limit: 4_096)
    var probes: [Probe] = []
    var actions: [Action] = []
    /// The way to the store for operators' questions, where it is a network away.
    var redis: RedisStore?
    /// The way to the other gateways, where there may be some.
    var sharing: RedisSharing?
    var sharingAt = Instant(nanoseconds: 0)
    var sharingOutcomes: [SharingOutcome] = []
    var nextQuestion: UInt64 = 0
    var pendingPages: [(question: RequestID, page: PendingPage)] = []
    /// Those who follow `/admin/events`.
    var feed = EventFeed()
    /// Made when the first browser comes.
    var browserPage: BrowserPage?
    var fields = ByteBuffer()
    var text = ByteBuffer()
    private let signals: SignalSource
    private let door: BoundDoor
    let resolver: Resolver
    let audit: AuditLog
    /// Changes that operators have asked for and that were not answered yet, by connection.
    var audited: [UInt64: (AdminRoute, AuditEntry)] = [:]
    private var resolveAt = Instant(nanoseconds: 0)
    private var snapshotAt = Instant(nanoseconds: 0)
    /// As TLS files were when they were read last.
    var securityStamps: [String: FileStamp?] = [:]
    var securityReloads = (succeeded: 0, failed: 0)
    var keyNotices = KeyNotices()
    /// In the order of the policy's issuers.
    var keySets: [KeySetState] = []
    var nextKeySet = 0
    private var securityAt = Instant(nanoseconds: 0)
    private var ticketsAt = Instant(nanoseconds: 0)
    private var endedWorkers = 0
    private var cutRequests = 0
    private var isDraining = false
    private var stopAt = Instant.distantFuture

    init(
        shared: Shared, setup: GatewaySetup, signals: consuming SignalSource,
        door: BoundDoor, resolver: Resolver, audit: AuditLog
    ) throws(SystemFault) {
        self.shared = shared
        self.setup = setup
        self.signals = signals
        self.door = door
        self.resolver = resolver
        self.audit = audit
        policy = setup.policy
        base = setup.policy
        effective = setup.effective
        startedAt = WallClock.now()
        adminToken = setup.fixed.admin.token.map { [digest] token in
            var text = token.revealed
            return KeyHash(
                words: text.withUTF8 { unsafe digest.sha256(UnsafeRawBufferPointer($0)) })
        }
        loop = try Loop(timers: 16_384, scratch: .kibi(256))
        redis = shared.redis.map { [loop] redis in
            RedisStore(
                shared: redis, poller: loop.poller, tokenKind: Kind.store, seed: shared.nonce)
        }
        makeSharing()
    }

    /// Runs until every worker has ended; says how many requests were cut.
    func run() throws(SystemFault) -> Int {
        let none = SlabKey(raw: 0)
        try loop.poller.add(
            shared.control.descriptor, .read, Token(kind: Kind.mailbox, key: none))
        try loop.poller.add(signals.descriptor, .read, Token(kind: Kind.signals, key: none))
        try loop.poller.add(door.listener.descriptor, .read, Token(kind: Kind.admin, key: none))
        snapshotAt = loop.now + snapshotInterval
        securityStamps = stampSecurity(policy)
        ticketsAt = loop.now + TicketKeys.rotation
        prepareProbes()
        prepareKeySets()
        redis?.tick(now: loop.now, wall: loop.wall)
        var messages: [ControlMessage] = []
        while endedWorkers < shared.mailboxes.count {
            // Queued requests run out of patience to the hundredth of a second; idle, seldom is
            // enough.
            let rest: Duration =
                shared.waiting.load(ordering: .relaxed) > 0
                ? .milliseconds(5) : .milliseconds(100)
            try turn(min(rest, sharingPatience), &messages)
        }
        saveSnapshot()
        return cutRequests
    }

    private func turn(
        _ rest: Duration, _ messages: inout [ControlMessage]
    ) throws(SystemFault) {
        let ready = try loop.wait(atMost: rest)
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            switch token.kind {
            case Kind.mailbox:
                shared.control.drain(into: &messages)
                for message in messages { handle(message) }
                messages.removeAll(keepingCapacity: true)
            case Kind.signals:
                while let signal = signals.next() { handle(signal) }
            case Kind.admin: accept()
            case Kind.server:
                guard let server = servers[token.key] else { continue }
                server.ready(readiness)
                pump(server)
            case Kind.client:
                guard let client = clients[token.key] else { continue }
                client.ready(readiness)
                pump(client)
            case Kind.keySet:
                guard let client = clients[token.key] else { continue }
                client.ready(readiness)
                pumpKeySet(client)
            case Kind.store: redis?.ready(token, readiness, now: loop.now, wall: loop.wall)
            case Kind.sharing: sharing?.ready(token, readiness, now: loop.now)
            default: continue
            }
        }
        for token in loop.dueTimers() { fire(token) }
        decide(.ticked)
        driveSharing()
        driveStore()
        driveEvents()
        driveKeySets()
        chores()
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
        case Kind.keySet:
            guard let client = clients[token.key] else { return }
            client.timerFired()
            pumpKeySet(client)
        case Kind.probe: probeDue(token.key.slot)
        default: return
        }
    }

    private func chores() {
        if loop.now >= resolveAt {
            resolveAt = loop.now + policy.upstream.resolveInterval
            resolveNames()
        }
        if loop.now >= snapshotAt {
            snapshotAt = loop.now + snapshotInterval
            saveSnapshot()
        }
        if loop.now >= overridesAt {
            overridesAt = loop.now + Self.overrideInterval
            pollOverrides()
        }
        if loop.now >= securityAt {
            securityAt = loop.now + Self.securityInterval
            watchSecurity()
            noticeKeys()
            watchKeySets()
        }
        if loop.now >= ticketsAt {
            ticketsAt = loop.now + TicketKeys.rotation
            shared.security.tickets.rotate()
        }
        if loop.now >= stopAt {
            stopAt = .distantFuture
            broadcast(.stop)
        }
    }

    // MARK: the machine

    func decide(_ event: Event) {
        shared.decide(event, now: loop.now, into: &actions)
        for action in actions {
            guard let request = action.request else {
                if case .exchange(let ask) = action { exchange(ask) }
                continue
            }
            shared.mailboxes[request.worker].post(.action(action))
        }
        actions.removeAll(keepingCapacity: true)
    }

    private func broadcast(_ message: WorkerMessage) {
        for mailbox in shared.mailboxes { mailbox.post(message) }
    }

    private func handle(_ message: ControlMessage) {
        switch message {
        case .exchange(let ask): exchange(ask)
        case .foundIssuer(let number, let outcome): found(issuer: number, outcome)
        case .workerEnded(let cut):
            endedWorkers += 1
            cutRequests += cut
        case .resolved(let endpoint, let addresses, let failed):
            if failed {
                shared.log.write(
                    "resolve: \(policy.endpoints[endpoint.index].authority) has no address")
                decide(.probeFailed(endpoint))
            } else {
                probes[endpoint.index].addresses = addresses
                broadcast(.resolved(endpoint, addresses))
            }
        }
    }

    // MARK: signals, reload, end

    private func handle(_ signal: ProcessSignal) {
        switch signal {
        case .reload: auditedReload()
        case .terminate, .interrupt:
            if isDraining {
                stopAt = loop.now
            } else {
                drain()
            }
        }
    }

    /// Loads the configuration anew: all of it, or nothing and the mistakes.
    func reload() -> [String] {
        switch withSecurity(setup.reload(policy)) {
        case .loaded(let fresh, let effective):
            base = fresh
            self.effective = effective
            reloads.succeeded += 1
            lastReload = []
            adopt(fresh)
            if !overrides.isEmpty { adopt(overridden(fresh)) }
            shared.throttles.resize(to: fresh.throttleHistory)
            shared.traces.resize(to: fresh.requestHistory)
            prepareProbes()
            prepareKeySets()
            resolveAt = loop.now
            shared.log.write("reload: configuration \(fresh.generation) is in force")
        case .rejected(let mistakes):
            reloads.failed += 1
            lastReload = mistakes
            for mistake in mistakes { shared.log.write("reload refused: \(mistake)") }
        }
        return lastReload
    }

    /// What the machine and the workers go by from now on.
    func adopt(_ fresh: Policy) {
        policy = fresh
        sharing?.configure(fresh)
        decide(.reconfigured(fresh))
        broadcast(.reconfigured(fresh))
    }

    private func drain() {
        isDraining = true
        shared.isDraining.store(true, ordering: .relaxed)
        stopAt = loop.now + policy.http.drainTimeout
        shared.log.write(
            "drain: up to \(policy.http.drainTimeout) for what is in flight")
        broadcast(.drain)
    }

    private var snapshotInterval: Duration {
        if case .memory(let store) = setup.fixed.store { return store.snapshotInterval }
        return .infinite
    }

    private func saveSnapshot() {
        guard case .memory(let store) = setup.fixed.store, let path = store.snapshot,
            let memory = shared.memory
        else { return }
        do throws(FileFault) {
            try Files.replaceFile(path, memory.snapshot(of: policy, wall: loop.wall))
        } catch {
            shared.log.write("snapshot \(path): \(error)")
        }
    }

    // MARK: names

    private func resolveNames() {
        for endpoint in policy.endpoints where !endpoint.removed {
            guard case .name(let host, let port) = endpoint.address else { continue }
            let control = shared.control
            let id = endpoint.id
            _ = resolver.resolve(host, port: port) { outcome in
                switch outcome {
                case .addresses(let addresses):
                    control.post(.resolved(id, addresses, failed: false))
                case .unknown, .unavailable, .stopped:
                    control.post(.resolved(id, [], failed: true))
                }
            }
        }
    }

    // MARK: the operators' door

    private func accept() {
        for _ in 0..<16 {
            guard case .socket(let socket, let peer) = door.listener.accept() else { return }
            guard let key = servers.nextKey else { continue }
            var limits = ServerLimits(policy.http)
            limits.maxBody = 65_536
            if let connection = try? HTTP1ServerConnection(
                key: key, door: 0, token: Token(kind: Kind.server, key: key),
                channel: Channel(socket),
                limits: limits, loop: loop)
            {
                connection.peer = ClientPeer(address: peer, names: [])
                _ = servers.insert(connection)
            }
        }
    }
}

@available(*, unavailable)
extension Control: Sendable {}
