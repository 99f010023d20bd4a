// SPDX-License-Identifier: Apache-2.0

import Glibc
import Policy

/// Reads addresses and engine URLs into one canonical form each, so that equal ones compare equal.
enum AddressParser {
    static let listenLabel =
        "an address such as 0.0.0.0:8080, [::]:8080 or unix:/run/penstock.sock"
    static let connectLabel = "an address such as 10.0.0.1:6379, redis:6379 or unix:/run/redis.sock"
    static let endpointLabel = "an engine's URL such as http://10.0.0.11:8000"

    static let rangeLabel = "an address or a range such as 10.0.0.0/8, 192.0.2.1 or fd00::/8"

    static let keySetLabel =
        "a file's path, or a URL such as https://login.example.com/.well-known/jwks.json"

    /// sockaddr_un.sun_path without its final zero.
    private static let longestUnixPath = 107

    /// An IP literal and a port, 0 to let the kernel choose; or a Unix socket.
    static func listen(_ text: String) throws(ScalarFault) -> Address {
        if let path = try unixPath(text) { return .unix(path: path) }
        guard let (host, port) = split(text[...]), let port else { throw .expected(listenLabel) }
        guard let literal = ipLiteral(host) else {
            if isHostName(host) {
                throw .expected(listenLabel, advice: "; a host name cannot be listened on")
            }
            throw .expected(listenLabel)
        }
        return .ip(host: literal, port: port)
    }

    /// A host and a port, or a Unix socket.
    static func connect(_ text: String) throws(ScalarFault) -> Address {
        if let path = try unixPath(text) { return .unix(path: path) }
        if text.contains("@") { throw .refused("expected \(connectLabel), without a user") }
        guard let (host, port) = split(text[...]), let port, port > 0,
            let address = address(host, port)
        else { throw .expected(connectLabel) }
        return address
    }

    /// `http://host[:port][/]` or the same with `https`; port 80 or 443 where none is given.
    static func endpoint(_ text: String) throws(ScalarFault) -> Value {
        // What may hold a password is not shown.
        if text.contains("@") {
            throw .refused("expected \(endpointLabel), without a user; 'key' is sent to engines")
        }
        let isSecure = text.lowercased().hasPrefix("https://")
        guard isSecure || text.lowercased().hasPrefix("http://") else {
            throw .expected(endpointLabel)
        }
        var rest = text.dropFirst(isSecure ? "https://".count : "http://".count)
        if rest.contains("?") || rest.contains("#") {
            throw .expected(endpointLabel, advice: "; it cannot have a query")
        }
        if rest.hasSuffix("/") { rest.removeLast() }
        if rest.contains("/") { throw .expected(endpointLabel, advice: "; it cannot have a path") }
        guard let (host, given) = split(rest), given != 0,
            let address = address(host, given ?? (isSecure ? 443 : 80))
        else { throw .expected(endpointLabel) }
        return .endpoint(address, authority: address.description, isSecure: isSecure)
    }

    /// Whether a text is meant as a URL, and not as a path.
    static func isURL(_ text: String) -> Bool { text.contains("://") }

    /// `https://host[:port]/path[?query]`, port 443 where none is given.
    static func keySet(
        _ text: String
    ) throws(ScalarFault) -> (address: Address, authority: String, target: String) {
        guard isURL(text), text.utf8.count <= 2_048 else { throw .expected(keySetLabel) }
        // What may hold a password is not shown.
        if text.contains("@") { throw .refused("expected \(keySetLabel), without a user") }
        guard text.lowercased().hasPrefix("https://") else {
            throw .expected(keySetLabel, advice: "; keys have to come by https")
        }
        let rest = text.dropFirst("https://".count)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let target = rest[end...]
        guard target.hasPrefix("/"), target.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            !target.contains("#"), let (host, given) = split(rest[..<end]), given != 0,
            let address = address(host, given ?? 443)
        else { throw .expected(keySetLabel) }
        let authority = given == nil ? String(host).lowercased() : address.description
        return (address, authority, String(target))
    }

    /// `10.0.0.0/8`, `fd00::/8`, or one address: its canonical text and what it holds.
    static func range(_ text: String) throws(ScalarFault) -> (text: String, range: AddressRange) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let first = parts.first else {
            throw .expected(rangeLabel)
        }
        let isIPv6 = first.contains(":")
        let bits = isIPv6 ? 128 : 32
        var length = bits
        if parts.count == 2 {
            guard let given = Scalar.integer(String(parts[1])), (0...bits).contains(given),
                !parts[1].contains("_")
            else { throw .expected(rangeLabel) }
            length = given
        }
        guard let literal = canonical(String(first), family: isIPv6 ? AF_INET6 : AF_INET) else {
            throw .expected(rangeLabel)
        }
        let (high, low) = halves(String(first), isIPv6: isIPv6)
        guard
            let range = AddressRange(high: high, low: low, length: isIPv6 ? length : length + 96)
        else {
            throw .expected(rangeLabel, advice: "; bits beyond the /\(length) have to be zero")
        }
        return (length == bits ? literal : "\(literal)/\(length)", range)
    }

    // MARK: Parts

    /// Of a literal that is one; IPv4 mapped into IPv6.
    private static func halves(_ text: String, isIPv6: Bool) -> (UInt64, UInt64) {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard isIPv6 else {
            _ = unsafe inet_pton(AF_INET, text, &bytes)
            return (0, 0xFFFF << 32 | bytes[..<4].reduce(0) { $0 << 8 | UInt64($1) })
        }
        _ = unsafe inet_pton(AF_INET6, text, &bytes)
        return (
            bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) },
            bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
        )
    }

    /// The path of `unix:PATH`; nil for other addresses.
    private static func unixPath(_ text: String) throws(ScalarFault) -> String? {
        guard text.hasPrefix("unix:") else { return nil }
        let path = String(text.dropFirst("unix:".count))
        guard path.hasPrefix("/"), path.utf8.count > 1, !path.utf8.contains(0) else {
            throw .expected("an absolute path after 'unix:'")
        }
        guard path.utf8.count <= longestUnixPath else {
            throw .expected("a socket's path of at most \(longestUnixPath) bytes")
        }
        return path
    }

    /// Host and port of `host:port`, `[v6]:port` or either without a port. A bare IPv6 literal is
    /// refused: where its port begins is anyone's guess.
    private static func split(_ text: Substring) -> (host: Substring, port: UInt16?)? {
        var host = text
        var digits: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[...end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.first == ":" else { return nil }
                digits = rest.dropFirst()
            }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            digits = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { return nil }
        guard let digits else { return (host, nil) }
        guard let port = Scalar.integer(String(digits)), !digits.contains("_"),
            let port = UInt16(exactly: port), digits.first != "-"
        else { return nil }
        return (host, port)
    }

    private static func address(_ host: Substring, _ port: UInt16) -> Address? {
        if let literal = ipLiteral(host) { return .ip(host: literal, port: port) }
        guard isHostName(host) else { return nil }
        return .name(host: host.lowercased(), port: port)
    }

    /// An IPv4 or bracketed IPv6 literal in its canonical form (RFC 5952), without brackets.
    private static func ipLiteral(_ host: Substring) -> String? {
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            return canonical(String(host.dropFirst().dropLast()), family: AF_INET6)
        }
        return canonical(String(host), family: AF_INET)
    }

    private static func canonical(_ text: String, family: Int32) -> String? {
        // Longer than the longest literal, with room for its end.
        guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16)
        guard unsafe inet_pton(family, text, &bytes) == 1 else { return nil }
        var written = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard
            unsafe inet_ntop(family, bytes, &written, socklen_t(written.count)) != nil
        else { return nil }
        return String(
            decoding: written.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Labels of letters, digits, `-` and `_`, none empty, as resolvers take them; the last one not
    /// a number, which would be a broken IPv4 literal.
    private static func isHostName(_ host: Substring) -> Bool {
        let labels = host.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard host.utf8.count <= 253, let last = labels.last else { return false }
        let isNumber = last.allSatisfy { (0x30...0x39).contains($0) }
        return !isNumber && labels.allSatisfy(isLabel)
    }

    private static func isLabel(_ label: Substring.UTF8View) -> Bool {
        let hyphen = UInt8(ascii: "-")
        return (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
            && label.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, hyphen, UInt8(ascii: "_"): true
                default: false
                }
            }
    }
}
