// SPDX-License-Identifier: Apache-2.0

public import EventLoop
import Units

/// What an engine's thread is told.
enum EngineMessage: Sendable {
    case stop
}

/// Why engines did not start.
public enum EngineStartFault: Error, Sendable, Equatable, CustomStringConvertible {
    case listen(SocketAddress, SystemFault)
    case system(SystemFault)
    /// Its speed is not above zero, or its context holds nothing.
    case setup(String)

    public var description: String {
        switch self {
        case .listen(let address, let fault): "cannot listen on \(address): \(fault)"
        case .system(let fault): "\(fault)"
        case .setup(let text): text
        }
    }
}

/// Simulated engines in this process, each on a thread of its own.
public final class EngineServer: Sendable {
    /// Where each engine listens, with the real ports, in the order of the setups.
    public let addresses: [SocketAddress]
    private let mailboxes: [Mailbox<EngineMessage>]
    /// Gets one message for each engine that has ended.
    private let ends: Mailbox<Void>
    private let threads: [LoopThread]

    /// Binds every door before any thread starts, so that a taken port is a fault of the start.
    public static func start(
        _ setups: [EngineSetup]
    ) throws(EngineStartFault) -> EngineServer {
        var doors: [Door] = []
        for setup in setups {
            guard setup.speed > 0, setup.speed.isFinite else {
                throw .setup("an engine's speed is above zero")
            }
            guard setup.contextLimit.count > 1 else {
                throw .setup("an engine's context holds two tokens at least")
            }
            do throws(SystemFault) {
                doors.append(
                    Door(
                        listener: try Listener.bind(setup.address, backlog: 1_024),
                        mailbox: try Mailbox(limit: 4)))
            } catch {
                throw .listen(setup.address, error)
            }
        }
        do throws(SystemFault) {
            return try EngineServer(setups, doors)
        } catch {
            throw .system(error)
        }
    }

    private init(_ setups: [EngineSetup], _ doors: [Door]) throws(SystemFault) {
        addresses = doors.map(\.address)
        mailboxes = doors.map(\.mailbox)
        let ends = try Mailbox<Void>(limit: setups.count)
        self.ends = ends
        var threads: [LoopThread] = []
        for (place, setup) in setups.enumerated() {
            let door = doors[place]
            do {
                threads.append(
                    try LoopThread(name: "engine-\(place)") {
                        Self.work(setup, door)
                        ends.post(())
                    })
            } catch {
                // Those that have begun would go on unseen.
                for mailbox in mailboxes { mailbox.post(.stop) }
                throw error
            }
        }
        self.threads = threads
    }

    /// Cuts all connections and returns when every thread has ended.
    public func stop() {
        for mailbox in mailboxes { mailbox.post(.stop) }
        wait()
    }

    /// Returns when every engine has ended by itself: by dying, or because it could not go on.
    public func wait() {
        for thread in threads { thread.join() }
    }

    /// Returns when every engine has ended by itself, or cuts all connections when a signal asks
    /// for the end. SIGHUP changes nothing: there is no configuration to read again.
    public func wait(until signals: borrowing SignalSource) throws(SystemFault) {
        let poller = try Poller()
        let none = Token(kind: 0, key: SlabKey(raw: 0))
        try poller.add(signals.descriptor, .read, none)
        try poller.add(ends.descriptor, .read, none)
        var ended: [Void] = []
        while ended.count < threads.count {
            _ = try poller.wait(until: nil, now: Instant(nanoseconds: 0))
            ends.drain(into: &ended)
            while let signal = signals.next() {
                if signal != .reload { return stop() }
            }
        }
        wait()
    }

    private static func work(_ setup: EngineSetup, _ door: Door) {
        do throws(SystemFault) {
            try door.run(setup)
        } catch {
            // The kernel refused a poller or a descriptor: to its clients this engine has died.
        }
    }
}

/// A bound listener on its way to its thread.
private final class Door: Sendable {
    let address: SocketAddress
    let mailbox: Mailbox<EngineMessage>
    private let listener: Listener

    init(listener: consuming Listener, mailbox: Mailbox<EngineMessage>) {
        address = listener.address
        self.listener = listener
        self.mailbox = mailbox
    }

    func run(_ setup: EngineSetup) throws(SystemFault) {
        let worker = try EngineWorker(
            setup, listener: try listener.duplicate(), mailbox: mailbox)
        try worker.run()
    }
}
