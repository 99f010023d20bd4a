// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Transport
import Units
import Wire

/// Where a client is, without its port. Addresses of IPv4 are in their mapped form, so that a
/// client is the same at sockets of either family.
struct ClientAddress: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// Nil for Unix sockets.
    init?(_ address: SocketAddress) {
        guard let (high, low) = address.numeric else { return nil }
        self.init(high: high, low: low)
    }

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    private var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// Whom connections are counted by: who has one address of IPv6 has all of its /64.
    var network: ClientAddress { isIPv4 ? self : ClientAddress(high: high, low: 0) }

    func isWithin(_ ranges: [AddressRange]) -> Bool {
        ranges.contains { $0.contains(high: high, low: low) }
    }

    /// `192.0.2.1`, `2001:db8::1`.
    var text: String { SocketAddress(high: high, low: low, port: 0).host }

    func append(to text: inout ByteBuffer) {
        guard isIPv4 else { return text.append(self.text) }
        for shift in stride(from: 24 as UInt64, through: 0, by: -8) {
            text.append(decimal: Int(low >> shift & 255))
            if shift > 0 { text.append(byte: 0x2E) }
        }
    }
}

/// Who a request comes from, where proxies stand between.
///
/// Each proxy adds to `X-Forwarded-For` whom it got the request from, so that what a client makes
/// up stands further left than what the first trusted proxy has written. So the list is read from
/// its end, as long as those who wrote it are trusted, and the first who is not is the client.
/// `Forwarded` (RFC 7239) is not read: two fields that may differ would let a client choose.
enum ForwardedFor {
    /// Proxies in a row; what stands before them is not looked at.
    private static let proxies = 16

    /// The client of a request that came over a connection from `peer`; nil for Unix sockets.
    static func client(
        _ server: ServerStream, trusting ranges: [AddressRange]
    ) -> ClientAddress? {
        guard let peer = server.peer?.address.flatMap(ClientAddress.init) else { return nil }
        guard !ranges.isEmpty, server.count(.xForwardedFor) > 0, peer.isWithin(ranges) else {
            return peer
        }
        var values: [String] = []
        unsafe server.forEachField { id, _, value in
            if id == .xForwardedFor { values.append(unsafe String(decoding: value, as: UTF8.self)) }
        }
        return client(values, from: peer, trusting: ranges)
    }

    /// `values` are those of the fields in their order, `peer` is trusted.
    static func client(
        _ values: [String], from peer: ClientAddress, trusting ranges: [AddressRange]
    ) -> ClientAddress {
        var client = peer
        var hops = 0
        for value in values.reversed() {
            for element in value.split(separator: ",", omittingEmptySubsequences: false).reversed()
            {
                // What cannot be read was written by somebody all the same: it is not passed over.
                guard hops < proxies, let address = address(element) else { return client }
                client = address
                hops += 1
                guard address.isWithin(ranges) else { return client }
            }
        }
        return client
    }

    /// `192.0.2.1`, `2001:db8::1`, and either with a port, as some proxies have it:
    /// `192.0.2.1:1234`, `[2001:db8::1]:1234`.
    private static func address(_ element: Substring) -> ClientAddress? {
        var text = element.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            guard isPort(text[text.index(after: end)...]) else { return nil }
            text = text[text.index(after: text.startIndex)..<end]
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            guard isPort(text[colon...]) else { return nil }
            text = text[..<colon]
        }
        guard text.utf8.count <= 45 else { return nil }
        return SocketAddress(ip: String(text), port: 0).flatMap(ClientAddress.init)
    }

    /// Nothing, or a colon and digits.
    private static func isPort(_ text: Substring) -> Bool {
        guard let first = text.first else { return true }
        let digits = text.dropFirst()
        return first == ":" && (1...5).contains(digits.utf8.count)
            && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
