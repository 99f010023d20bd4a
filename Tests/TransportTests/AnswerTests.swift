// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

@Suite
struct AnswerTests {
    /// What a client gets for one request, and whether the connection was closed, and how.
    private func answer(
        to request: String, _ act: @escaping (HTTP1ServerConnection) -> Void
    ) throws -> (text: String, peer: Peer) {
        var owner = Owner()
        owner.request = act
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(request)
        #expect(rig.run { !peer.bytes.isEmpty || peer.isOver })
        rig.settle()
        let lines = peer.text.split(separator: "\r\n", omittingEmptySubsequences: false)
        let text = lines.filter { !$0.hasPrefix("Date: ") }.joined(separator: "\r\n")
        return (text, peer)
    }
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let old = "GET / HTTP/1.0\r\n\r\n"

    // MARK: framing

    @Test
    func anAnswerOfKnownLengthSaysSo() throws {
        let (text, peer) = try answer(to: Self.get) {
            $0.answer("hello", fields: "X-Own: 1\r\n")
        }
        #expect(text == "HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 5\r\n\r\nhello")
        #expect(!peer.isOver)
    }

    @Test
    func everyAnswerHasOneDate() throws {
        var owner = Owner()
        owner.request = { $0.answer("ok") }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.get)
        #expect(rig.run { !peer.bytes.isEmpty })
        let dates = peer.text.split(separator: "\r\n").filter { $0.hasPrefix("Date: ") }
        #expect(dates.count == 1)
        let date = try #require(dates.first)
        #expect(
            date.wholeMatch(of: /Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/) != nil
        )
    }

    @Test
    func anAnswerOfUnknownLengthIsChunked() throws {
        let (text, peer) = try answer(to: Self.get) { server in
            server.begin(200, .unknown)
            server.write("one ")
            server.write("")
            server.write(String(repeating: "2", count: 26))
            server.end()
            server.flush()
        }
        #expect(
            text == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "4\r\none \r\n1a\r\n\(String(repeating: "2", count: 26))\r\n0\r\n\r\n")
        #expect(!peer.isOver)
    }

    @Test
    func trailersFollowAChunkedAnswer() throws {
        let (text, _) = try answer(to: Self.get) { server in
            server.begin(200, .unknown)
            server.write("x")
            server.end(trailers: Array("X-Load: 5\r\nX-More: 6\r\n".utf8))
            server.flush()
        }
        #expect(text.hasSuffix("\r\n1\r\nx\r\n0\r\nX-Load: 5\r\nX-More: 6\r\n\r\n"))
    }

    @Test(arguments: [AnswerTests.old, AnswerTests.get])
    func trailersHaveNoPlaceInOtherAnswers(request: String) throws {
        let (text, _) = try answer(to: request) { server in
            server.begin(200, request == Self.old ? .unknown : .exact(1))
            server.write("x")
            server.end(trailers: Array("X-Load: 5\r\n".utf8))
            server.flush()
        }
        #expect(text.hasSuffix("\r\n\r\nx"))
    }

    @Test
    func http10GetsTheEndOfTheConnection() throws {
        let (text, peer) = try answer(to: Self.old) { server in
            server.begin(200, .unknown)
            server.write("abc")
            server.write("def")
            server.end()
            server.flush()
        }
        #expect(text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef")
        #expect(peer.hasEnded && !peer.isReset)
    }

    @Test
    func anUnknownLengthEndsAKeptHTTP10Connection() throws {
        let (text, peer) = try answer(
            to: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        ) { server in
            server.begin(200, .unknown)
            server.write("abc")
            server.end()
            server.flush()
        }
        #expect(text == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        #expect(peer.hasEnded)
    }

    @Test
    func headGetsTheHeadOnly() throws {
        let (exact, _) = try answer(to: Self.head + Self.get) { $0.answer("hello") }
        #expect(
            exact == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        let (unknown, peer) = try answer(to: Self.head) { server in
            server.begin(200, .unknown)
            server.write("hello")
            server.end(trailers: Array("X-Load: 5\r\n".utf8))
            server.flush()
        }
        #expect(unknown == "HTTP/1.1 200 OK\r\n\r\n")
        #expect(!peer.isOver)
    }

    /// RFC 9110 section 8.6: no length, no coding, whatever the owner knew.
    @Test(
        arguments: [204, 304], [AnswerLength.exact(0), .exact(5), .unknown, .bodiless])
    func aStatusWithoutContentSaysNothingOfIt(status: Int, length: AnswerLength) throws {
        let (text, peer) = try answer(to: Self.get + Self.get) { server in
            server.begin(status, length)
            server.write("hello")
            server.end()
            server.flush()
        }
        let reason = status == 204 ? "No Content" : "Not Modified"
        let one = "HTTP/1.1 \(status) \(reason)\r\n\r\n"
        #expect(text == one + one)
        #expect(!peer.isOver)
    }

    @Test
    func anEmptyAnswerHasALength() throws {
        for length in [AnswerLength.exact(0), .bodiless] {
            let (text, _) = try answer(to: Self.get) { server in
                server.begin(200, length)
                server.end()
                server.flush()
            }
            #expect(text == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        }
    }

    // MARK: answers that are not whole

    @Test
    func anAnswerShorterThanAnnouncedIsCut() throws {
        let (text, peer) = try answer(to: Self.get) { server in
            server.begin(200, .exact(10))
            server.write("half")
            server.end()
            server.flush()
        }
        #expect(text.hasSuffix("Content-Length: 10\r\n\r\nhalf"))
        #expect(peer.isOver)
    }

    @Test
    func anAbortedChunkedAnswerHasNoLastChunk() throws {
        let (text, peer) = try answer(to: Self.get) { server in
            server.begin(200, .unknown)
            server.write("half")
            server.abort()
        }
        #expect(text.hasSuffix("4\r\nhalf\r\n"))
        #expect(peer.isOver)
    }

    @Test
    func anAbortedAnswerThatOnlyTheEndWouldEndIsReset() throws {
        let (_, peer) = try answer(to: Self.old) { server in
            server.begin(200, .unknown)
            server.write("half")
            server.abort()
        }
        #expect(peer.isReset && !peer.hasEnded)
    }

    /// Written to its end, but not sent when the gateway has to go: the rest is lost, and the
    /// client must not take what it got for the whole.
    @Test
    func anUnsentRestOfAnAnswerThatOnlyTheEndEndsIsReset() throws {
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .unknown)
            server.write([UInt8](repeating: 0x61, count: 16 << 20))
            server.end()
            server.flush()
        }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(Self.old)
        rig.settle()
        let server = try #require(rig.server)
        server.abort()
        rig.pump(server)
        peer.startReading()
        #expect(rig.run { peer.isOver })
        #expect(peer.isReset)
        #expect(rig.told == [.head("GET /"), .request(""), .closed])
    }

    @Test
    func anAbortBeforeTheAnswerJustCloses() throws {
        let (text, peer) = try answer(to: Self.get) { $0.abort() }
        #expect(text.isEmpty && peer.isOver)
    }

    // MARK: from outside of the events

    @Test
    func anAnswerCanComeAtAnyTime() throws {
        var owner = Owner()
        owner.request = { _ in }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send(Self.get + "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        rig.settle()
        let server = try #require(rig.server)
        server.begin(200, .unknown)
        for word in ["a", "b", "c"] {
            server.write(word)
            server.flush()
            rig.pump(server)
            rig.settle()
            #expect(peer.text.hasSuffix("1\r\n\(word)\r\n"))
        }
        server.end()
        server.flush()
        rig.pump(server)
        rig.settle()
        #expect(rig.told.suffix(2) == [.head("GET /2"), .request("")])
    }
}
