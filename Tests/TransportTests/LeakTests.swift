// SPDX-License-Identifier: Apache-2.0

import AllocationCounter
import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// What a thousand connections that went wrong leave behind: nothing.
@Suite
struct LeakTests {
    /// Requests that are broken off at some point, by one side or the other.
    private static func disturb(_ rig: Rig, _ turn: Int) throws {
        let peer = try rig.connect()
        switch turn % 8 {
        case 0: break
        case 1: peer.send("GET / HT")
        case 2: peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf")
        case 3:
            peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            peer.send([UInt8](repeating: 0x61, count: 99_000))
        case 4: peer.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        case 5:
            peer.stopReading()
            peer.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        case 6: peer.send("bad\r\n\r\n")
        default: peer.send("GET /abort HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n")
        }
        rig.turn(atMost: .zero)
        rig.turn(atMost: .zero)
        if turn % 3 == 0 { peer.close() } else { peer.reset() }
        #expect(rig.run { rig.openServers == 0 })
        rig.forgetPeers()
    }

    private static var owner: Owner {
        var owner = Owner()
        owner.request = { server in
            switch server.targetText {
            case "/slow": server.begin(200, .unknown)
            case "/big":
                server.begin(200, .unknown)
                server.write([UInt8](repeating: 0x61, count: 2 << 20))
                server.flush()
            case "/abort": server.abort()
            default: server.answer("ok")
            }
        }
        return owner
    }

    @Test
    func aThousandBrokenConnectionsLeaveNothingBehind() throws {
        let rig = try Rig(owner: Self.owner)
        for turn in 0..<200 { try Self.disturb(rig, turn) }
        rig.clearTold()
        let first = rig.highestDescriptor
        let before = heldBlocks()
        for turn in 0..<1_000 {
            try Self.disturb(rig, turn)
            rig.clearTold()
        }
        let after = heldBlocks()
        // Other tests run meanwhile and open descriptors too, but not by the hundred.
        #expect(rig.highestDescriptor < first + 500)
        #expect(after - before < 50)
    }

    @Test
    func aThousandBrokenAnswersOfEnginesLeaveNothingBehind() throws {
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(local, backlog: 16)
        let rig = try Rig()
        let answers = [
            "", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf", "nonsense\r\n\r\n",
        ]
        func disturb(_ turn: Int) throws {
            let client = try rig.dial(listener.address)
            let engine = try rig.engine(on: listener)
            client.ask(.post, body: [UInt8](repeating: 0x61, count: turn % 2 * 100_000))
            engine.send(answers[turn % answers.count])
            rig.turn(atMost: .zero)
            switch turn % 3 {
            case 0: engine.close()
            case 1: engine.reset()
            default: client.close()
            }
            #expect(rig.run { client.isClosed(rig) || turn % 3 == 2 })
            rig.forget(client)
            rig.forgetPeers()
        }
        for turn in 0..<200 { try disturb(turn) }
        let before = heldBlocks()
        for turn in 0..<1_000 { try disturb(turn) }
        #expect(heldBlocks() - before < 50)
    }

    /// Blocks that this thread has taken and not given back.
    private func heldBlocks() -> Int {
        Int(allocations_of_this_thread()) - Int(releases_of_this_thread())
    }
}

extension HTTP1ClientConnection {
    fileprivate func isClosed(_ rig: Rig) -> Bool {
        rig.heard(self).contains {
            if case .fault = $0 { true } else { $0 == .end || $0 == .closed }
        }
    }
}
