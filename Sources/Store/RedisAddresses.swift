// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Policy
import Synchronization

/// Where Redis may be: the configured addresses, host names resolved anew with every attempt.
public final class RedisAddresses: Sendable {
    private struct Entry {
        let address: Address
        var found: [SocketAddress]
        var isAsking = false
    }

    private let entries: Mutex<[Entry]>
    private let resolver: Resolver?

    /// Without `resolver` host names are never found.
    public init(_ addresses: [Address], resolver: Resolver?) {
        entries = Mutex(
            addresses.map { Entry(address: $0, found: Self.literal($0).map { [$0] } ?? []) })
        self.resolver = resolver
    }

    /// The same, with the name that its certificate has to have.
    func target(attempt: Int) -> RedisTarget? {
        let host: String? = entries.withLock { entries in
            guard !entries.isEmpty else { return nil }
            return switch entries[attempt % entries.count].address {
            case .ip(let host, _), .name(let host, _): host
            case .unix: "localhost"
            }
        }
        guard let host, let address = address(attempt: attempt) else { return nil }
        return RedisTarget(address: address, host: host)
    }

    /// The address for a worker's attempt of this number: each attempt goes to the next one. Nil
    /// while a host name has no address.
    func address(attempt: Int) -> SocketAddress? {
        let (found, question) = entries.withLock { entries in
            guard !entries.isEmpty else { return (SocketAddress?.none, Int?.none) }
            let place = attempt % entries.count
            let list = entries[place].found
            let choice = list.isEmpty ? nil : list[attempt / entries.count % list.count]
            guard case .name = entries[place].address, !entries[place].isAsking else {
                return (choice, nil)
            }
            entries[place].isAsking = true
            return (choice, place)
        }
        if let question { ask(question) }
        return found
    }

    private func ask(_ place: Int) {
        guard case .name(let host, let port) = entries.withLock({ $0[place].address }) else {
            return
        }
        let isAccepted = resolver?.resolve(host, port: port) { outcome in
            self.entries.withLock { entries in
                entries[place].isAsking = false
                // A name service that is away takes nothing back that it once said.
                if case .addresses(let found) = outcome { entries[place].found = found }
            }
        }
        if isAccepted != true { entries.withLock { $0[place].isAsking = false } }
    }

    private static func literal(_ address: Address) -> SocketAddress? {
        switch address {
        case .ip(let host, let port): SocketAddress(ip: host, port: port)
        case .unix(let path): SocketAddress(unixPath: path)
        case .name: nil
        }
    }
}
