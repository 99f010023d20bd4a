// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// A rig with one connection to a raw engine.
final class EngineRig {
    let rig: Rig
    let listener: Listener
    let client: HTTP1ClientConnection
    let engine: Peer

    init(limits: ClientLimits = ClientLimits(), owner: Owner = Owner()) throws {
        rig = try Rig(client: limits, owner: owner)
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        listener = try Listener.bind(local, backlog: 16)
        client = try rig.dial(listener.address)
        engine = try rig.engine(on: listener)
        rig.settle()
    }

    var heard: [Heard] { rig.heard(client) }
}

/// What comes from an engine, well-formed and whole.
@Suite
struct EngineAnswerTests {
    private static let chunked =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\nX-Load: 3\r\n\r\n"
    private static let whole: [(String, [Heard])] = [
        (chunked, [.head(200), .payload("hello world"), .end]),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            [.head(200), .payload("hello"), .end]
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [.head(200), .end]),
        ("HTTP/1.1 204 No Content\r\n\r\n", [.head(204), .end]),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", [.head(304), .end]),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                + "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno",
            [.head(503), .payload("no"), .end]
        ),
    ]

    @Test(arguments: 0..<6)
    func anAnswerIsTheSameHoweverItIsCut(which: Int) throws {
        let (text, expected) = Self.whole[which]
        let bytes = Array(text.utf8)
        let engine = try EngineRig()
        for cut in 0...bytes.count {
            let before = engine.heard.count
            engine.client.ask(.post, "/x", body: [0x7B, 0x7D])
            engine.rig.pump(engine.client)
            engine.engine.send(Array(bytes[..<cut]))
            engine.rig.settle()
            engine.engine.send(Array(bytes[cut...]))
            let done = engine.rig.run { engine.heard.count > before && engine.heard.last == .end }
            #expect(done)
            let heard = engine.heard.dropFirst(before).filter { $0 != .connected }
            #expect(Array(heard) == expected)
            #expect(engine.client.isReusable)
            #expect(engine.client.wasReused)
        }
    }

    @Test
    func anAnswerCanComeByteByByte() throws {
        let engine = try EngineRig()
        for (text, expected) in Self.whole {
            let before = engine.heard.count
            engine.client.ask()
            for byte in Array(text.utf8) {
                engine.engine.send([byte])
                engine.rig.settle()
            }
            let heard = engine.heard.dropFirst(before).filter { $0 != .connected }
            #expect(Array(heard) == expected)
        }
    }

    @Test
    func theRequestIsStrictlyNormal() throws {
        let engine = try EngineRig()
        engine.client.ask(.post, "/v1/x?y=1", fields: "X-Own: 1\r\n", body: Array("{}".utf8))
        engine.rig.settle()
        #expect(
            engine.engine.text == "POST /v1/x?y=1 HTTP/1.1\r\nHost: engine\r\nX-Own: 1\r\n"
                + "Content-Length: 2\r\n\r\n{}")
    }

    @Test(arguments: [Wire.Method.get, .head, .post, .put])
    func aRequestWithoutABodySaysSoWhereOneIsExpected(method: Wire.Method) throws {
        let engine = try EngineRig()
        engine.client.ask(method)
        engine.rig.settle()
        let says = engine.engine.text.contains("Content-Length: 0\r\n")
        #expect(says == (method == .post || method == .put))
    }

    @Test
    func fieldsAreThereWithTheHeadAndGoneLater() throws {
        var seen: [String] = []
        var later: [String?] = []
        var owner = Owner()
        owner.heard = { client, heard in
            let type = unsafe client.value(.contentType).map {
                unsafe String(decoding: $0, as: UTF8.self)
            }
            switch heard {
            case .head:
                seen = [type ?? "", "\(client.status)", "\(client.announcedLength ?? -1)"]
                unsafe client.forEachField { _, name, _ in
                    unsafe seen.append(String(decoding: name, as: UTF8.self))
                }
            case .end: later.append(type)
            default: break
            }
        }
        let engine = try EngineRig(owner: owner)
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nab")
        engine.rig.settle()
        engine.engine.send("cd")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(seen == ["a/b", "200", "4", "Content-Type", "Content-Length"])
        #expect(later == [""])
        #expect(engine.client.status == 200)
    }

    @Test
    func trailersAreThereAtTheEnd() throws {
        var trailers = ""
        var owner = Owner()
        owner.heard = { client, heard in
            if heard == .end { trailers = String(decoding: client.trailers, as: UTF8.self) }
        }
        let engine = try EngineRig(owner: owner)
        engine.client.ask()
        engine.engine.send(Self.chunked)
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(trailers == "X-Load: 3\r\n")
    }

    @Test
    func anAnswerUpToTheEndOfTheConnectionIsWholeAtItsEnd() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\n\r\nsome")
        engine.rig.settle()
        engine.engine.send(" more")
        engine.rig.settle()
        #expect(engine.heard.last == .payload("some more"))
        engine.engine.finish()
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(!engine.client.isReusable)
    }

    @Test
    func headIsAnsweredWithoutABody() throws {
        let engine = try EngineRig()
        engine.client.ask(.head)
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(engine.client.isBodiless && engine.client.isReusable)
    }

    @Test
    func aHeadLongerThanABlockIsRead() throws {
        let engine = try EngineRig()
        let long = String(repeating: "v", count: 20_000)
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nX-A: \(long)\r\n")
        engine.rig.settle()
        engine.engine.send("X-B: \(long)\r\nContent-Length: 3\r\n\r\nabc")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(engine.heard.suffix(3) == [.head(200), .payload("abc"), .end])
    }

    // MARK: reuse

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ])
    func anEngineThatWillCloseIsNotAskedAgain(answer: String) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send(answer)
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(!engine.client.isReusable)
        let closed = engine.rig.run { engine.engine.isOver }
        #expect(closed)
    }

    @Test
    func anEngineThatClosesBehindItsAnswerIsNotAskedAgain() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        engine.engine.finish()
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(!engine.client.isReusable)
    }

    @Test
    func anHTTP10EngineThatKeepsIsAskedAgain() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(engine.client.isReusable)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n",
        "HTTP/1.1 204 OK\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n0\r\n\r\n",
    ])
    func bytesBehindAnAnswerEndTheConnectionAndNotTheAnswer(answer: String) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send(answer)
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(!engine.client.isReusable)
    }

    /// The engine answers early and does not read on: nobody can say where it would.
    @Test
    func anAnswerBeforeTheWholeRequestEndsTheConnection() throws {
        let engine = try EngineRig()
        engine.engine.stopReading()
        engine.client.ask(.post, body: [UInt8](repeating: 0x61, count: 16 << 20))
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(engine.heard.suffix(3) == [.head(413), .payload("no"), .end])
        #expect(!engine.client.isReusable)
    }

    @Test
    func thousandsOfRequestsShareAConnection() throws {
        let engine = try EngineRig()
        for turn in 0..<500 {
            let before = engine.heard.count
            engine.client.ask(.post, "/\(turn)", body: [0x31])
            engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\(1_000 + turn)")
            let done = engine.rig.run { engine.heard.last == .end && engine.heard.count > before }
            #expect(done)
            let heard = engine.heard.dropFirst(before).filter { $0 != .connected }
            #expect(heard == [.head(200), .payload("\(1_000 + turn)"), .end])
        }
        #expect(engine.engine.text.components(of: "POST ") == 500)
    }
}

extension String {
    fileprivate func components(of text: String) -> Int {
        ranges(of: text).count
    }
}
