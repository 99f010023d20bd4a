// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Open connections of the whole process by whose they are, so that one address cannot have all.
///
/// It holds an entry for each address that has a connection, and so no more than there are
/// connections. It is asked once at a connection's beginning and told once at its end.
final class AddressCounts: Sendable {
    private let counts = Mutex<[ClientAddress: Int]>([:])

    /// Counts one more of that address; false, and nothing is counted, where it has `limit`.
    func enter(_ address: ClientAddress, limit: Int?) -> Bool {
        counts.withLock { counts in
            let count = counts[address.network, default: 0]
            if let limit, count >= limit { return false }
            counts[address.network] = count + 1
            return true
        }
    }

    /// One that was counted has ended.
    func leave(_ address: ClientAddress) {
        counts.withLock { counts in
            let left = counts[address.network, default: 0] - 1
            counts[address.network] = left > 0 ? left : nil
        }
    }

    /// Addresses that have a connection.
    var addresses: Int { counts.withLock { $0.count } }
}

/// Why a client's connection was closed before anything was read of it.
enum ConnectionRefusal: String, CaseIterable {
    /// The worker has as many as it may.
    case full
    /// Its address has as many as it may.
    case address
    /// A proxy that was to say whose it is did not, or not in time.
    case proxyHeader = "proxy_header"
}

/// Refused connections of all workers.
final class ConnectionRefusals: Sendable {
    private let counts = Mutex([Int](repeating: 0, count: ConnectionRefusal.allCases.count))

    func count(_ reason: ConnectionRefusal) {
        guard let place = ConnectionRefusal.allCases.firstIndex(of: reason) else { return }
        counts.withLock { $0[place] += 1 }
    }

    /// In the order of `ConnectionRefusal.allCases`.
    var all: [Int] { counts.withLock { $0 } }
}
