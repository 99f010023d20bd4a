// SPDX-License-Identifier: Apache-2.0

/// Where a replay sends its requests: `http://host[:port][/base]`.
public struct ReplayTarget: Sendable, Equatable {
    /// Without the brackets of an IPv6 literal.
    public let host: String
    public let port: UInt16
    /// What the `Host` field says.
    public let authority: String
    /// In front of `/v1/chat/completions`; a base that ends in `/v1` is taken for what it means.
    public let base: String

    /// Nil for anything else.
    public init?(url: String) {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(7)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        var base = rest[slash...]
        guard base.allSatisfy({ $0.isASCII && $0 > " " && $0 != "?" && $0 != "#" }) else {
            return nil
        }
        while base.hasSuffix("/") { base = base.dropLast() }
        if base.hasSuffix("/v1") { base = base.dropLast(3) }
        guard let (host, port) = Self.split(authority) else { return nil }
        self.host = host
        self.port = port
        self.authority = String(authority)
        self.base = String(base)
    }

    private static func split(_ authority: Substring) -> (String, UInt16)? {
        let host: Substring
        var port: UInt16? = 80
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            if !rest.isEmpty { port = rest.hasPrefix(":") ? UInt16(rest.dropFirst()) : nil }
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = authority[..<colon]
            if colon < authority.endIndex { port = UInt16(authority[colon...].dropFirst()) }
        }
        let allowed = host.allSatisfy {
            $0.isASCII && ($0.isLetter || $0.isNumber || ".-_:%".contains($0))
        }
        guard let port, port > 0, !host.isEmpty, allowed else { return nil }
        return (String(host), port)
    }
}
