// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// Requests larger than what an engine takes at once, and answers faster than what a client takes.
@Suite
struct EngineFlowTests {
    @Test(arguments: [0, 1, 4_096, 4_097, 100_000, 8 << 20])
    func aBodyOfAnySizeArrives(size: Int) throws {
        let engine = try EngineRig()
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        engine.client.ask(.post, body: body)
        engine.rig.pump(engine.client)
        let head = "POST / HTTP/1.1\r\nHost: engine\r\nContent-Length: \(size)\r\n\r\n"
        let done = engine.rig.run { engine.engine.bytes.count >= head.utf8.count + size }
        #expect(done)
        #expect(engine.engine.bytes == Array(head.utf8) + body)
    }

    @Test
    func aSlowEngineGetsTheWholeBody() throws {
        let engine = try EngineRig()
        engine.engine.stopReading()
        let body = (0..<(16 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 12) }
        engine.client.ask(.post, body: body)
        engine.rig.settle()
        // Nothing spins while the engine does not read.
        #expect(!engine.rig.turn(atMost: .zero))
        engine.engine.startReading()
        let done = engine.rig.run { engine.engine.bytes.count > body.count }
        #expect(done)
        #expect(engine.engine.bytes.suffix(body.count).elementsEqual(body))
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        let answered = engine.rig.run { engine.heard.last == .end }
        #expect(answered)
        #expect(engine.client.isReusable)
    }

    @Test
    func aPausedAnswerWaitsInTheKernel() throws {
        var taken = 0
        var owner = Owner()
        owner.heard = { _, heard in
            if case .payload(let text) = heard { taken += text.utf8.count }
        }
        let engine = try EngineRig(owner: owner)
        engine.client.ask()
        engine.rig.settle()
        let total = 12 << 20
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
        engine.rig.settle()
        engine.client.pauseReading()
        engine.engine.send([UInt8](repeating: 0x61, count: total))
        engine.rig.settle()
        #expect(taken == 0)
        #expect(!engine.rig.turn(atMost: .zero))
        // What the engine is ahead of the reader is bounded by the kernel's buffers.
        #expect(total - engine.engine.unsentBytes < 8 << 20)
        engine.client.resumeReading()
        engine.rig.pump(engine.client)
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(taken == total)
        #expect(engine.client.isReusable)
    }

    /// The engine is done and gone while nobody reads: what it sent is still there, and until it is
    /// read the loop does not spin.
    @Test(arguments: [false, true])
    func anEngineThatGoesWhilePausedIsNotedLater(isReset: Bool) throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        engine.rig.settle()
        engine.client.pauseReading()
        engine.engine.send("more")
        if isReset { engine.engine.reset() } else { engine.engine.close() }
        engine.rig.settle()
        #expect(!engine.rig.turn(atMost: .zero))
        #expect(engine.heard.last == .payload("half"))
        engine.client.resumeReading()
        let done = engine.rig.run { engine.heard.last != .payload("half") }
        #expect(done)
        engine.rig.settle()
        // A reset may or may not leave in the kernel what came before it.
        let whole: [Heard] = [.connected, .head(200), .payload("halfmore"), .end]
        let broken: [Heard] = [.connected, .head(200), .payload("half"), .fault(.reset)]
        let heard = engine.heard
        #expect(heard == whole || (isReset && heard == broken), "\(heard)")
        #expect(!engine.client.isReusable)
    }

    @Test
    func aPausedConnectionCanBeClosed() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\n\r\nhalf")
        engine.rig.settle()
        engine.client.pauseReading()
        engine.engine.reset()
        engine.rig.settle()
        engine.client.close()
        engine.client.resumeReading()
        engine.client.pauseReading()
        engine.client.close()
        engine.rig.pump(engine.client)
        #expect(engine.heard == [.connected, .head(200), .payload("half")])
    }

    @Test
    func pausingAndResumingLosesNothing() throws {
        var random = SplitMix64(seed: 11)
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        var expected = ""
        for number in 0..<400 {
            let piece = "\(number):" + String(repeating: "x", count: Int(random.next() % 3_000))
            expected += piece
            engine.engine.send("\(String(piece.utf8.count, radix: 16))\r\n\(piece)\r\n")
            switch random.next() % 4 {
            case 0: engine.client.pauseReading()
            case 1: engine.client.resumeReading()
            default: engine.rig.turn(atMost: .zero)
            }
        }
        engine.engine.send("0\r\n\r\n")
        engine.client.resumeReading()
        let done = engine.rig.run { engine.heard.last == .end }
        #expect(done)
        #expect(engine.heard == [.connected, .head(200), .payload(expected), .end])
    }

    /// An event is handed on in the turn in which it came.
    @Test
    func eventsAreNotHeldBack() throws {
        let engine = try EngineRig()
        engine.client.ask()
        engine.rig.settle()
        engine.engine.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        var text = ""
        for number in 0..<20 {
            engine.engine.send("8\r\ndata: \(number % 10)\n\r\n")
            text += "data: \(number % 10)\n"
            engine.rig.turn()
            engine.rig.turn(atMost: .zero)
            #expect(engine.heard.last == .payload(text))
        }
    }

    @Test
    func theEngineLearnsOfAClose() throws {
        let engine = try EngineRig()
        engine.client.ask(.post, body: [UInt8](repeating: 0x61, count: 1_000))
        engine.rig.settle()
        engine.client.close()
        engine.rig.turn(atMost: .zero)
        engine.rig.turn(atMost: .zero)
        #expect(engine.engine.isOver)
    }
}
