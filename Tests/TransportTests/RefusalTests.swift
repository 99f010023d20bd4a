// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// Answers that come before the request was read, and what cannot be read at all.
@Suite
struct RefusalTests {
    private static let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

    private static var refusing: Owner {
        var owner = Owner()
        owner.head = { server in
            if server.targetText == "/next" { return }
            server.answer("no", status: 401)
        }
        return owner
    }

    @Test(arguments: [
        "Content-Length: 1000000\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    ])
    func aRefusalThatWouldWaitForABodyEndsTheConnection(rest: String) throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\n" + rest)
        #expect(rig.run { peer.isOver })
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.status == 401 && reply.body == "no")
        #expect(reply.fields["connection"] == "close")
        // What would follow is not looked at.
        peer.send("123456" + Self.next)
        rig.settle()
        #expect(rig.told == [.head("POST /")])
        peer.finish()
        #expect(rig.run { rig.openServers == 0 })
    }

    /// Most clients send head and body in two pieces: a refusal between them costs no connection.
    @Test(arguments: [1, 4_096, 60_000])
    func theRestOfAShortBodyIsReadAway(size: Int) throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
        #expect(rig.run { !peer.bytes.isEmpty })
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.status == 401 && reply.fields["connection"] == nil)
        let body = Self.next + String(repeating: "x", count: size)
        for byte in Array(body.utf8.prefix(size)) {
            peer.send([byte])
            if size < 5_000 { rig.turn(atMost: .zero) }
        }
        peer.send(Self.next)
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
        #expect(rig.told == [.head("POST /"), .head("GET /next"), .request("")])
        #expect(!peer.isOver)
    }

    @Test
    func aShortBodyThatDoesNotComeEndsTheConnection() throws {
        var limits = ServerLimits()
        limits.bodyTimeout = .milliseconds(30)
        limits.lingerTimeout = .milliseconds(30)
        let rig = try Rig(server: limits, owner: Self.refusing)
        let slow = try rig.connect()
        slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        #expect(rig.run { rig.openServers == 0 })
        let gone = try rig.connect()
        gone.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        gone.finish()
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.head("POST /"), .closed, .head("POST /"), .closed])
        for peer in [slow, gone] {
            #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [401])
        }
    }

    @Test
    func aConnectionThatReadsAwayClosesAfterwardsWhenAsked() throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        #expect(rig.run { !peer.bytes.isEmpty })
        let server = try #require(rig.server)
        server.closeAfterAnswer()
        rig.pump(server)
        rig.settle()
        peer.send("123456")
        #expect(rig.run { peer.isOver })
        #expect(peer.hasEnded && !peer.isReset)
    }

    @Test(arguments: [
        "Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "Content-Length: 0\r\n\r\n", "X: y\r\n\r\n",
    ])
    func aRefusalOfARequestThatIsHereKeepsTheConnection(rest: String) throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\n" + rest + Self.next)
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
        #expect(rig.told == [.head("POST /"), .head("GET /next"), .request("")])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [401, 200])
        #expect(!peer.isOver)
    }

    @Test
    func aRefusalOfABadBodyThatIsHereEndsTheConnection() throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyX" + Self.next
        )
        #expect(rig.run { peer.isOver })
        #expect(rig.told == [.head("POST /")])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [401])
    }

    /// The client sends megabytes before it looks for an answer, and finds it.
    @Test
    func theAnswerCanBeReadByAClientThatIsStillSending() throws {
        let rig = try Rig(owner: Self.refusing)
        let peer = try rig.connect()
        peer.stopReading()
        let body = [UInt8](repeating: 0x61, count: 12 << 20)
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
        peer.send(body)
        #expect(rig.run { peer.unsentBytes == 0 })
        rig.settle()
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(peer.hasEnded && !peer.isReset)
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [401])
        #expect(rig.server?.heldRequestBytes == 0)
        peer.finish()
        #expect(rig.run { rig.openServers == 0 })
    }

    @Test
    func whatIsReadAwayIsBounded() throws {
        var limits = ServerLimits()
        limits.maxLinger = 1 << 20
        limits.lingerTimeout = .seconds(60)
        let rig = try Rig(server: limits, owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send([UInt8](repeating: 0x61, count: 32 << 20))
        #expect(rig.run { rig.openServers == 0 })
        #expect(peer.unsentBytes > 0)
    }

    @Test
    func theTimeForReadingAwayIsBounded() throws {
        var limits = ServerLimits()
        limits.lingerTimeout = .milliseconds(50)
        let rig = try Rig(server: limits, owner: Self.refusing)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        var sent = 0
        #expect(
            rig.run {
                if sent < 100_000 { peer.send("x") }
                sent += 1
                return rig.openServers == 0
            })
    }

    /// An early answer that does not fit, to a client that sends before it reads.
    @Test
    func aLongRefusalReachesAClientThatSendsFirst() throws {
        let long = String(repeating: "no ", count: 2 << 20)
        var owner = Owner()
        owner.head = { $0.answer(long, status: 403) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12000000\r\n\r\n")
        peer.send([UInt8](repeating: 0x61, count: 12_000_000))
        #expect(rig.run { peer.unsentBytes == 0 })
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(Reply.all(in: peer.bytes).replies.first?.body == long)
    }

    // MARK: an answer that begins early and ends late

    @Test
    func anEarlyAnswerIsNotInterruptedByTheBody() throws {
        var owner = Owner()
        owner.head = { server in
            server.begin(200, .unknown)
            server.write("early")
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        rig.settle()
        peer.send("0\r\n\r\n" + Self.next)
        rig.settle()
        #expect(rig.told == [.head("POST /")])
        let server = try #require(rig.server)
        server.end()
        server.flush()
        rig.pump(server)
        #expect(rig.run { peer.isOver })
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.body == "early" && reply.fields["connection"] == "close")
        #expect(rig.told == [.head("POST /")])
    }

    @Test
    func anEarlyAnswerToAShortBodyEndsLateAndTheConnectionGoesOn() throws {
        var owner = Owner()
        owner.head = { server in
            guard server.targetText == "/" else { return }
            server.begin(200, .unknown)
            server.write("early")
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\nhalf")
        rig.settle()
        peer.send([UInt8](repeating: 0x61, count: 39_996) + Array(Self.next.utf8))
        rig.settle()
        #expect(rig.told == [.head("POST /")])
        let server = try #require(rig.server)
        #expect(server.heldRequestBytes <= 65_536)
        server.end()
        server.flush()
        rig.pump(server)
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
        #expect(Reply.all(in: peer.bytes).replies.map(\.body) == ["early", "ok"])
        #expect(rig.told == [.head("POST /"), .head("GET /next"), .request("")])
    }

    // MARK: faults

    @Test
    func afterAFaultNothingIsExecuted() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + Self.next + Self.next)
        #expect(rig.run { peer.isOver })
        #expect(rig.told == [.fault(.head(.duplicateHost))])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [400])
        peer.finish()
        #expect(rig.run { rig.openServers == 0 })
        #expect(rig.told == [.fault(.head(.duplicateHost)), .closed])
    }

    @Test
    func aFaultAfterGoodRequestsIsAnsweredInItsTurn() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(Self.next + Self.next + "bad request\r\n\r\n" + Self.next)
        #expect(rig.run { peer.isOver })
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [200, 200, 400])
    }

    @Test
    func afterAChunkFaultNothingIsExecuted() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokBAD"
                + Self.next + Self.next)
        #expect(rig.run { peer.isOver })
        #expect(rig.told == [.head("POST /"), .fault(.chunk(.missingDataEnd))])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [400])
    }

    @Test
    func aHeadRequestAtFaultGetsNoBody() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        #expect(rig.run { peer.isOver })
        let (replies, rest) = Reply.all(in: peer.bytes, methods: ["HEAD"])
        #expect(replies.map(\.status) == [400])
        #expect(rest.isEmpty)
    }

    @Test
    func tooLargeABodyIsRefusedByItsAnnouncement() throws {
        var limits = ServerLimits()
        limits.maxBody = 1_000
        let rig = try Rig(server: limits)
        let peer = try rig.connect()
        peer.send(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        #expect(rig.run { peer.isOver })
        #expect(rig.told == [.fault(.bodyTooLarge(limit: 1_000))])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [413])
        let exact = try rig.connect()
        exact.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        exact.send([UInt8](repeating: 0x61, count: 1_000))
        #expect(rig.run { Reply.all(in: exact.bytes).replies.map(\.status) == [200] })
    }

    @Test
    func tooLargeAChunkedBodyIsRefusedWhenItIs() throws {
        var limits = ServerLimits()
        limits.maxBody = 100_000
        let rig = try Rig(server: limits)
        for (size, status) in [(100_000, 200), (100_001, 413)] {
            rig.clearTold()
            let peer = try rig.connect()
            peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in stride(from: 0, to: size, by: 9_000) {
                let piece = min(9_000, size - start)
                peer.send("\(String(piece, radix: 16))\r\n")
                peer.send([UInt8](repeating: 0x61, count: piece) + [13, 10])
            }
            peer.send("0\r\n\r\n")
            #expect(rig.run { !Reply.all(in: peer.bytes).replies.isEmpty })
            #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [status])
            #expect(rig.told.contains(.fault(.bodyTooLarge(limit: 100_000))) == (status == 413))
        }
    }

    @Test
    func aRequestAfterARefusalOnTheSameConnectionStartsAfresh() throws {
        var seen: [Int?] = []
        var owner = Owner()
        owner.head = { server in
            seen.append(server.announcedLength)
            server.inviteBody()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(
            "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                + "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                + "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nyz")
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 3 })
        #expect(seen == [nil, 0, 2])
        #expect(
            rig.told == [
                .head("POST /1"), .request("x"), .head("GET /2"), .request(""), .head("POST /3"),
                .request("yz"),
            ])
    }
}
