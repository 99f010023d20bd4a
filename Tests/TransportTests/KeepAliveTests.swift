// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

@Suite
struct KeepAliveTests {
    @Test
    func requestsFollowEachOtherOnOneConnection() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        for turn in 1...5 {
            peer.send("GET /\(turn) HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(rig.run { Reply.all(in: peer.bytes).replies.count == turn })
        }
        rig.settle()
        #expect(rig.told == (1...5).flatMap { [.head("GET /\($0)"), .request("")] })
        let (replies, rest) = Reply.all(in: peer.bytes)
        #expect(replies.allSatisfy { $0.body == "ok" && $0.fields["connection"] == nil })
        #expect(rest.isEmpty)
        #expect(!peer.isOver)
    }

    @Test
    func anIdleConnectionHoldsNoMemory() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        let body = String(repeating: "x", count: 100_000)
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n\(body)")
        #expect(rig.run { !peer.bytes.isEmpty })
        rig.settle()
        #expect(rig.server?.heldRequestBytes == 0)
        #expect(rig.server?.heldAnswerBytes == 0)
    }

    @Test
    func aRequestCanComeByteByByte() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        for byte in Array("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".utf8) {
            peer.send([byte])
            rig.settle()
        }
        #expect(rig.told == [.head("POST /x"), .request("abc")])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [200])
    }

    @Test
    func oneEmptyLineBeforeARequestIsSkipped() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
    }

    // MARK: HTTP/1.0 and Connection

    @Test
    func closeIsAnsweredWithCloseAndDone() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        #expect(rig.run { peer.isOver })
        #expect(peer.hasEnded)
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.fields["connection"] == "close")
        #expect(rig.told == [.head("GET /"), .request(""), .closed])
        #expect(rig.openServers == 0)
    }

    @Test
    func http10ClosesUnlessItAsksToBeKept() throws {
        let rig = try Rig()
        let first = try rig.connect()
        first.send("GET / HTTP/1.0\r\n\r\n")
        #expect(rig.run { first.hasEnded })
        #expect(Reply.all(in: first.bytes).replies.first?.fields["connection"] == "close")
        let second = try rig.connect()
        for turn in 1...2 {
            second.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            #expect(rig.run { Reply.all(in: second.bytes).replies.count == turn })
        }
        #expect(Reply.all(in: second.bytes).replies.last?.fields["connection"] == "keep-alive")
        #expect(!second.isOver)
    }

    @Test
    func nothingIsReadAfterTheLastRequest() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(
            "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                + "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(rig.run { peer.isOver })
        #expect(rig.told.prefix(2) == [.head("GET /1"), .request("")])
        #expect(!rig.told.contains(.head("GET /2")))
        #expect(Reply.all(in: peer.bytes).replies.count == 1)
        #expect(peer.hasEnded && !peer.isReset)
    }

    // MARK: pipelining

    @Test(arguments: [0, 1, 7, 100, 4_096, 20_000])
    func pipelinedRequestsAreAnsweredInOrder(bodySize: Int) throws {
        var owner = Owner()
        owner.request = { $0.answer("\($0.targetText) \(unsafe $0.body.count)") }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        let body = String(repeating: "b", count: bodySize)
        for turn in 0..<40 {
            let chunked = turn % 2 == 1 && bodySize > 0
            let framing = chunked ? "Transfer-Encoding: chunked" : "Content-Length: \(bodySize)"
            let size = String(bodySize, radix: 16)
            peer.send(
                "POST /\(turn) HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n"
                    + (chunked ? "\(size)\r\n\(body)\r\n0\r\n\r\n" : body))
        }
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 40 })
        let replies = Reply.all(in: peer.bytes).replies
        #expect(replies.map(\.body) == (0..<40).map { "/\($0) \(bodySize)" })
    }

    @Test
    func whileAnAnswerIsOwedLittleIsReadAhead() throws {
        var owner = Owner()
        owner.request = { _ in }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.send(String(repeating: request, count: 20_000))
        rig.settle()
        #expect(rig.told == [.head("GET /x"), .request("")])
        let server = try #require(rig.server)
        #expect(server.heldRequestBytes <= 65_536)
        // And nothing spins: the rig comes to rest although there is more to read.
        #expect(!rig.turn(atMost: .zero))
        server.answer("first")
        rig.pump(server)
        rig.settle()
        #expect(Reply.all(in: peer.bytes).replies.map(\.body) == ["first"])
        #expect(rig.told.count == 4)
    }

    @Test
    func whileAnAnswerHasNotGoneOutLittleIsReadAhead() throws {
        var owner = Owner()
        let big = [UInt8](repeating: 0x61, count: 8 << 20)
        owner.request = { server in
            server.begin(200, .exact(big.count))
            server.write(big)
            server.end()
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
        peer.send(String(repeating: request, count: 100_000))
        rig.settle()
        #expect(rig.told == [.head("GET /x"), .request("")])
        #expect(try #require(rig.server).heldRequestBytes <= 65_536)
        #expect(!rig.turn(atMost: .zero))
    }

    @Test
    func aSingleLaterByteDoesNotKeepALargeBodyInMemory() throws {
        var owner = Owner()
        owner.request = { $0.dropRequest() }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        let body = String(repeating: "x", count: 1 << 20)
        let size = String(1 << 20, radix: 16)
        peer.send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "\(size)\r\n\(body)\r\n0\r\n\r\nG")
        #expect(rig.run { rig.told.count == 2 })
        rig.settle()
        let server = try #require(rig.server)
        #expect(server.heldRequestBytes <= 8_192)
        peer.send("ET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        server.answer("first")
        rig.pump(server)
        #expect(rig.run { rig.told.count == 4 })
        #expect(rig.told[2] == .head("GET /second"))
    }

    // MARK: closing on request

    @Test
    func anIdleConnectionClosesWhenAsked() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(rig.run { !peer.bytes.isEmpty })
        let server = try #require(rig.server)
        server.closeAfterAnswer()
        rig.pump(server)
        #expect(rig.run { peer.isOver })
        #expect(peer.hasEnded)
        #expect(rig.told.last == .closed)
    }

    @Test
    func aRequestThatHasJustComeIsStillAnswered() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        rig.settle()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        let server = try #require(rig.server)
        server.closeAfterAnswer()
        rig.pump(server)
        #expect(rig.run { peer.isOver })
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.fields["connection"] == "close")
    }

    @Test
    func anAnswerUnderWayIsEndedBeforeTheClose() throws {
        var owner = Owner()
        owner.request = { $0.begin(200, .unknown) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(rig.run { rig.told.count == 2 })
        let server = try #require(rig.server)
        server.closeAfterAnswer()
        rig.pump(server)
        rig.settle()
        #expect(!peer.isOver)
        server.write("all of it")
        server.end()
        server.flush()
        rig.pump(server)
        #expect(rig.run { peer.isOver })
        let (replies, rest) = Reply.all(in: peer.bytes)
        #expect(replies.map(\.body) == ["all of it"])
        #expect(rest.isEmpty && peer.hasEnded)
    }

    @Test
    func anAnswerThatHasNotGoneOutIsNotLostInTheClose() throws {
        var owner = Owner()
        let big = [UInt8](repeating: 0x61, count: 8 << 20)
        owner.request = { server in
            server.begin(200, .exact(big.count))
            server.write(big)
            server.end()
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        rig.settle()
        let server = try #require(rig.server)
        server.closeAfterAnswer()
        rig.pump(server)
        rig.settle()
        #expect(rig.openServers == 1)
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(Reply.all(in: peer.bytes).replies.first?.body.utf8.count == big.count)
        #expect(rig.told.last == .closed)
    }
}
