// SPDX-License-Identifier: Apache-2.0

import Decision
package import EventLoop
package import Policy
import Store
import Units

/// All that a gateway is started with.
package struct GatewaySetup: Sendable {
    package var fixed: FixedPolicy
    package var policy: Policy
    /// The effective configuration as JSON, secrets masked.
    package var effective: String
    /// Loads the configuration anew; called on the control thread.
    package var reload: @Sendable (Policy) -> ReloadOutcome

    package init(
        fixed: FixedPolicy, policy: Policy, effective: String,
        reload: @escaping @Sendable (Policy) -> ReloadOutcome
    ) {
        self.fixed = fixed
        self.policy = policy
        self.effective = effective
        self.reload = reload
    }
}

/// Why a gateway did not start.
package enum GatewayFault: Error, Sendable, CustomStringConvertible {
    case listen(Address, SystemFault)
    case system(SystemFault)
    case thread(SystemFault)

    package var description: String {
        switch self {
        case .listen(let address, let fault): "cannot listen on \(address): \(fault)"
        case .system(let fault): "\(fault)"
        case .thread(let fault): "cannot start a thread: \(fault)"
        }
    }
}

/// A gateway in this process: starts its threads, and runs the control loop on the calling one.
package final class GatewayProcess {
    private let shared: Shared
    private let control: Control
    private let threads: [LoopThread]
    /// Where clients are taken, with the real ports.
    package let addresses: [SocketAddress]
    package let adminAddress: SocketAddress

    /// Binds every door before any thread starts, so that a taken port is an error of the start.
    package init(_ setup: GatewaySetup, log: LogSink) throws(GatewayFault) {
        let workers = setup.fixed.workers
        let doors = try Self.bind(setup, workers)
        let admin = try Self.listen(setup.fixed.admin.address)
        adminAddress = admin.address
        addresses = doors.first?.map { $0.listener.address } ?? []
        do throws(SystemFault) {
            let signals = try SignalSource()
            let seed = SystemRandom.seed()
            let memory = Self.memory(setup, log)
            shared = try Shared(
                policy: setup.policy, workers: workers, memory: memory, log: log, seed: seed)
            control = try Control(
                shared: shared, setup: setup, signals: signals, door: admin,
                resolver: Resolver(limit: 1_024))
            threads = try Self.start(doors, setup, shared)
        } catch {
            throw .system(error)
        }
    }

    /// Runs until the end; says how many requests were cut.
    package func run() throws(GatewayFault) -> Int {
        do throws(SystemFault) {
            let cut = try control.run()
            for thread in threads { thread.join() }
            return cut
        } catch {
            throw .system(error)
        }
    }

    // MARK: doors

    /// A door of each listener for each worker: TCP ports are bound once a worker, a Unix socket is shared.
    private static func bind(
        _ setup: GatewaySetup, _ workers: Int
    ) throws(GatewayFault) -> [[Door]] {
        var doors: [[Door]] = Array(repeating: [], count: workers)
        for (place, policy) in setup.fixed.listeners.enumerated() {
            let tenant = policy.tenant.flatMap { name in
                setup.policy.tenants.first { $0.name == name && !$0.removed }?.id
            }
            let first = try listen(policy.address)
            let bound = first.address
            for worker in 1..<max(1, workers) {
                let listener: Listener
                do throws(SystemFault) {
                    if case .unix = policy.address {
                        listener = try first.duplicate()
                    } else {
                        listener = try Listener.bind(bound, backlog: 4_096)
                    }
                } catch {
                    throw .listen(policy.address, error)
                }
                doors[worker].append(Door(listener: listener, index: place, tenant: tenant))
            }
            doors[0].append(Door(listener: first, index: place, tenant: tenant))
        }
        return doors
    }

    private static func listen(_ address: Address) throws(GatewayFault) -> Listener {
        guard let resolved = SocketAddress(address) else {
            throw .listen(address, .notFound)
        }
        do throws(SystemFault) {
            return try Listener.bind(resolved, backlog: 4_096)
        } catch {
            throw .listen(address, error)
        }
    }

    // MARK: threads

    private static func memory(_ setup: GatewaySetup, _ log: LogSink) -> MemoryStore? {
        guard case .memory(let policy) = setup.fixed.store else { return nil }
        let memory = MemoryStore()
        guard let path = policy.snapshot else { return memory }
        do throws(SystemFault) {
            let bytes = try Files.readFile(path, limit: .mebi(256))
            do throws(SnapshotFault) {
                try memory.restore(bytes, policy: setup.policy, wall: WallClock.now())
            } catch {
                log.write("snapshot \(path): \(error); budgets start full")
            }
        } catch {
            if error != .notFound { log.write("snapshot \(path): \(error)") }
        }
        return memory
    }

    private static func start(
        _ doors: consuming [[Door]], _ setup: GatewaySetup, _ shared: Shared
    ) throws(SystemFault) -> [LoopThread] {
        var threads: [LoopThread] = []
        for worker in 0..<setup.fixed.workers {
            let bundle = WorkerBundle(doors: doors[worker])
            threads.append(
                try LoopThread(name: "penstock-\(worker)") {
                    Self.work(worker, bundle, setup, shared)
                })
        }
        return threads
    }

    private static func work(
        _ index: Int, _ doors: [Door], _ setup: GatewaySetup, _ shared: Shared
    ) {
        do throws(SystemFault) {
            let worker = try Worker(
                index: index, shared: shared, policy: setup.policy, doors: doors,
                store: try makeStore(setup, shared, index),
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
