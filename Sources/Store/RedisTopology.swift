// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// A server: where it is, and whose certificate it has to have.
public struct RedisTarget: Hashable, Sendable {
    public let address: SocketAddress
    public let host: String

    public init(address: SocketAddress, host: String) {
        self.address = address
        self.host = host
    }

    /// Of `host:port`, the host an IP literal with or without brackets.
    public init?(_ text: some StringProtocol, name: String? = nil) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard let address = SocketAddress(ip: host, port: port) else { return nil }
        self.address = address
        self.host = name ?? host
    }

    /// Another server of the same address, which keeps its name.
    func at(port: UInt16) -> RedisTarget? {
        let word = "\(address)"
        guard let colon = word.lastIndex(of: ":") else { return nil }
        return RedisTarget("\(word[..<colon]):\(port)", name: host)
    }

    /// `word` is its name and its port.
    func isNamed(_ word: Substring) -> Bool {
        guard let colon = word.lastIndex(of: ":"), word[..<colon] == host else { return false }
        return "\(address)".hasSuffix(word[colon...])
    }
}

/// Which of a cluster's 16,384 slots a key is in: CRC-16/XMODEM of the key, or of its hash tag
/// (Redis Cluster specification, "Hash tags").
public enum RedisSlot {
    public static let count = 16_384

    public static func of(_ key: String) -> Int {
        let bytes = Array(key.utf8)
        var part = bytes[...]
        if let open = bytes.firstIndex(of: UInt8(ascii: "{")),
            let close = bytes[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        {
            part = bytes[(open + 1)..<close]
        }
        var sum: UInt16 = 0
        for byte in part {
            sum ^= UInt16(byte) << 8
            for _ in 0..<8 { sum = sum & 0x8000 != 0 ? sum << 1 ^ 0x1021 : sum << 1 }
        }
        return Int(sum) & (count - 1)
    }
}

/// Which server has which slots, as one of them said.
public struct RedisNodes: Equatable, Sendable {
    /// The most primaries of a cluster: each worker has a connection to each.
    public static let most = 256

    public private(set) var targets: [RedisTarget] = []
    /// Primaries that have no slot, or none yet.
    public private(set) var idle: [RedisTarget] = []
    /// By slot the place in `targets`, or -1.
    public private(set) var owners = [Int16](repeating: -1, count: RedisSlot.count)

    /// Of the text of `CLUSTER NODES`; nil for one that makes no sense. `asked`: the server that
    /// said it, which may not know its own address.
    public init?(_ text: String, asked: RedisTarget) {
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }) {
            let words = line.split(separator: " ")
            guard words.count >= 8 else { return nil }
            let flags = words[2].split(separator: ",")
            guard flags.contains("master"), !flags.contains("fail") else { continue }
            let hasSlots = words[8...].contains { !$0.hasPrefix("[") }
            if !hasSlots {
                // One that was only met, or has no address, is none yet.
                if let target = Self.target(words[1], asked), idle.count < Self.most {
                    idle.append(target)
                }
                continue
            }
            guard let target = Self.target(words[1], asked), targets.count < Self.most else {
                return nil
            }
            let place = Int16(targets.count)
            targets.append(target)
            for range in words[8...] where !range.hasPrefix("[") {
                let ends = range.split(separator: "-", maxSplits: 1)
                guard let first = Int(ends[0]), let last = Int(ends[ends.count - 1]), first >= 0,
                    first <= last, last < RedisSlot.count
                else { return nil }
                for slot in first...last { owners[slot] = place }
            }
        }
        if targets.isEmpty { return nil }
    }

    /// `127.0.0.1:7000@17000,name`.
    private static func target(_ word: Substring, _ asked: RedisTarget) -> RedisTarget? {
        let parts = word.split(separator: ",", omittingEmptySubsequences: false)
        let isNamed = parts.count > 1 && !parts[1].isEmpty && !parts[1].contains("=")
        let name = isNamed ? String(parts[1]) : nil
        let place = parts[0].split(separator: "@", omittingEmptySubsequences: false)[0]
        if place.hasPrefix(":"), let port = UInt16(place.dropFirst()) {
            return asked.at(port: port)
        }
        return RedisTarget(place, name: name)
    }

    /// The address of a master, from the text of a sentinel's `INFO sentinel`.
    public static func master(_ name: String, in text: String) -> RedisTarget? {
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            guard line.hasPrefix("master"), let colon = line.firstIndex(of: ":") else { continue }
            var found: (name: Substring, address: Substring) = ("", "")
            for pair in line[line.index(after: colon)...].split(separator: ",") {
                if pair.hasPrefix("name=") { found.name = pair.dropFirst(5) }
                if pair.hasPrefix("address=") { found.address = pair.dropFirst(8) }
            }
            if found.name == name { return RedisTarget(found.address) }
        }
        return nil
    }
}
