// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Events of one batch that outlive their connection, and descriptors that come back at once.
@Suite
struct StaleEventTests {
    private final class Pair {
        private var servers: [HTTP1ServerConnection] = []
        private var acted = false
        func note(_ server: HTTP1ServerConnection?) {
            if let server { servers.append(server) }
        }
        /// The other one, the first time that it is asked for.
        func other(of server: HTTP1ServerConnection) -> HTTP1ServerConnection? {
            if acted { return nil }
            acted = true
            return servers.first { $0 !== server }
        }
    }

    /// Two requests are ready in the same batch; the first one's owner closes the second
    /// connection, and a third client gets its descriptor.
    @Test
    func anEventOfAClosedConnectionReachesNobody() throws {
        let pair = Pair()
        var close: (HTTP1ServerConnection) -> Void = { _ in }
        var owner = Owner()
        owner.request = { server in
            if let other = pair.other(of: server) { close(other) }
            server.answer("ok")
        }
        let rig = try Rig(owner: owner)
        close = { [rig] other in
            other.abort()
            rig.pump(other)
        }
        let first = try rig.connect()
        pair.note(rig.server)
        let second = try rig.connect()
        pair.note(rig.server)
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        first.send(get)
        second.send(get)
        rig.settle()
        let answered = [first, second].filter { !$0.bytes.isEmpty }
        #expect(answered.count == 1)
        #expect([first, second].filter(\.isOver).count == 1)
        #expect(rig.told.filter { $0 == .request("") }.count == 1)
        let third = try rig.connect()
        third.send(get)
        #expect(rig.run { !third.bytes.isEmpty })
        #expect(Reply.all(in: third.bytes).replies.map(\.status) == [200])
        answered.first?.send(get)
        #expect(rig.run { answered.allSatisfy { Reply.all(in: $0.bytes).replies.count == 2 } })
        close = { _ in }
    }
}
