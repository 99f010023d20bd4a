// SPDX-License-Identifier: Apache-2.0

import Decision
public import EventLoop
public import Policy
import Store
import Transport
import Units

/// All that a gateway is started with.
public struct GatewaySetup: Sendable {
    public var fixed: FixedPolicy
    public var policy: Policy
    /// The effective configuration as JSON, secrets masked.
    public var effective: String
    /// Loads the configuration anew; called on the control thread.
    public var reload: @Sendable (Policy) -> ReloadOutcome
    /// Reads what an operator sends to override a tenant's limits; called there too.
    public var override: @Sendable ([UInt8]) -> OverrideOutcome

    public init(
        fixed: FixedPolicy, policy: Policy, effective: String,
        reload: @escaping @Sendable (Policy) -> ReloadOutcome,
        override: @escaping @Sendable ([UInt8]) -> OverrideOutcome
    ) {
        self.fixed = fixed
        self.policy = policy
        self.effective = effective
        self.reload = reload
        self.override = override
    }
}

/// Why a gateway did not start.
public enum GatewayFault: Error, Sendable, CustomStringConvertible {
    case listen(Address, SystemFault)
    case system(SystemFault)
    case thread(SystemFault)
    case ledger(String, SystemFault)
    case audit(String, SystemFault)
    case store(String)
    case security([SecurityMistake])

    public var description: String {
        switch self {
        case .listen(let address, let fault): "cannot listen on \(address): \(fault)"
        case .system(let fault): "\(fault)"
        case .thread(let fault): "cannot start a thread: \(fault)"
        case .store(let reason): "store: \(reason)"
        case .security(let mistakes): mistakes.map(\.description).joined(separator: "\n")
        case .audit(let path, .addressInUse):
            "audit log \(path): another gateway writes to it"
        case .audit(let path, let fault): "audit log \(path): \(fault)"
        case .ledger(let path, .addressInUse): "ledger \(path): another gateway writes to it"
        case .ledger(let path, let fault): "ledger \(path): \(fault)"
        }
    }
}

/// A gateway in this process: starts its threads, and runs the control loop on the calling one.
public final class GatewayProcess {
    private let control: Control
    /// Held to the end: with it goes the socket's file.
    private let sharedDoors: [BoundDoor?]
    private let threads: [LoopThread]
    private let ledger: LedgerThreads
    private let counting: CountingThreads
    /// Where clients are taken, with the real ports.
    public let addresses: [SocketAddress]
    public let adminAddress: SocketAddress

    /// Binds every door, so that a taken port is an error of the start. `signals` were blocked
    /// before the first thread of the process began: another one would die of them.
    public init(
        _ setup: GatewaySetup, log: LogSink, signals: consuming SignalSource
    ) throws(GatewayFault) {
        let security = try Self.security(setup, log)
        let admin = try BoundDoor(setup.fixed.admin.address)
        let audit = try AuditLog(setup.fixed.admin.audit, log: log)
        adminAddress = admin.listener.address
        var sharedDoors: [BoundDoor?] = []
        for listener in setup.fixed.listeners {
            if case .unix = listener.address {
                sharedDoors.append(try BoundDoor(listener.address))
            } else {
                sharedDoors.append(nil)
            }
        }
        self.sharedDoors = sharedDoors
        do {
            let resolver = try Resolver(limit: 1_024)
            let seed = randomSeed()
            let redis = try Self.redis(setup, resolver)
            ledger = try LedgerThreads(setup.fixed, gateway: seed, redis: redis, log: log)
            counting = try CountingThreads(setup.fixed.counting)
            let shared = try Shared(
                policy: setup.policy, workers: setup.fixed.workers,
                memory: Self.memory(setup, log), redis: redis,
                ledger: ledger.lanes, counting: counting, security: security, log: log,
                seed: seed)
            control = try Control(
                shared: shared, setup: setup, signals: signals, door: admin,
                resolver: resolver, audit: audit)
            var bound: [SocketAddress] = []
            var threads: [LoopThread] = []
            for worker in 0..<setup.fixed.workers {
                let doors = try Self.doors(setup, sharedDoors, &bound)
                threads.append(try Self.start(worker, doors, setup, shared))
            }
            self.threads = threads
            addresses = bound
        } catch let fault as GatewayFault {
            throw fault
        } catch let fault as SystemFault {
            throw .system(fault)
        } catch {
            broken("a start fails in known ways")
        }
    }

    /// Runs until the end; says how many requests were cut.
    public func run() throws(GatewayFault) -> Int {
        do throws(SystemFault) {
            let cut = try control.run()
            for thread in threads { thread.join() }
            counting.end()
            ledger.end()
            return cut
        } catch {
            throw .system(error)
        }
    }
}

extension GatewayProcess {
    private static func security(
        _ setup: GatewaySetup, _ log: LogSink
    ) throws(GatewayFault) -> Security {
        let tickets = TicketKeys()
        let (material, mistakes) = SecurityMaterial.load(
            setup.fixed.listeners, setup.policy, tickets: tickets)
        guard mistakes.isEmpty else { throw .security(mistakes) }
        for warning in material.warnings { log.write("certificate: \(warning)") }
        return Security(material, tickets)
    }

    /// A door of each listener for one worker. The first worker finds the ports, the others join
    /// them. A Unix socket is bound once, by `sockets`, and shared.
    private static func doors(
        _ setup: GatewaySetup, _ shared: [BoundDoor?], _ bound: inout [SocketAddress]
    ) throws(GatewayFault) -> [BoundDoor] {
        let isFirst = bound.isEmpty
        var doors: [BoundDoor] = []
        for (place, policy) in setup.fixed.listeners.enumerated() {
            let tenant = policy.tenant.flatMap { name in
                setup.policy.tenants.first { $0.name == name && !$0.removed }?.id
            }
            let made: BoundDoor
            do throws(SystemFault) {
                if let door = shared[place] {
                    made = BoundDoor(try door.listener.duplicate(), place, tenant, policy)
                } else if isFirst {
                    made = BoundDoor(try listen(policy.address), place, tenant, policy)
                } else {
                    made = BoundDoor(
                        try Listener.bind(bound[place], backlog: 4_096), place, tenant, policy)
                }
            } catch {
                throw .listen(policy.address, error)
            }
            if isFirst { bound.append(made.listener.address) }
            doors.append(made)
        }
        return doors
    }

    private static func listen(_ address: Address) throws(SystemFault) -> Listener {
        guard let resolved = SocketAddress(address) else { throw .notFound }
        if try Listener.isTaken(resolved) { throw .addressInUse }
        return try Listener.bind(resolved, backlog: 4_096)
    }

    private static func memory(_ setup: GatewaySetup, _ log: LogSink) -> MemoryStore? {
        guard case .memory(let policy) = setup.fixed.store else { return nil }
        let memory = MemoryStore()
        guard let path = policy.snapshot else { return memory }
        do throws(FileFault) {
            let bytes = try Files.readFile(path, limit: 64 << 20)
            do throws(SnapshotFault) {
                try memory.restore(bytes, for: setup.policy, wall: WallClock.now())
            } catch {
                log.write("snapshot \(path): \(error); budgets start full")
            }
        } catch {
            // At the first start there is none.
            if error != .system(.notFound) { log.write("snapshot \(path): \(error)") }
        }
        return memory
    }

    private static func redis(
        _ setup: GatewaySetup, _ resolver: Resolver
    ) throws(GatewayFault) -> RedisShared? {
        guard case .redis(let policy) = setup.fixed.store else { return nil }
        let redis = RedisShared(
            policy: policy, workers: setup.fixed.workers, resolver: resolver)
        do throws(StoreFault) { try redis.checkFiles() } catch { throw .store("\(error)") }
        return redis
    }

    private static func start(
        _ index: Int, _ doors: [BoundDoor], _ setup: GatewaySetup, _ shared: Shared
    ) throws(SystemFault) -> LoopThread {
        try LoopThread(name: "penstock-\(index)") { work(index, doors, setup, shared) }
    }

    private static func work(
        _ index: Int, _ doors: [BoundDoor], _ setup: GatewaySetup, _ shared: Shared
    ) {
        do throws(SystemFault) {
            let worker = try Worker(
                index: index, shared: shared, policy: setup.policy, doors: doors.map(Door.init),
                addresses: setup.policy.endpoints.map { endpoint in
                    SocketAddress(endpoint.address).map { [$0] } ?? []
                })
            try worker.run()
        } catch {
            shared.log.write("worker \(index): \(error)")
            shared.control.post(.workerEnded(0))
        }
    }
}

/// A listening socket on its way to the thread that will accept from it.
final class BoundDoor: Sendable {
    let listener: Listener
    let index: Int
    /// Whose every request through it is, keys ignored.
    let tenant: TenantID?
    let protocols: Set<HTTPProtocol>
    /// TLS is spoken.
    let isSecure: Bool
    /// Proxies that say first whose a connection is.
    let proxies: [AddressRange]

    init(
        _ listener: consuming Listener, _ index: Int, _ tenant: TenantID?,
        _ policy: ListenerPolicy
    ) {
        protocols = policy.protocols
        isSecure = policy.tls != nil
        proxies = policy.proxies
        self.listener = listener
        self.index = index
        self.tenant = tenant
    }

    init(_ address: Address) throws(GatewayFault) {
        index = 0
        tenant = nil
        protocols = [.http1]
        isSecure = false
        proxies = []
        do throws(SystemFault) {
            guard let resolved = SocketAddress(address) else { throw .notFound }
            if try Listener.isTaken(resolved) { throw .addressInUse }
            listener = try Listener.bind(resolved, backlog: 4_096)
        } catch {
            throw .listen(address, error)
        }
    }
}
