// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Clients that go away, in an orderly way or not.
@Suite
struct LeavingClientTests {
    enum Manner: CaseIterable {
        case finish
        case close
        case reset

        func leave(_ peer: Peer) {
            switch self {
            case .finish: peer.finish()
            case .close: peer.close()
            case .reset: peer.reset()
            }
        }
    }
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test(arguments: Manner.allCases)
    func nobodyIsToldOfAnIdleClient(manner: Manner) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        rig.settle()
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.closed])
    }

    @Test(arguments: Manner.allCases)
    func nobodyIsToldAfterAnAnswer(manner: Manner) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(Self.get)
        #expect(rig.run { !peer.bytes.isEmpty })
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("GET /"), .request(""), .closed])
    }

    @Test(arguments: Manner.allCases)
    func halfAHeadIsForgotten(manner: Manner) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("GET / HTTP/1.1\r\nHos")
        rig.settle()
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.closed])
    }

    @Test(arguments: Manner.allCases)
    func theOwnerIsToldInTheMiddleOfABody(manner: Manner) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        rig.settle()
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("POST /"), .left, .closed])
    }

    @Test(arguments: Manner.allCases)
    func theOwnerIsToldBeforeTheAnswer(manner: Manner) throws {
        var owner = Owner()
        owner.request = { _ in }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.get)
        rig.settle()
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("GET /"), .request(""), .left, .closed])
    }

    @Test(arguments: Manner.allCases)
    func theOwnerIsToldInTheMiddleOfAnAnswer(manner: Manner) throws {
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            server.write("half")
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.get)
        #expect(rig.run { !peer.bytes.isEmpty })
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("GET /"), .request(""), .left, .closed])
    }

    /// With an answer that the client does not take, and with more to read than is read ahead.
    @Test(arguments: Manner.allCases)
    func theOwnerIsToldWhileNothingMoves(manner: Manner) throws {
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            server.write([UInt8](repeating: 0x61, count: 8 << 20))
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(String(repeating: Self.get, count: 1_000))
        rig.settle()
        #expect(peer.unsentBytes == 0)
        #expect(rig.server?.isCongested == true)
        manner.leave(peer)
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("GET /"), .request(""), .left, .closed])
    }

    /// The same segment brings the request and the end: the answer that can be given at once is.
    @Test
    func whoAsksAndEndsGetsAnImmediateAnswer() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(String(repeating: Self.get, count: 3))
        peer.finish()
        #expect(rig.run { peer.isOver })
        let (replies, rest) = Reply.all(in: peer.bytes)
        #expect(replies.map(\.body) == ["ok", "ok", "ok"])
        #expect(rest.isEmpty)
        #expect(!rig.told.contains(.left))
    }

    @Test
    func nothingWrittenToAClientThatLeftIsHeld() throws {
        var owner = Owner()
        owner.request = { $0.begin(200, .unknown) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.get)
        rig.settle()
        let server = try #require(rig.server)
        peer.reset()
        // The reset is known to the kernel and not to the connection.
        for _ in 0..<100 {
            server.write([UInt8](repeating: 0x61, count: 32 << 10))
            server.flush()
        }
        #expect(server.heldAnswerBytes <= 128 << 10)
        rig.pump(server)
        #expect(rig.told == [.head("GET /"), .request(""), .left, .closed])
        server.write("late")
        server.end()
        server.flush()
        server.abort()
        server.closeAfterAnswer()
        server.dropRequest()
        rig.pump(server)
        rig.settle()
        #expect(rig.told.count == 4)
        #expect(server.heldAnswerBytes == 0 && server.heldRequestBytes == 0)
    }

    @Test
    func timersOfAClosedConnectionAreSilent() throws {
        var limits = ServerLimits()
        limits.headTimeout = .milliseconds(5)
        limits.idleTimeout = .milliseconds(5)
        let rig = try Rig(server: limits)
        let peer = try rig.connect()
        peer.reset()
        let server = try #require(rig.server)
        #expect(rig.run { rig.openServers == 0 })
        let end = MonotonicClock.now() + .milliseconds(20)
        #expect(rig.run { MonotonicClock.now() > end })
        server.timerFired()
        rig.pump(server)
        #expect(rig.told == [.closed])
    }
}
