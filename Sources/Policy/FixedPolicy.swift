// SPDX-License-Identifier: Apache-2.0

package import Units

/// The part of the configuration that holds from start to end of the process: a reload that changes
/// it is refused.
package struct FixedPolicy: Sendable, Equatable {
    /// Worker threads, each with a loop of its own; 1 to 64.
    package var workers: Int
    package var listeners: [ListenerPolicy]
    package var admin: AdminPolicy
    package var store: StorePolicy

    package init(
        workers: Int, listeners: [ListenerPolicy], admin: AdminPolicy, store: StorePolicy
    ) {
        self.workers = workers
        self.listeners = listeners
        self.admin = admin
        self.store = store
    }
}

/// Where to listen or to connect.
package enum Address: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 literal without brackets, and a port; port 0 lets the kernel choose.
    case ip(host: String, port: UInt16)
    /// A host name that is to be resolved, and a port. Only for what we connect to.
    case name(host: String, port: UInt16)
    /// A Unix socket's path, at most 107 bytes.
    case unix(path: String)

    package var description: String {
        switch self {
        case .ip(let host, let port):
            host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .name(let host, let port): "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// One door for clients.
package struct ListenerPolicy: Sendable, Equatable {
    package var address: Address
    /// Every request that comes in here is this tenant's, and keys are ignored.
    package var tenant: String?

    package init(address: Address, tenant: String? = nil) {
        self.address = address
        self.tenant = tenant
    }
}

/// The operators' door.
package struct AdminPolicy: Sendable, Equatable {
    package var address: Address
    /// Required when the address is neither loopback nor a Unix socket.
    package var token: Secret?

    package init(address: Address, token: Secret?) {
        self.address = address
        self.token = token
    }
}

/// Where budgets are kept.
package enum StorePolicy: Sendable, Equatable {
    case memory(MemoryStorePolicy)
    case redis(RedisStorePolicy)
}

package struct MemoryStorePolicy: Sendable, Equatable {
    /// The file that budgets are saved to and restored from; nil keeps them in memory only.
    package var snapshot: String?
    /// How often it is written, and so what a crash may lose.
    package var snapshotInterval: Duration

    package init(snapshot: String?, snapshotInterval: Duration) {
        self.snapshot = snapshot
        self.snapshotInterval = snapshotInterval
    }
}

package struct RedisStorePolicy: Sendable, Equatable {
    package var addresses: [Address]
    package var username: String?
    package var password: Secret?
    package var database: Int
    /// How long one command may take.
    package var timeout: Duration
    package var onFailure: StoreFailureMode
    /// What all keys begin with.
    package var keyPrefix: String
    /// After this long without a sign of life a request's concurrency place returns.
    package var reservationLease: Duration

    package init(
        addresses: [Address], username: String?, password: Secret?, database: Int,
        timeout: Duration, onFailure: StoreFailureMode, keyPrefix: String,
        reservationLease: Duration
    ) {
        self.addresses = addresses
        self.username = username
        self.password = password
        self.database = database
        self.timeout = timeout
        self.onFailure = onFailure
        self.keyPrefix = keyPrefix
        self.reservationLease = reservationLease
    }
}

/// What happens to requests while the budget store is away.
package enum StoreFailureMode: String, Sendable, CaseIterable {
    /// This replica enforces the limits from its own memory.
    case local
    /// Requests are admitted without a budget.
    case open
    /// Requests are refused with 503.
    case closed
}

/// A text that no description ever shows.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The text itself, for the one place that needs it.
    package let revealed: String

    package init(_ text: String) { revealed = text }

    package var description: String { "********" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
