// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct ListenerTests {
    @Test(arguments: Family.presentIP)
    func aListenerKnowsThePortThatTheKernelChose(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let wanted = try family.address(in: folder)
        let listener = try Listener.bind(wanted, backlog: 4)
        #expect(listener.address.port != 0)
        #expect(listener.address.host == wanted.host)
    }

    @Test(arguments: Family.present)
    func anAcceptedConnectionComesWithItsOtherEnd(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let listener = try Listener.bind(address, backlog: 4)
        let client = try Socket.connect(to: listener.address)
        _ = try ready(listener.descriptor, .read)
        guard case .socket(let server, let peer) = listener.accept() else {
            throw Missing.connection
        }
        #expect(peer.isLoopback)
        #expect(peer.port != 0)
        #expect(peer.host == (family == .unix ? "unix:" : address.host))
        #expect(server.send(text: "hi") == .bytes(2))
        #expect(try client.receive(text: 2) == "hi")
    }

    @Test(arguments: Family.presentIP)
    func littleWaitsInTheKernelForAPeerThatDoesNotRead(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let listener = try Listener.bind(try family.address(in: folder), backlog: 4)
        let client = try Socket.connect(to: listener.address)
        _ = try ready(listener.descriptor, .read)
        guard case .socket(let server, _) = listener.accept() else { throw Missing.connection }
        #expect(try server.fill() > 0)
        #expect(server.unsentBytes() ?? 0 > 0)
        #expect(server.unsentBytes() ?? 0 <= Listener.unsentLimit.count + 65_536 + 32_768)
        _ = consume client
    }

    @Test(arguments: Family.present)
    func withoutConnectionsThereIsNothingToAccept(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let listener = try Listener.bind(address, backlog: 4)
        guard case .none = listener.accept() else { throw Missing.connection }
    }

    /// Takes what one listener has.
    private func count(_ listener: borrowing Listener) -> Int {
        var count = 0
        while case .socket = listener.accept() { count += 1 }
        return count
    }

    @Test(arguments: Family.present)
    func workersShareOneAddressAndEachConnectionGoesToOne(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let first = try Listener.bind(address, backlog: 64)
        let second =
            try family == .unix ? first.duplicate() : Listener.bind(first.address, backlog: 64)
        #expect(second.address == first.address)
        var reached = 0
        for _ in 0..<32 {
            let client = try Socket.connect(to: first.address)
            _ = try ready(client.descriptor, .write)
            if client.connectOutcome() == nil { reached += 1 }
        }
        #expect(reached == 32)
        #expect(count(first) + count(second) == 32)
    }

    /// What the process binds once and every worker takes its own of.
    private final class Shared: Sendable {
        let listener: Listener

        init(_ listener: consuming Listener) { self.listener = listener }
    }

    @Test func aWorkerDuplicatesAListenerOnItsOwnThread() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        let shared = Shared(try Listener.bind(address, backlog: 4))
        let served = try Mailbox<SystemFault?>(limit: 1)
        let worker = try LoopThread(name: "worker") {
            do throws(SystemFault) {
                let mine = try shared.listener.duplicate()
                let poller = try Poller()
                try poller.add(mine.descriptor, .read, someToken)
                _ = try poller.wait(until: nil, now: MonotonicClock.now())
                guard case .socket(let socket, _) = mine.accept() else { return }
                served.post(socket.send(text: "served") == .bytes(6) ? nil : .brokenPipe)
            } catch {
                served.post(error)
            }
        }
        let client = try Socket.connect(to: address)
        #expect(try client.receive(text: 6) == "served")
        worker.join()
        var outcome: [SystemFault?] = []
        served.drain(into: &outcome)
        #expect(outcome == [nil])
    }

    @Test(.enabled(if: Family.present.contains(.v6)))
    func anIPv6ListenerLeavesIPv4Alone() throws {
        // The kernel decides by itself for any address but this one.
        let every = try #require(SocketAddress(ip: "::", port: 0))
        let listener = try Listener.bind(every, backlog: 4)
        #expect(option(listener.descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY) == 1)
    }

    @Test func anAddressOfAnotherMachineCannotBeBound() throws {
        // TEST-NET-1 (RFC 5737).
        let address = try #require(SocketAddress(ip: "192.0.2.1", port: 0))
        #expect(throws: SystemFault.addressUnavailable) { try binds(address) }
    }

    /// Binds and closes again.
    private func binds(_ address: SocketAddress) throws {
        _ = try Listener.bind(address, backlog: 4)
    }

    @Test func aUnixFileIsGoneAfterItsOwner() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        do {
            let listener = try Listener.bind(address, backlog: 4)
            #expect(folder.names == ["socket"])
            do {
                let other = try listener.duplicate()
                #expect(other.address == address)
            }
            #expect(folder.names == ["socket"])
        }
        #expect(folder.names == [])
    }

    @Test func aLiveUnixListenerKeepsItsPath() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        let listener = try Listener.bind(address, backlog: 4)
        #expect(throws: SystemFault.addressInUse) { try binds(address) }
        #expect(folder.names == ["socket"])
        // The attempt itself has knocked.
        _ = try listener.next()
        let client = try Socket.connect(to: address)
        let server = try listener.next()
        #expect(client.send(text: "x") == .bytes(1))
        #expect(try server.receive(text: 1) == "x")
    }

    @Test func aBusyUnixListenerIsNotTakenForADeadOne() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        let listener = try Listener.bind(address, backlog: 0)
        let first = try Socket.connect(to: address)
        #expect(first.connectOutcome() == nil)
        #expect(throws: SystemFault.addressInUse) { try binds(address) }
        #expect(count(listener) > 0)
    }

    @Test func aStaleUnixFileIsReplaced() throws {
        let folder = Folder()
        defer { folder.remove() }
        leaveStaleSocket(at: folder.path("socket"))
        #expect(folder.names == ["socket"])
        let pair = try Pair(Family.unix.address(in: folder))
        #expect(pair.client.send(text: "x") == .bytes(1))
        #expect(try pair.server.receive(text: 1) == "x")
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        try Files.replaceFile(folder.path("socket"), [1])
        #expect(throws: SystemFault.addressInUse) { try binds(address) }
        #expect(try Files.readFile(folder.path("socket"), limit: 1) == [1])
    }

    @Test func aFileThatTookThePlaceIsLeftAlone() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try Family.unix.address(in: folder)
        do {
            let listener = try Listener.bind(address, backlog: 4)
            #expect(unsafe unlink(folder.path("socket")) == 0)
            leaveStaleSocket(at: folder.path("socket"))
            #expect(listener.address == address)
        }
        #expect(folder.names == ["socket"])
    }

    @Test func aUnixPathInAFolderThatIsNotThereIsNotFound() throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try #require(SocketAddress(unixPath: folder.path("a/socket")))
        #expect(throws: SystemFault.notFound) { try binds(address) }
    }
}
