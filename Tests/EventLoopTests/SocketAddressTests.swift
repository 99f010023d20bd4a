// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing
import Units

@Suite struct SocketAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1:80"),
        ("255.1.20.0", "255.1.20.0", "255.1.20.0:80"),
        ("::", "::", "[::]:80"),
        ("0:0::1", "::1", "[::1]:80"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "[2001:db8::1:0:0:1]:80"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1", "[::ffff:10.0.0.1]:80"),
    ])
    func anAddressIsWrittenInItsShortestForm(
        literal: String, host: String, description: String
    ) throws {
        let address = try #require(SocketAddress(ip: literal, port: 80))
        #expect(address.host == host)
        #expect(address.description == description)
        #expect(address.port == 80)
        #expect(address.unixPath == nil)
        #expect(SocketAddress(ip: host, port: 80) == address)
    }

    @Test(arguments: [
        "", "localhost", "127.0.0", "127.0.0.256", "0127.0.0.1", "1.2.3.4 ", "[::1]", "::1::",
        "fe80::1%lo", "127.0.0.1\0", "::1\0x",
    ])
    func whatIsNoLiteralIsNoAddress(text: String) {
        #expect(SocketAddress(ip: text, port: 1) == nil)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.3.4", true), ("128.0.0.1", false), ("10.0.0.1", false),
        ("0.0.0.0", false), ("::1", true), ("::", false), ("::2", false), ("1::1", false),
        ("::ffff:127.0.0.1", true), ("::ffff:126.0.0.1", false), ("::127.0.0.1", false),
    ])
    func loopbackIsThisMachineOnly(literal: String, isLoopback: Bool) throws {
        #expect(try #require(SocketAddress(ip: literal, port: 1)).isLoopback == isLoopback)
    }

    @Test(arguments: [
        ("192.0.2.1", UInt64(0), UInt64(0xFFFF_C000_0201), "192.0.2.1"),
        ("::ffff:192.0.2.1", 0, 0xFFFF_C000_0201, "192.0.2.1"),
        ("2001:db8::7", 0x2001_0DB8_0000_0000, 7, "2001:db8::7"),
    ])
    func anAddressHasOneNumberInBothFamilies(
        literal: String, high: UInt64, low: UInt64, host: String
    ) throws {
        let numeric = try #require(SocketAddress(ip: literal, port: 80)).numeric
        #expect(numeric?.high == high)
        #expect(numeric?.low == low)
        let again = SocketAddress(high: high, low: low, port: 8_080)
        #expect(again.host == host)
        #expect(again.port == 8_080)
        #expect(SocketAddress(unixPath: "/run/x.sock")?.numeric == nil)
    }

    @Test func addressesDifferByHostAndByPort() throws {
        let address = try #require(SocketAddress(ip: "10.0.0.1", port: 1))
        #expect(address != SocketAddress(ip: "10.0.0.1", port: 2))
        #expect(address != SocketAddress(ip: "10.0.0.2", port: 1))
        #expect(address == SocketAddress(ip: "10.0.0.1", port: 1))
        #expect(Set([address, address]).count == 1)
    }

    @Test func aUnixPathHasBoundsAndNoPort() throws {
        let address = try #require(SocketAddress(unixPath: "/run/x.sock"))
        #expect(address.port == nil)
        #expect(address.unixPath == "/run/x.sock")
        #expect(address.host == "unix:/run/x.sock")
        #expect(address.description == "unix:/run/x.sock")
        #expect(address.isLoopback)
        #expect(SocketAddress(unixPath: "") == nil)
        #expect(SocketAddress(unixPath: "a\0b") == nil)
        #expect(SocketAddress(unixPath: String(repeating: "x", count: 107)) != nil)
        #expect(SocketAddress(unixPath: String(repeating: "x", count: 108)) == nil)
    }

    @Test func theLongestPathCanBeBoundAndReached() throws {
        let folder = Folder()
        defer { folder.remove() }
        let room = 107 - folder.path("").utf8.count
        let path = folder.path(String(repeating: "x", count: room))
        let pair = try Pair(try #require(SocketAddress(unixPath: path)))
        #expect(pair.client.send(text: "hello") == .bytes(5))
        #expect(try pair.server.receive(text: 5) == "hello")
    }
}
