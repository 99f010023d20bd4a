// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Clients that take less than is made for them.
@Suite
struct SlowClientTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Writes numbered pieces until congested, and goes on whenever that is over.
    private final class Source {
        static let size = 10_000
        private var sent = 0
        private var stops = 0
        private let total: Int

        init(pieces total: Int) { self.total = total }

        var pieces: Int { sent }
        var timesStopped: Int { stops }

        static func piece(_ number: Int) -> String {
            let name = "\(number):"
            return name + String(repeating: "x", count: size - name.utf8.count)
        }

        func write(_ server: HTTP1ServerConnection) {
            while sent < total, !server.isCongested {
                server.write(Self.piece(sent))
                sent += 1
                if sent == total { server.end() }
            }
            if sent < total { stops += 1 }
            server.flush()
        }
    }

    private func ends(_ peer: Peer, with text: String) -> Bool {
        peer.bytes.suffix(text.utf8.count).elementsEqual(text.utf8)
    }

    @Test
    func aSlowClientStopsTheSourceAndLosesNothing() throws {
        let source = Source(pieces: 1_200)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            source.write(server)
        }
        owner.drained = { source.write($0) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect(most: 65_536)
        peer.stopReading()
        peer.send(Self.get)
        rig.settle()
        let server = try #require(rig.server)
        #expect(server.isCongested)
        #expect(source.pieces * Source.size < 8 << 20)
        #expect(server.heldAnswerBytes <= 256 << 10)
        #expect(server.heldRequestBytes <= 8_192)
        #expect(!rig.turn(atMost: .zero))
        peer.startReading()
        var most = 0
        let isWhole = rig.run {
            most = max(most, server.heldAnswerBytes)
            return ends(peer, with: "0\r\n\r\n")
        }
        #expect(isWhole && most <= 256 << 10)
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.chunks == (0..<1_200).map(Source.piece))
        #expect(source.timesStopped > 1)
        let drained = rig.told.filter { $0 == .drained }.count
        #expect(drained == source.timesStopped)
        #expect(!peer.isOver)
        #expect(server.heldAnswerBytes == 0)
    }

    @Test
    func theConnectionServesOnAfterwards() throws {
        let source = Source(pieces: 1_200)
        var owner = Owner()
        owner.request = { server in
            if server.targetText == "/second" { return server.answer("second") }
            server.begin(200, .exact(12_000_000))
            source.write(server)
        }
        owner.drained = { source.write($0) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(Self.get + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        rig.settle()
        peer.startReading()
        #expect(rig.run { ends(peer, with: "\r\n\r\nsecond") })
        let replies = Reply.all(in: peer.bytes).replies
        #expect(replies.map(\.body.utf8.count) == [12_000_000, 6])
    }

    /// What a turn brings comes on top of a full buffer, and the buffer grows in doublings.
    @Test
    func whatAStalledStreamHoldsStaysBelowTheBound() throws {
        var owner = Owner()
        owner.request = { $0.begin(200, .unknown) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect(most: 20_000)
        peer.stopReading()
        peer.send(Self.get)
        rig.settle()
        let server = try #require(rig.server)
        let turn = [UInt8](repeating: 0x61, count: 32 << 10)
        var random = SplitMix64(seed: 5)
        for step in 0..<2_000 {
            if !server.isCongested {
                let size = Int(random.next() % 32_768) + 1
                server.write(Array(turn.prefix(size)))
                server.flush()
                rig.pump(server)
            } else if step % 3 == 0 {
                peer.startReading()
                rig.turn(atMost: .zero)
                peer.stopReading()
            } else {
                rig.turn(atMost: .zero)
            }
            #expect(server.heldAnswerBytes <= 128 << 10)
        }
    }

    @Test
    func aClientThatReadsNothingIsGivenUp() throws {
        var limits = ServerLimits()
        limits.writeTimeout = .milliseconds(30)
        let source = Source(pieces: 6_400)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            source.write(server)
        }
        let rig = try Rig(server: limits, owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(Self.get)
        #expect(rig.run { rig.told.last == .closed })
        #expect(rig.told == [.head("GET /"), .request(""), .left, .closed])
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(peer.isReset)
    }

    @Test
    func takingSomethingGivesMoreTime() throws {
        var limits = ServerLimits()
        limits.writeTimeout = .milliseconds(200)
        let source = Source(pieces: 600)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            source.write(server)
        }
        owner.drained = { source.write($0) }
        let rig = try Rig(server: limits, owner: owner)
        let peer = try rig.connect(most: 1)
        peer.send(Self.get)
        let start = MonotonicClock.now()
        #expect(rig.run { ends(peer, with: "0\r\n\r\n") || peer.isOver })
        #expect(MonotonicClock.now() - start > .milliseconds(200) || !peer.isOver)
        #expect(!peer.isOver)
    }

    /// An invitation that the client does not take, and later answers behind it: the time for
    /// taking them runs although the connection reads meanwhile.
    @Test
    func aBlockedInvitationDoesNotHideABlockedAnswer() throws {
        var limits = ServerLimits()
        limits.writeTimeout = .milliseconds(50)
        let big = [UInt8](repeating: 0x61, count: 8 << 20)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .exact(big.count))
            server.write(big)
            server.end()
            server.flush()
        }
        let rig = try Rig(server: limits, owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        rig.settle()
        peer.send("x")
        #expect(rig.run { rig.openServers == 0 })
    }

    /// The answer is done, as far as the owner goes; the client ends its side and reads on.
    @Test
    func aClientThatEndsItsSideStillGetsAnAnswerThatWasDone() throws {
        let big = [UInt8](repeating: 0x61, count: 8 << 20)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .exact(big.count))
            server.write(big)
            server.end()
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(Self.get)
        rig.settle()
        peer.finish()
        rig.settle()
        #expect(!rig.turn(atMost: .zero))
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(Reply.all(in: peer.bytes).replies.first?.body.utf8.count == big.count)
        #expect(rig.told == [.head("GET /"), .request(""), .closed])
    }
}
