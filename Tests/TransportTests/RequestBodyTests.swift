// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

private let chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

@Suite
struct RequestBodyTests {
    private static let chunked =
        chunkedHead + "3\r\nabc\r\n1;name=\"v\"\r\n \r\n0A\r\n0123456789\r\n0\r\n"
        + "X-Trailer: t\r\n\r\n"
    private static let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test(arguments: 0..<RequestBodyTests.chunked.utf8.count)
    func aChunkedBodyCanBeCutAnywhere(cut: Int) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        let bytes = Array((Self.chunked + Self.next).utf8)
        peer.send(Array(bytes[..<cut]))
        rig.settle()
        peer.send(Array(bytes[cut...]))
        #expect(rig.run { rig.told.count == 4 })
        #expect(
            rig.told == [
                .head("POST /"), .request("abc 0123456789"), .head("GET /next"), .request(""),
            ])
    }

    @Test
    func aChunkedBodyCanComeByteByByte() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        for byte in Array(Self.chunked.utf8) {
            peer.send([byte])
            rig.settle()
        }
        #expect(rig.told == [.head("POST /"), .request("abc 0123456789")])
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func aBodyIsTheSameInWhateverPieces(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let rig = try Rig()
        let peer = try rig.connect()
        let size = Int(random.next() % 200_000) + 1
        let body = (0..<size).map { _ in UInt8(random.next() % 26 + 97) }
        var wire = Array("PUT /b HTTP/1.1\r\nHost: a\r\n".utf8)
        if seed % 2 == 0 {
            wire += Array("Content-Length: \(size)\r\n\r\n".utf8) + body
        } else {
            wire += Array("Transfer-Encoding: chunked\r\n\r\n".utf8)
            var rest = body[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int(random.next() % 20_000) + 1)
                rest = rest.dropFirst(piece.count)
                wire += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10]
            }
            wire += Array("0\r\n\r\n".utf8)
        }
        var rest = wire[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int(random.next() % 40_000) + 1)
            rest = rest.dropFirst(piece.count)
            peer.send(Array(piece))
            if random.next() % 2 == 0 { rig.turn() }
        }
        #expect(rig.run { rig.told.count == 2 })
        #expect(
            rig.told == [.head("PUT /b"), .request(String(decoding: body, as: UTF8.self))])
        rig.settle()
        #expect(rig.server?.heldRequestBytes == 0)
    }

    @Test
    func anAnnouncementAloneReservesNothing() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\nxxx")
        rig.settle()
        #expect(rig.told == [.head("POST /")])
        #expect(try #require(rig.server).heldRequestBytes <= 32_768)
    }

    @Test
    func fieldsAreThereWithTheBody() throws {
        var seen: [String] = []
        var owner = Owner()
        owner.request = { server in
            unsafe server.forEachField { _, name, value in
                unsafe seen.append(
                    String(decoding: name, as: UTF8.self) + "="
                        + String(decoding: value, as: UTF8.self))
            }
            seen.append(server.bodyText)
            seen.append("\(server.count(.accept)) \(server.text(of: .accept) ?? "")")
            server.answer("ok")
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(
            "POST /p?q HTTP/1.1\r\nHost: a\r\nAccept:  b \r\nX-Own: c\r\nAccept: d\r\n"
                + "Content-Length: 2\r\n\r\nhi")
        #expect(rig.run { !peer.bytes.isEmpty })
        #expect(
            seen == [
                "Host=a", "Accept=b", "X-Own=c", "Accept=d", "Content-Length=2", "hi", "2 b",
            ])
    }

    @Test
    func afterTheRequestWasDroppedItsBytesAreGone() throws {
        var seen: [String?] = []
        var owner = Owner()
        owner.request = { server in
            server.dropRequest()
            seen = [server.targetText, server.bodyText, server.text(of: .host)]
            server.answer("ok")
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(
            "POST /gone HTTP/1.1\r\nHost: secret\r\nContent-Length: 4\r\n\r\nbody" + Self.next)
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
        #expect(seen == ["", "", ""])
    }

    // MARK: Expect

    private static let expecting =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"

    @Test
    func aWaitingClientIsInvited() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(Self.expecting)
        #expect(rig.run { !peer.bytes.isEmpty })
        rig.settle()
        #expect(peer.text == "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(rig.told == [.head("POST /")])
        peer.send("body")
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 2 })
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [100, 200])
        #expect(rig.told == [.head("POST /"), .request("body")])
        #expect(!peer.isOver)
    }

    @Test
    func aClientThatDoesNotWaitIsNotInvited() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(Self.expecting + "b")
        rig.settle()
        peer.send("ody")
        #expect(rig.run { !peer.bytes.isEmpty })
        rig.settle()
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [200])
    }

    @Test(arguments: [
        "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    ])
    func whoWaitsForNothingIsNotInvited(head: String) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(head)
        rig.settle()
        #expect(!peer.text.contains("100 Continue"))
    }

    @Test
    func anInvitationIsGivenOnce() throws {
        var owner = Owner()
        owner.head = { server in
            server.inviteBody()
            server.inviteBody()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.expecting)
        rig.settle()
        #expect(peer.text == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    @Test
    func aRefusedClientIsNotInvited() throws {
        var owner = Owner()
        owner.head = { $0.answer("no", status: 401) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.expecting)
        #expect(rig.run { peer.isOver })
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.status == 401)
        #expect(reply.fields["connection"] == "close")
        #expect(peer.hasEnded)
    }
}
