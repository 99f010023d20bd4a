// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Clients that take too long. Limits are some milliseconds; what is tested is that they strike,
/// and not before their time.
@Suite
struct TimeoutTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func limits(_ change: (inout ServerLimits) -> Void) -> ServerLimits {
        var limits = ServerLimits()
        change(&limits)
        return limits
    }

    /// How long it took until the condition held.
    private func time(_ rig: Rig, until done: () -> Bool) -> Duration {
        let start = MonotonicClock.now()
        let isDone = rig.run(until: done)
        #expect(isDone)
        return MonotonicClock.now() - start
    }

    @Test
    func aNewConnectionThatSaysNothingIsClosed() throws {
        let rig = try Rig(server: Self.limits { $0.headTimeout = .milliseconds(40) })
        let peer = try rig.connect()
        let took = time(rig) { peer.isOver }
        #expect(took >= .milliseconds(30))
        #expect(peer.hasEnded && peer.bytes.isEmpty)
        #expect(rig.told == [.closed])
    }

    @Test
    func aHeadHasATotalTime() throws {
        let rig = try Rig(server: Self.limits { $0.headTimeout = .milliseconds(60) })
        let peer = try rig.connect()
        var sent = 0
        let took = time(rig) {
            // A byte now and then does not help.
            if sent < 2_000, !peer.isOver {
                peer.send(sent == 0 ? "GET / HTTP/1.1\r\nX: " : "x")
                sent += 1
            }
            return peer.isOver
        }
        #expect(took >= .milliseconds(50) && took < .seconds(5))
        #expect(rig.told.first == .fault(.headTimeout))
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [408])
    }

    /// Between requests the idle time runs, and from the first byte of a head the head's own.
    @Test
    func aLaterHeadHasItsOwnTime() throws {
        let rig = try Rig(
            server: Self.limits {
                $0.headTimeout = .milliseconds(400)
                $0.idleTimeout = .milliseconds(30)
            })
        let peer = try rig.connect()
        peer.send(Self.get)
        #expect(rig.run { !peer.bytes.isEmpty })
        peer.send("GET /2 HTTP/1.1\r\n")
        let start = MonotonicClock.now()
        #expect(rig.run { MonotonicClock.now() - start > .milliseconds(100) })
        #expect(!peer.isOver)
        peer.send("Host: a\r\n\r\n")
        #expect(rig.run { rig.told.contains(.head("GET /2")) })
    }

    @Test
    func anIdleConnectionIsClosed() throws {
        let rig = try Rig(server: Self.limits { $0.idleTimeout = .milliseconds(40) })
        let peer = try rig.connect()
        for turn in 1...3 {
            peer.send(Self.get)
            #expect(rig.run { Reply.all(in: peer.bytes).replies.count == turn })
        }
        let took = time(rig) { peer.isOver }
        #expect(took >= .milliseconds(30))
        #expect(peer.hasEnded)
        #expect(rig.told.last == .closed)
        #expect(!rig.told.contains(.left))
    }

    @Test
    func aConnectionDoesNotIdleWhileItsAnswerIsTaken() throws {
        let big = [UInt8](repeating: 0x61, count: 8 << 20)
        var owner = Owner()
        owner.request = { server in
            server.begin(200, .exact(big.count))
            server.write(big)
            server.end()
            server.flush()
        }
        let rig = try Rig(
            server: Self.limits { $0.idleTimeout = .milliseconds(20) }, owner: owner)
        let peer = try rig.connect()
        peer.stopReading()
        peer.send(Self.get)
        let start = MonotonicClock.now()
        #expect(rig.run { MonotonicClock.now() - start > .milliseconds(100) })
        peer.startReading()
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 1 })
    }

    @Test
    func anOwedAnswerHasNoTimeOfTheConnection() throws {
        var owner = Owner()
        owner.request = { _ in }
        let rig = try Rig(
            server: Self.limits {
                $0.headTimeout = .milliseconds(10)
                $0.bodyTimeout = .milliseconds(10)
                $0.idleTimeout = .milliseconds(10)
                $0.writeTimeout = .milliseconds(10)
                $0.lingerTimeout = .milliseconds(10)
            }, owner: owner)
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        #expect(rig.run { rig.told.count == 2 })
        let start = MonotonicClock.now()
        #expect(rig.run { MonotonicClock.now() - start > .milliseconds(80) })
        #expect(rig.told.count == 2)
        let server = try #require(rig.server)
        server.answer("late but fine")
        rig.pump(server)
        #expect(rig.run { Reply.all(in: peer.bytes).replies.count == 1 })
    }

    // MARK: bodies

    @Test
    func aBodyThatDoesNotComeIsRefused() throws {
        let rig = try Rig(server: Self.limits { $0.bodyTimeout = .milliseconds(40) })
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        let took = time(rig) { peer.isOver }
        #expect(took >= .milliseconds(30))
        #expect(rig.told.prefix(2) == [.head("POST /"), .fault(.bodyTimeout)])
        let reply = try #require(Reply.all(in: peer.bytes).replies.first)
        #expect(reply.status == 408 && reply.fields["connection"] == "close")
    }

    @Test(arguments: ["Content-Length: 100000", "Transfer-Encoding: chunked"])
    func aTrickleDoesNotHelp(framing: String) throws {
        let rig = try Rig(
            server: Self.limits {
                $0.bodyTimeout = .milliseconds(60)
                $0.bodyFloorPerSecond = 1_000_000
            })
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n")
        var sent = 0
        let took = time(rig) {
            if sent < 10_000, !peer.isOver {
                peer.send(framing.hasPrefix("C") ? "x" : "1\r\nx\r\n")
                sent += 1
            }
            return peer.isOver
        }
        #expect(took >= .milliseconds(50) && took < .seconds(5))
        #expect(rig.told.contains(.fault(.bodyTimeout)))
    }

    /// Ten bytes are worth a second here, so that the base alone would not do.
    @Test
    func aBodyAboveTheFloorMayTakeItsTime() throws {
        let rig = try Rig(
            server: Self.limits {
                $0.bodyTimeout = .milliseconds(20)
                $0.bodyFloorPerSecond = 10
            })
        let peer = try rig.connect()
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n")
        peer.send(String(repeating: "x", count: 50))
        let start = MonotonicClock.now()
        #expect(rig.run { MonotonicClock.now() - start > .milliseconds(150) })
        #expect(!peer.isOver)
        peer.send(String(repeating: "x", count: 10))
        #expect(rig.run { Reply.all(in: peer.bytes).replies.map(\.status) == [200] })
    }

    // MARK: lingering

    @Test
    func aRefusedClientThatStaysIsClosedInTheEnd() throws {
        let rig = try Rig(server: Self.limits { $0.lingerTimeout = .milliseconds(40) })
        let peer = try rig.connect()
        let start = MonotonicClock.now()
        peer.send("nonsense\r\n\r\n")
        #expect(rig.run { peer.hasEnded })
        // From before the refusal: a busy machine may see its end late.
        #expect(rig.run { rig.openServers == 0 })
        #expect(MonotonicClock.now() - start >= .milliseconds(40))
    }
}
