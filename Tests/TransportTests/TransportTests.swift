// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

@Test
func answersARequest() throws {
    let rig = try Rig()
    let peer = try rig.connect()
    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(rig.run { !peer.bytes.isEmpty })
    let (replies, rest) = Reply.all(in: peer.bytes)
    #expect(replies.map(\.body) == ["ok"])
    #expect(rest == "")
    #expect(rig.told == [.head("GET /"), .request("")])
}
