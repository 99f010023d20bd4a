// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// Engines that break: each time the right fault, and never a clean end.
@Suite
struct EngineFaultTests {
    // MARK: connecting

    @Test
    func aRefusedConnectionIsAFault() throws {
        let rig = try Rig()
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let address: SocketAddress
        do {
            let listener = try Listener.bind(local, backlog: 1)
            address = listener.address
        }
        do {
            let client = try rig.dial(address)
            client.ask()
            #expect(rig.run { !rig.heard(client).isEmpty })
            #expect(rig.heard(client) == [.fault(.connect(.connectRefused))])
            #expect(client.isUnanswered && !client.wasReused && !client.isReusable)
        } catch let fault as SystemFault {
            #expect(fault == .connectRefused)
        }
    }

    /// A listener whose queue is full does not answer at all.
    @Test
    func aConnectionThatIsNotMadeInTimeIsAFault() throws {
        var limits = ClientLimits()
        limits.connectTimeout = .milliseconds(50)
        let rig = try Rig(client: limits)
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(local, backlog: 0)
        var clients: [HTTP1ClientConnection] = []
        for _ in 0..<4 {
            let client = try rig.dial(listener.address)
            client.ask()
            clients.append(client)
        }
        #expect(rig.run { clients.contains { rig.heard($0) == [.fault(.connectTimeout)] } })
    }

    @Test
    func aConnectionThatWasMadeHasNoTimeout() throws {
        var limits = ClientLimits()
        limits.connectTimeout = .milliseconds(20)
        let engine = try EngineRig(limits: limits)
        engine.client.ask()
        let start = MonotonicClock.now()
        let waited = engine.rig.run { MonotonicClock.now() - start > .milliseconds(60) }
        #expect(waited)
        #expect(!engine.heard.contains(.fault(.connectTimeout)))
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
    }

    @Test
    func aRequestGivenBeforeTheConnectionStandsIsSent() throws {
        let rig = try Rig()
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(local, backlog: 4)
        let client = try rig.dial(listener.address)
        let body = [UInt8](repeating: 0x61, count: 3 << 20)
        client.ask(.post, body: body)
        let engine = try rig.engine(on: listener)
        #expect(rig.run { engine.bytes.count > body.count })
        #expect(engine.bytes.suffix(body.count).elementsEqual(body))
    }

    // MARK: kept connections

    @Test(arguments: [false, true])
    func anIdleConnectionThatTheEngineClosesIsReported(isReset: Bool) throws {
        let engine = try EngineRig()
        #expect(engine.heard == [.connected])
        if isReset { engine.engine.reset() } else { engine.engine.close() }
        let done = engine.rig.run { engine.heard.count > 1 }
        #expect(done)
        #expect(engine.heard == [.connected, .closed])
        #expect(!engine.client.isReusable)
        #expect(!engine.client.hasSpokenUnasked)
    }

    @Test
    func bytesThatNobodyAskedForAreAFault() throws {
        let engine = try EngineRig()
        engine.engine.send("HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
        let done = engine.rig.run { engine.heard.count > 1 }
        #expect(done)
        #expect(engine.heard == [.connected, .fault(.unexpectedBytes)])
        #expect(engine.client.hasSpokenUnasked)
    }

    /// The bytes have arrived, but the loop has not turned since: they must not pass for the
    /// answer.
    @Test
    func bytesThatCameBeforeTheRequestAreNotItsAnswer() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let first = engine.rig.run { engine.heard.last == .end }
        #expect(first)
        let before = engine.heard.count
        engine.engine.clear()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign")
        engine.client.ask(.post, "/second")
        engine.rig.pump(engine.client)
        engine.rig.settle()
        #expect(Array(engine.heard[before...]) == [.fault(.closedEarly)])
        #expect(engine.client.wasReused && engine.client.isUnanswered && engine.client.isUnread)
        #expect(engine.engine.bytes.isEmpty)
    }

    /// The request waits for the turn's end, and the loop sees the bytes before it goes out.
    @Test
    func bytesThatComeBeforeTheRequestWentOutAreNotItsAnswer() throws {
        let engine = try EngineRig(writing: .atTurnsEnd)
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let first = engine.rig.run { engine.heard.last == .end }
        #expect(first)
        let before = engine.heard.count
        engine.engine.clear()
        // Asked after the loop has waited, so that nothing but the look before the write sees it.
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign")
        engine.client.ask(.post, "/second")
        engine.rig.pump(engine.client)
        engine.rig.write()
        engine.rig.settle()
        #expect(Array(engine.heard[before...]) == [.fault(.closedEarly)])
        #expect(engine.client.isUnanswered && engine.client.isUnread)
        #expect(engine.engine.bytes.isEmpty)
    }

    @Test
    func nothingIsSentToAnEngineThatHasClosed() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let first = engine.rig.run { engine.heard.last == .end }
        #expect(first)
        let before = engine.heard.count
        engine.engine.clear()
        engine.engine.finish()
        engine.client.ask(.post, "/second")
        engine.rig.pump(engine.client)
        engine.rig.settle()
        #expect(Array(engine.heard[before...]) == [.fault(.closedEarly)])
        #expect(engine.client.wasReused && engine.client.isUnanswered && engine.client.isUnread)
        #expect(engine.engine.bytes.isEmpty)
    }

    @Test(arguments: [false, true])
    func anEngineThatClosesUnderTheRequestHasNotAnswered(isReset: Bool) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let first = engine.rig.run { engine.heard.last == .end }
        #expect(first)
        engine.client.ask(.post, "/second", body: [UInt8](repeating: 0x61, count: 10_000))
        engine.rig.pump(engine.client)
        if isReset { engine.engine.reset() } else { engine.engine.finish() }
        let done = engine.rig.run { engine.heard.last != .end }
        #expect(done)
        #expect(engine.heard.last == .fault(isReset ? .reset : .closedEarly))
        #expect(engine.client.isUnanswered && engine.client.wasReused)
        // It is with the engine's kernel: the engine may have read it.
        #expect(!engine.client.isUnread)
    }

    // MARK: cut answers

    private static let cut: [String] = [
        "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nX: y\r\n",
    ]

    @Test(arguments: EngineFaultTests.cut, [false, true])
    func aCutAnswerIsNeverWhole(text: String, isReset: Bool) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send(text)
        engine.rig.settle()
        if isReset { engine.engine.reset() } else { engine.engine.finish() }
        let done = engine.rig.run { engine.heard.last == .fault(isReset ? .reset : .closedEarly) }
        #expect(done)
        #expect(!engine.heard.contains(.end))
        #expect(!engine.client.isReusable && !engine.client.isUnanswered)
    }

    @Test
    func anAnswerUpToTheEndThatIsResetIsNotWhole() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\n\r\nsome")
        engine.rig.settle()
        engine.engine.reset()
        let done = engine.rig.run { engine.heard.last == .fault(.reset) }
        #expect(done)
        #expect(!engine.heard.contains(.end))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ClientFault.head(.invalidLength)),
        ("HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", .head(.bareLineBreak)),
        ("HTTP/2.0 200 OK\r\n\r\n", .head(.unsupportedVersion)),
        ("nonsense\r\n\r\n", .head(.malformedStatusLine)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
            .head(.lengthWithTransferEncoding)
        ),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", .head(.malformedStatusLine)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
            .chunk(.invalidSize)
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n",
            .chunk(.missingDataEnd)
        ),
    ])
    func anAnswerThatCannotBeReadIsAFault(text: String, fault: ClientFault) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send(text)
        let done = engine.rig.run { engine.heard.last == .fault(fault) }
        #expect(done)
        #expect(!engine.heard.contains(.end))
        let closed = engine.rig.run { engine.engine.isOver }
        #expect(closed)
    }

    @Test
    func aHeadWithoutEndIsAFault() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 100_000))
        let done = engine.rig.run {
            engine.heard.last == .fault(.head(.headTooLarge(limit: 65_536)))
        }
        #expect(done)
    }

    @Test
    func interimAnswersWithoutEndAreAFault() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        for _ in 0..<1_000 {
            engine.engine.send("HTTP/1.1 102 Processing\r\n\r\n")
            engine.rig.turn(atMost: .zero)
        }
        let done = engine.rig.run { engine.heard.last == .fault(.head(.malformedStatusLine)) }
        #expect(done)
    }

    /// The end of the connection and the last bytes come together, and a closed engine cannot be
    /// written to any more: what it said is heard first.
    @Test
    func whatTheEngineSaidBeforeItBrokeIsHeard() throws {
        let engine = try EngineRig()
        engine.engine.stopReading()
        engine.client.ask(.post, body: [UInt8](repeating: 0x61, count: 16 << 20))
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
        // With unread bytes the kernel resets the connection.
        engine.engine.close()
        let done = engine.rig.run { engine.heard.count > 1 }
        #expect(done)
        engine.rig.settle()
        let heard = engine.heard.filter { $0 != .connected }
        #expect(heard == [.head(503), .payload("busy"), .end] || heard == [.fault(.reset)])
        #expect(!engine.client.isReusable)
    }
}
