// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Much of everything, and much of it slow: what is held stays small, and others are served.
@Suite
struct FloodTests {
    private static let get = "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test
    func aFloodOfPipelinedRequestsIsAnsweredAndHoldsLittle() throws {
        let rig = try Rig()
        let peer = try rig.connect()
        let bystander = try rig.connect()
        let total = 20_000
        peer.send(String(repeating: Self.get, count: total))
        bystander.send("GET /bystander HTTP/1.1\r\nHost: a\r\n\r\n")
        let isServed = rig.run { !bystander.bytes.isEmpty }
        #expect(isServed)
        // A turn of the flood is a block of it, and not all of it.
        #expect(rig.told.count < total)
        var most = 0
        let isAnswered = rig.run {
            most = max(most, rig.heldBytes)
            return rig.told.count == 2 * total + 2
        }
        #expect(isAnswered)
        #expect(most <= 64 << 10)
        rig.settle()
        let replies = Reply.all(in: peer.bytes).replies
        #expect(replies.count == total)
        #expect(replies.allSatisfy { $0.body == "ok" })
    }

    /// Who asks and asks and reads no answer is not read on.
    @Test
    func aFloodThatReadsNoAnswersStops() throws {
        let page = String(repeating: "p", count: 2_000)
        var owner = Owner()
        owner.request = { $0.answer(page) }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.setReceiveBuffer(.kibi(16))
        peer.stopReading()
        peer.send(String(repeating: Self.get, count: 100_000))
        rig.settle()
        #expect(rig.told.count < 20_000)
        #expect(rig.heldBytes <= 64 << 10)
        let before = rig.told.count
        rig.settle()
        #expect(rig.told.count == before)
        #expect(!rig.turn(atMost: .zero))
    }

    @Test
    func aCrowdOfSlowHeadsIsClosedInTime() throws {
        var limits = ServerLimits()
        limits.headTimeout = .milliseconds(300)
        let rig = try Rig(server: limits)
        var crowd: [Peer] = []
        for _ in 0..<300 {
            let peer = try rig.connect()
            peer.send("GET / HTTP/1.1\r\nHost: a\r\n")
            crowd.append(peer)
        }
        let bystander = try rig.connect()
        bystander.send(Self.get)
        let isServed = rig.run { !bystander.bytes.isEmpty }
        #expect(isServed)
        // A block each, and given back.
        #expect(rig.heldBytes <= 301 * 8_192)
        var turn = 0
        let isOver = rig.run {
            for peer in crowd where !peer.isOver { peer.send("X-\(turn): y\r\n") }
            turn += 1
            return crowd.allSatisfy(\.isOver)
        }
        #expect(isOver)
        let statuses = crowd.map { Reply.all(in: $0.bytes).replies.map(\.status) }
        #expect(statuses.allSatisfy { $0 == [408] || $0 == [431] })
        #expect(statuses.contains([408]))
    }

    @Test
    func aCrowdOfSlowBodiesIsClosedInTimeAndHoldsWhatItSent() throws {
        var limits = ServerLimits()
        limits.bodyTimeout = .milliseconds(300)
        let rig = try Rig(server: limits)
        var crowd: [Peer] = []
        for _ in 0..<200 {
            let peer = try rig.connect()
            peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16000000\r\n\r\nx")
            crowd.append(peer)
        }
        rig.turn()
        #expect(rig.heldBytes <= 200 * 32_768)
        let isOver = rig.run { crowd.allSatisfy(\.isOver) }
        #expect(isOver)
        #expect(crowd.allSatisfy { Reply.all(in: $0.bytes).replies.map(\.status) == [408] })
    }

    /// Chunks of one byte each cost their own size in memory, and not their framing.
    @Test
    func tinyChunksHoldOnlyTheirPayload() throws {
        var owner = Owner()
        owner.request = { _ in }
        let rig = try Rig(owner: owner)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(String(repeating: "1;a=b\r\nx\r\n", count: 1_000))
        peer.send(String(repeating: "1\r\nx\r\n", count: 49_000))
        peer.send("0\r\n\r\n")
        let isRead = rig.run { rig.told.count == 2 }
        #expect(isRead)
        #expect(rig.told.last == .request(String(repeating: "x", count: 50_000)))
        #expect(rig.heldBytes <= 131_072)
    }

    /// Connections that come and go without a word.
    @Test
    func aFloodOfConnectionsLeavesNothing() throws {
        let rig = try Rig()
        for turn in 0..<1_000 {
            let peer = try rig.connect()
            if turn % 2 == 0 { peer.reset() } else { peer.close() }
            rig.forgetPeers()
        }
        let isGone = rig.run { rig.openServers == 0 }
        #expect(isGone)
        #expect(rig.told == [Told](repeating: .closed, count: 1_000))
    }
}
