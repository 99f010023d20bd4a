// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Store
import Units

/// The ledger's threads, one for each sink.
struct LedgerThreads {
    let lanes: [LedgerLane]
    private let threads: [LoopThread]

    /// Opens what there is to open, so that a wrong path is an error of the start.
    init(
        _ fixed: FixedPolicy, gateway: UInt64, redis: RedisShared?, log: LogSink
    ) throws(GatewayFault) {
        var lanes: [LedgerLane] = []
        var threads: [LoopThread] = []
        if let policy = fixed.ledger, let file = policy.file {
            do throws(SystemFault) {
                let lane = try LedgerLane(
                    sink: "file", target: file.path, policy: policy,
                    open: HTTPPolicy.connectionsLimit * fixed.workers)
                threads.append(try Self.start(lane, file, gateway, log))
                lanes.append(lane)
            } catch {
                throw .ledger(file.path, error)
            }
            log.write("ledger \(file.path): \(Self.promise(policy, file.sync))")
        }
        if let policy = fixed.ledger, let stream = policy.stream, let redis {
            do throws(SystemFault) {
                let lane = try LedgerLane(
                    sink: "redis_stream", target: stream.key, policy: policy,
                    open: HTTPPolicy.connectionsLimit * fixed.workers)
                let thread = try LedgerStreamThread(
                    lane, stream, redis, gateway: gateway, log: log)
                threads.append(try LoopThread(name: "penstock-stream") { thread.run() })
                lanes.append(lane)
            } catch {
                throw .ledger(stream.key, error)
            }
            log.write("ledger \(stream.key): \(Self.killed(policy))")
        }
        self.lanes = lanes
        self.threads = threads
    }

    /// Writes out what has come, and ends.
    func end() {
        for lane in lanes { lane.box.post(.end) }
        for thread in threads { thread.join() }
    }

    private static func start(
        _ lane: LedgerLane, _ policy: LedgerFilePolicy, _ gateway: UInt64, _ log: LogSink
    ) throws(SystemFault) -> LoopThread {
        let file = try LedgerFile(policy, now: MonotonicClock.now(), wall: WallClock.now())
        let thread = try LedgerFileThread(lane, policy, file, gateway: gateway, log: log)
        return try LoopThread(name: "penstock-ledger") { thread.run() }
    }

    /// What may be lost, for the log of the start.
    private static func killed(_ policy: LedgerPolicy) -> String {
        let killed =
            "a killed gateway loses what waits to be written: mostly nothing, at most what was "
            + "settled within \(policy.window) and what was open then"
        let dropped = policy.onFull == .drop ? ", and more where it waits longer" : ""
        return killed + dropped
    }

    private static func promise(_ policy: LedgerPolicy, _ sync: LedgerSync) -> String {
        let power =
            switch sync {
            case .always: "; a loss of power takes nothing that was written"
            case .interval(let interval): "; a loss of power takes the last \(interval) as well"
            case .never: "; a loss of power takes what the system had not written"
            }
        return killed(policy) + power
    }
}
