// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units
import Wire

/// The header of the PROXY protocol, versions 1 and 2.
@Suite struct ProxyHeaderTests {
    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    private static func parse(
        _ bytes: [UInt8]
    ) throws(ProxyHeader.Fault) -> (header: ProxyHeader, length: Int)? {
        try bytes.withRaw { span throws(ProxyHeader.Fault) in try ProxyHeader.parse(span) }
    }

    private static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
    }

    private static let ipv4: [UInt8] = [192, 0, 2, 1, 10, 0, 0, 1, 0x30, 0x39, 0x1F, 0x90]
    private static let ipv6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7]
        + [UInt8](repeating: 0, count: 15) + [1, 0x30, 0x39, 0x1F, 0x90]

    static let good: [([UInt8], ProxyHeader)] = [
        (
            Array("PROXY TCP4 192.0.2.1 10.0.0.1 12345 8080\r\n".utf8),
            .client(ip: "192.0.2.1", port: 12_345)
        ),
        (
            Array("PROXY TCP6 2001:db8::7 ::1 0 65535\r\n".utf8),
            .client(ip: "2001:db8::7", port: 0)
        ),
        (Array("PROXY UNKNOWN\r\n".utf8), .unknown),
        (Array("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".utf8), .unknown),
        (binary(0x21, 0x11, ipv4), .client(ip: "192.0.2.1", port: 12_345)),
        (binary(0x21, 0x21, ipv6), .client(ip: "2001:db8:0:0:0:0:0:7", port: 12_345)),
        // With extensions behind the addresses.
        (binary(0x21, 0x11, ipv4 + [4, 0, 1, 0]), .client(ip: "192.0.2.1", port: 12_345)),
        // LOCAL, an unspecified family, a Unix socket.
        (binary(0x20, 0x11, ipv4), .unknown),
        (binary(0x20, 0x00, []), .unknown),
        (binary(0x21, 0x00, []), .unknown),
        (binary(0x21, 0x31, [UInt8](repeating: 0, count: 216)), .unknown),
    ]

    /// Wherever the bytes are cut: nothing before the header is whole, and then only its length.
    @Test(arguments: good)
    func aHeaderIsReadWhole(bytes: [UInt8], header: ProxyHeader) throws {
        for count in 0..<bytes.count {
            let part = try Self.parse(Array(bytes[..<count]))
            #expect(part == nil, "\(count) of \(bytes.count)")
        }
        for rest in [[], Array("GET / HTTP/1.1\r\n".utf8)] {
            let found = try Self.parse(bytes + rest)
            #expect(found?.header == header)
            #expect(found?.length == bytes.count)
        }
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "proxy TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n", "PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n", "PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        "PROXY TCP4 client.example 10.0.0.1 1 2\r\n", "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
        "PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n", "PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
    ])
    func whatIsNoHeaderIsRefused(text: String) {
        #expect(throws: ProxyHeader.Fault.self) {
            try Self.parse(Array(text.utf8))
        }
    }

    @Test func aLineThatDoesNotEndIsRefusedAtItsLimit() throws {
        let longest = "PROXY UNKNOWN " + String(repeating: "x", count: 91)
        #expect(longest.utf8.count == 105)
        let header = try Self.parse(Array((longest + "\r\n").utf8))
        #expect(header?.length == 107)
        let more = try Self.parse(Array((longest + "x").utf8))
        #expect(more == nil)
        #expect(throws: ProxyHeader.Fault.self) {
            try Self.parse(Array((longest + "xx").utf8))
        }
        #expect(throws: ProxyHeader.Fault.self) {
            try Self.parse(Array((longest + "x\r\n").utf8))
        }
    }

    @Test(arguments: [
        binary(0x11, 0x11, ipv4), binary(0x22, 0x11, ipv4), binary(0x21, 0x12, ipv4),
        binary(0x21, 0x11, Array(ipv4.dropLast())), binary(0x21, 0x21, ipv4),
        binary(0x21, 0x41, ipv4), binary(0x21, 0x11, [UInt8](repeating: 0, count: 2_033)),
    ])
    func whatIsNotUnderstoodOfVersion2IsRefused(bytes: [UInt8]) {
        #expect(throws: ProxyHeader.Fault.self) { try Self.parse(bytes) }
    }

    /// Whatever comes is answered, and never with a length beyond what is there.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func noBytesAreTooMuch(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var bytes = Self.good[Int(random.next() % UInt64(Self.good.count))].0
        for _ in 0..<1 + random.next() % 4 {
            bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(random.next() & 255)
        }
        if let found = try? Self.parse(bytes) {
            #expect(found.length <= bytes.count)
        }
    }
}
