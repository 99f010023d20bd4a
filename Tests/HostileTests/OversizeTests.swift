// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Every limit, exactly at it and one beyond, with the defaults.
@Suite
struct OversizeTests {
    private func statuses(_ bytes: [UInt8]) throws -> [Int] {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(bytes)
        let isAnswered = rig.run { !Reply.all(in: peer.bytes).replies.isEmpty }
        #expect(isAnswered)
        rig.settle()
        let statuses = Reply.all(in: peer.bytes).replies.map(\.status)
        #expect(peer.hasEnded == (statuses.last != 200))
        #expect(try #require(rig.server).heldRequestBytes == 0)
        return statuses
    }
    private func statuses(_ text: String) throws -> [Int] { try statuses(Array(text.utf8)) }

    @Test(arguments: [(8_192, 200), (8_193, 414), (100_000, 414)])
    func theTarget(size: Int, status: Int) throws {
        let path = "/" + String(repeating: "p", count: size - 1)
        #expect(try statuses("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n") == [status])
    }

    @Test(arguments: [(32_768, 200), (32_769, 431), (1_000_000, 431)])
    func theHead(size: Int, status: Int) throws {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
        let value = String(repeating: "v", count: size - start.utf8.count - 4)
        #expect(try statuses(start + value + "\r\n\r\n") == [status])
    }

    @Test(arguments: [(128, 200), (129, 431), (5_000, 431)])
    func theFields(count: Int, status: Int) throws {
        let fields = String(repeating: "A: b\r\n", count: count - 1)
        #expect(try statuses("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n") == [status])
    }

    @Test(arguments: [(16 << 20, 200), (16 << 20 + 1, 413), (1 << 62, 413)])
    func theAnnouncedBody(size: Int, status: Int) throws {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n"
        let body = [UInt8](repeating: 0x61, count: min(size, 17 << 20))
        #expect(try statuses(Array(head.utf8) + body) == [status])
    }

    @Test(arguments: [(16 << 20, 200), (16 << 20 + 1, 413)])
    func theChunkedBody(size: Int, status: Int) throws {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "\(String(size, radix: 16))\r\n"
        let body = [UInt8](repeating: 0x61, count: size)
        #expect(try statuses(Array(head.utf8) + body + Array("\r\n0\r\n\r\n".utf8)) == [status])
    }

    @Test(arguments: [(8_192, 200), (8_193, 431), (100_000, 431)])
    func theTrailers(size: Int, status: Int) throws {
        let value = String(repeating: "v", count: size - 5)
        #expect(
            try statuses(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "0\r\nX: \(value)\r\n\r\n") == [status])
    }

    @Test(arguments: [(4_096, 200), (4_097, 400), (100_000, 400)])
    func theChunkExtensions(size: Int, status: Int) throws {
        let name = String(repeating: "n", count: size - 1)
        #expect(
            try statuses(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "1;\(name)\r\nx\r\n0\r\n\r\n") == [status])
    }
}
