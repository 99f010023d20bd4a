// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct SocketTests {
    /// Reads until the end of the stream; the bytes that came.
    private func empty(_ socket: borrowing Socket) throws -> Int {
        var received = 0
        while true {
            _ = try ready(socket.descriptor, .read)
            switch socket.receive().transfer {
            case .bytes(let count): received += count
            case .closed: return received
            case .wouldBlock, .failed: throw Missing.connection
            }
        }
    }

    @Test(arguments: Family.present)
    func bytesGoBothWays(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        #expect(pair.client.send(text: "ping") == .bytes(4))
        #expect(try pair.server.receive(text: 4) == "ping")
        #expect(pair.server.send(text: "pong") == .bytes(4))
        #expect(try pair.client.receive(text: 4) == "pong")
        #expect(pair.client.receive().transfer == .wouldBlock)
    }

    @Test(arguments: Family.present)
    func twoPiecesArriveAsOneStream(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        for (head, body) in [("head ", "body"), ("", "body"), ("head ", ""), ("", "")] {
            let first = Array(head.utf8)
            let second = Array(body.utf8)
            let transfer = unsafe first.withUnsafeBytes { first in
                unsafe second.withUnsafeBytes { unsafe pair.client.send(first, $0) }
            }
            #expect(transfer == .bytes(first.count + second.count))
            #expect(try pair.server.receive(text: first.count + second.count) == head + body)
        }
    }

    @Test(arguments: Family.present)
    func aFullWayBlocksAndLosesNothing(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        pair.client.setSendBuffer(.kibi(16))
        pair.server.setReceiveBuffer(.kibi(16))
        let sent = try pair.client.fill()
        #expect(sent > 0)
        pair.client.shutdownWrite()
        #expect(try empty(pair.server) == sent)
    }

    @Test func buffersBoundWhatIsOnTheWay() throws {
        let address = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let small = try Pair(address)
        small.client.setSendBuffer(.kibi(8))
        small.server.setReceiveBuffer(.kibi(8))
        let large = try Pair(address)
        large.client.setSendBuffer(.mebi(1))
        #expect(try small.client.fill() < large.client.fill())
    }

    @Test func unsentBytesAreThoseThePeerHasNotTaken() throws {
        let pair = try Pair(try #require(SocketAddress(ip: "127.0.0.1", port: 0)))
        #expect(pair.client.unsentBytes() == 0)
        let sent = try pair.client.fill()
        let waiting = pair.client.unsentBytes() ?? 0
        #expect(waiting > 0 && waiting <= sent)
    }

    @Test func oneDirectionCanEndWhileTheOtherGoesOn() throws {
        let pair = try Pair(try #require(SocketAddress(ip: "127.0.0.1", port: 0)))
        pair.client.shutdownWrite()
        _ = try ready(pair.server.descriptor, .read)
        #expect(pair.server.receive().transfer == .closed)
        #expect(pair.server.receive().transfer == .closed)
        #expect(pair.server.send(text: "late answer") == .bytes(11))
        #expect(try pair.client.receive(text: 11) == "late answer")
    }

    @Test(arguments: Family.present)
    func sendingToAClosedPeerIsAFaultAndNoSignal(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let listener = try Listener.bind(address, backlog: 4)
        let client = try Socket.connect(to: listener.address)
        do {
            let server = try listener.next()
            server.resetOnClose()
        }
        _ = try ready(client.descriptor, .read)
        var faults: [SystemFault] = []
        for _ in 0..<2 {
            if case .failed(let fault) = client.send(text: "x") { faults.append(fault) }
        }
        #expect(faults.count == 2)
        #expect(faults.last == .brokenPipe)
    }

    /// Whether a peer may have read what was sent is known behind its back, also when it is gone.
    @Test(arguments: [false, true])
    func whatNobodyAcknowledgedNobodyHasRead(arrives: Bool) throws {
        let listener = try Listener.bind(
            try #require(SocketAddress(ip: "127.0.0.1", port: 0)), backlog: 4)
        let client = try Socket.connect(to: listener.address)
        #expect(client.unacknowledgedBytes() == 0)
        do {
            let server = try listener.next()
            #expect(client.send(text: "first") == .bytes(5))
            #expect(try server.receive(text: 5) == "first")
            if arrives {
                #expect(client.send(text: "second") == .bytes(6))
                _ = try ready(server.descriptor, .read)
            }
        }
        _ = try ready(client.descriptor, .read)
        if !arrives { #expect(client.send(text: "second") == .bytes(6)) }
        while case .bytes = client.receive().transfer {}
        #expect(client.unacknowledgedBytes() == (arrives ? 0 : 6))
    }

    @Test func onlyTCPTellsWhatIsUnacknowledged() throws {
        let folder = Folder()
        defer { folder.remove() }
        let pair = try Pair(Family.unix.address(in: folder))
        #expect(pair.client.unacknowledgedBytes() == nil)
    }

    @Test func aResetIsAFaultOnReceive() throws {
        let listener = try Listener.bind(
            try #require(SocketAddress(ip: "127.0.0.1", port: 0)), backlog: 4)
        let client = try Socket.connect(to: listener.address)
        do {
            let server = try listener.next()
            server.resetOnClose()
        }
        _ = try ready(client.descriptor, .read)
        #expect(client.receive().transfer == .failed(.reset))
        client.shutdownWrite()
    }

    @Test(arguments: Family.presentIP)
    func connectingToAPortWithoutListenerIsRefused(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        // The port of a client, taken but without a listener.
        let listener = try Listener.bind(address, backlog: 1)
        let client = try Socket.connect(to: listener.address)
        _ = try ready(listener.descriptor, .read)
        guard case .socket(_, let dead) = listener.accept() else { throw Missing.connection }
        #expect(client.descriptor >= 0)
        do {
            let socket = try Socket.connect(to: dead)
            _ = try ready(socket.descriptor, .write)
            #expect(socket.connectOutcome() == .connectRefused)
            #expect(socket.connectOutcome() == nil)
        } catch {
            #expect(error as? SystemFault == .connectRefused)
        }
    }

    @Test func connectingToAUnixPathTellsAtOnceWhyNot() throws {
        let folder = Folder()
        defer { folder.remove() }
        let path = folder.path("nobody")
        let address = try #require(SocketAddress(unixPath: path))
        #expect(throws: SystemFault.notFound) { try connects(to: address) }
        leaveStaleSocket(at: path)
        #expect(throws: SystemFault.connectRefused) { try connects(to: address) }
    }

    /// Whether connecting begins without a fault; the socket is closed again.
    private func connects(to address: SocketAddress) throws {
        _ = try Socket.connect(to: address)
    }

    @Test(arguments: Family.present)
    func socketsOfBothEndsNeverBlockAreClosedOnExecAndDoNotDelay(family: Family) throws {
        let folder = Folder()
        defer { folder.remove() }
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        for descriptor in [pair.client.descriptor, pair.server.descriptor] {
            #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
            guard family != .unix else { continue }
            #expect(option(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY) != 0)
        }
        #expect(fcntl(pair.listener.descriptor, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(pair.listener.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }
}
