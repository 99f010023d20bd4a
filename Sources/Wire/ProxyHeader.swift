// SPDX-License-Identifier: Apache-2.0

/// What a proxy in front says of the client in the first bytes of a connection: the PROXY protocol
/// of HAProxy, version 1 (a line) or 2 (binary).
public enum ProxyHeader: Sendable, Equatable {
    /// The proxy speaks for itself, or the client has no internet address.
    case unknown
    /// The letters of an IPv4 or IPv6 literal, and a port. Whether it is one, who makes an address
    /// of it will see.
    case client(ip: String, port: UInt16)

    /// The longest header that is read, in bytes, extensions included; version 1 has 107 at most.
    public static let limit = 2_048

    /// The bytes are no such header, or one that is not understood.
    public struct Fault: Error, Sendable, Equatable {
        public init() {}
    }

    private static let signature: [12 of UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let word: [6 of UInt8] = [0x50, 0x52, 0x4F, 0x58, 0x59, 0x20]
    /// Its CR LF included.
    private static let longestLine = 107

    /// The header that `bytes` begin with, and its length; nil when more bytes are needed.
    public static func parse(
        _ bytes: RawSpan
    ) throws(Fault) -> (header: ProxyHeader, length: Int)? {
        guard bytes.byteCount > 0 else { return nil }
        return bytes.byte(0) == signature[0] ? try binary(bytes) : try line(bytes)
    }

    // MARK: version 1

    private static func line(
        _ bytes: RawSpan
    ) throws(Fault) -> (header: ProxyHeader, length: Int)? {
        for place in 0..<min(bytes.byteCount, word.count) {
            guard bytes.byte(place) == word[place] else { throw Fault() }
        }
        var end = 0
        while end < min(bytes.byteCount, longestLine), bytes.byte(end) != 0x0A { end += 1 }
        guard end < longestLine else { throw Fault() }
        guard end < bytes.byteCount else { return nil }
        guard end > 0, bytes.byte(end - 1) == 0x0D else { throw Fault() }
        let words = (0..<end - 1).map { bytes.byte($0) }
            .split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        if words.count >= 2, words[1] == "UNKNOWN" { return (.unknown, end + 1) }
        guard words.count == 6, words[1] == "TCP4" || words[1] == "TCP6",
            isLiteral(words[2], ofVersion6: words[1] == "TCP6"),
            isLiteral(words[3], ofVersion6: words[1] == "TCP6"),
            let port = port(words[4]), self.port(words[5]) != nil
        else { throw Fault() }
        return (.client(ip: words[2], port: port), end + 1)
    }

    private static func isLiteral(_ text: String, ofVersion6 isVersion6: Bool) -> Bool {
        guard (2...45).contains(text.utf8.count) else { return false }
        return text.utf8.contains(isVersion6 ? 0x3A : 0x2E)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x2E: true
                case 0x3A, 0x41...0x46, 0x61...0x66: isVersion6
                default: false
                }
            }
    }

    private static func port(_ text: String) -> UInt16? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text == "0" || !text.hasPrefix("0")
        else { return nil }
        return UInt16(text)
    }

    // MARK: version 2

    private static func binary(
        _ bytes: RawSpan
    ) throws(Fault) -> (header: ProxyHeader, length: Int)? {
        for place in 0..<min(bytes.byteCount, signature.count) {
            guard bytes.byte(place) == signature[place] else { throw Fault() }
        }
        guard bytes.byteCount >= 16 else { return nil }
        let command = bytes.byte(12)
        let rest = Int(number(bytes, 14))
        guard command >> 4 == 2, command & 0xF <= 1, 16 + rest <= limit else { throw Fault() }
        guard bytes.byteCount >= 16 + rest else { return nil }
        if command & 0xF == 0 { return (.unknown, 16 + rest) }
        switch bytes.byte(13) {
        // TCP over IPv4 and IPv6; what follows the addresses are extensions.
        case 0x11:
            guard rest >= 12 else { throw Fault() }
            let ip = (16..<20).map { "\(bytes.byte($0))" }.joined(separator: ".")
            return (.client(ip: ip, port: number(bytes, 24)), 16 + rest)
        case 0x21:
            guard rest >= 36 else { throw Fault() }
            let ip = stride(from: 16, to: 32, by: 2).map { place in
                String(number(bytes, place), radix: 16)
            }.joined(separator: ":")
            return (.client(ip: ip, port: number(bytes, 48)), 16 + rest)
        // UNSPEC and Unix sockets.
        case 0x00, 0x31: return (.unknown, 16 + rest)
        default: throw Fault()
        }
    }

    private static func number(_ bytes: RawSpan, _ place: Int) -> UInt16 {
        UInt16(bytes.byte(place)) << 8 | UInt16(bytes.byte(place + 1))
    }
}
