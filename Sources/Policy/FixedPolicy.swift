// SPDX-License-Identifier: Apache-2.0

public import Units

/// The part of the configuration that holds from start to end of the process: a reload that changes
/// it is refused.
public struct FixedPolicy: Sendable, Equatable {
    /// Worker threads, each with a loop of its own; 1 to 64.
    public var workers: Int
    public var listeners: [ListenerPolicy]
    public var admin: AdminPolicy
    public var store: StorePolicy
    /// Nil: settlements are counted, and not written down one by one.
    public var ledger: LedgerPolicy?
    public var counting: CountingPolicy

    public init(
        workers: Int, listeners: [ListenerPolicy], admin: AdminPolicy, store: StorePolicy,
        ledger: LedgerPolicy? = nil, counting: CountingPolicy = CountingPolicy()
    ) {
        self.ledger = ledger
        self.counting = counting
        self.workers = workers
        self.listeners = listeners
        self.admin = admin
        self.store = store
    }
}

/// Where to listen or to connect.
public enum Address: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 literal without brackets, and a port; port 0 lets the kernel choose.
    case ip(host: String, port: UInt16)
    /// A host name that is to be resolved, and a port. Only for what we connect to.
    case name(host: String, port: UInt16)
    /// A Unix socket's path, at most 107 bytes.
    case unix(path: String)

    public var description: String {
        switch self {
        case .ip(let host, let port):
            host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .name(let host, let port): "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}

/// One door for clients.
public struct ListenerPolicy: Sendable, Equatable {
    public var address: Address
    /// Every request that comes in here is this tenant's, and keys are ignored.
    public var tenant: String?
    /// What is spoken there; never empty.
    public var protocols: Set<HTTPProtocol>
    /// Nil: in clear.
    public var tls: ListenerTLSPolicy?
    /// Proxies that say first whose a connection is, by the PROXY protocol.
    public var proxies: [AddressRange]

    public init(
        address: Address, tenant: String? = nil, protocols: Set<HTTPProtocol> = [.http1],
        tls: ListenerTLSPolicy? = nil, proxies: [AddressRange] = []
    ) {
        self.proxies = proxies
        self.address = address
        self.tenant = tenant
        self.protocols = protocols
        self.tls = tls
    }
}

/// What clients may speak at a door.
public enum HTTPProtocol: String, Sendable, CaseIterable {
    case http1
    case http2
}

/// The operators' door.
public struct AdminPolicy: Sendable, Equatable {
    public var address: Address
    /// Required when the address is neither loopback nor a Unix socket.
    public var token: Secret?
    /// Where changes are written down; nil: in the log.
    public var audit: AuditPolicy?

    public init(address: Address, token: Secret?, audit: AuditPolicy? = nil) {
        self.address = address
        self.token = token
        self.audit = audit
    }
}

/// A file of what operators changed.
public struct AuditPolicy: Sendable, Equatable {
    public var path: String
    /// A fuller one gets another name, and takes the place of the one before it.
    public var maxFile: Bytes

    public init(path: String, maxFile: Bytes) {
        self.path = path
        self.maxFile = maxFile
    }
}

/// Where budgets are kept.
public enum StorePolicy: Sendable, Equatable {
    case memory(MemoryStorePolicy)
    case redis(RedisStorePolicy)
}

public struct MemoryStorePolicy: Sendable, Equatable {
    /// The file that budgets are saved to and restored from; nil keeps them in memory only.
    public var snapshot: String?
    /// How often it is written, and so what a crash may lose.
    public var snapshotInterval: Duration

    public init(snapshot: String?, snapshotInterval: Duration) {
        self.snapshot = snapshot
        self.snapshotInterval = snapshotInterval
    }
}

/// How Redis servers work together.
public enum RedisMode: Sendable, Equatable {
    case single
    /// `addresses` are sentinels, which say where the master is.
    case sentinel(SentinelPolicy)
    /// `addresses` are some of the servers of a cluster.
    case cluster
}

public struct SentinelPolicy: Sendable, Equatable {
    /// What sentinels call a master unless told otherwise.
    public static let usualMaster = "mymaster"

    /// The master's name among sentinels.
    public var master: String
    public var username: String?
    public var password: Secret?

    public init(master: String, username: String? = nil, password: Secret? = nil) {
        self.master = master
        self.username = username
        self.password = password
    }
}

/// TLS with Redis servers, and with sentinels.
public struct RedisTLSPolicy: Sendable, Equatable {
    /// A file of certificates of those whom to trust; nil: those that the system trusts.
    public var authority: String?
    /// Whose certificate it has to be; nil: the address's host.
    public var serverName: String?
    /// Our own certificate and its key, where servers want one.
    public var certificate: String?
    public var key: String?

    public init(
        authority: String? = nil, serverName: String? = nil, certificate: String? = nil,
        key: String? = nil
    ) {
        self.authority = authority
        self.serverName = serverName
        self.certificate = certificate
        self.key = key
    }
}

public struct RedisStorePolicy: Sendable, Equatable {
    public var mode = RedisMode.single
    public var tls: RedisTLSPolicy?
    public var addresses: [Address]
    public var username: String?
    public var password: Secret?
    public var database: Int
    /// How long one command may take.
    public var timeout: Duration
    public var onFailure: StoreFailureMode
    /// As many gateways as share the budgets at least: while the store is away each grants its part
    /// of them, also where it has not heard of the others.
    public var replicas = 1
    /// What all keys begin with.
    public var keyPrefix: String
    /// After this long without a sign of life a request's concurrency place returns.
    public var reservationLease: Duration
    /// Hot accounts are granted in advance, for so long at a time; nil: each request asks.
    public var leaseWindow: Duration?
    /// Several gateways share the endpoints too; nil: each counts for itself.
    public var sharing: SharedStorePolicy?

    public init(
        addresses: [Address], username: String?, password: Secret?, database: Int,
        timeout: Duration, onFailure: StoreFailureMode, keyPrefix: String,
        reservationLease: Duration, sharing: SharedStorePolicy? = nil
    ) {
        self.sharing = sharing
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

/// How gateways tell each other through the store what they send to the same endpoints.
public struct SharedStorePolicy: Sendable, Equatable {
    /// How often all of it is told again.
    public var refresh: Duration
    /// For how long it counts when nothing more is heard of a gateway.
    public var lease: Duration

    public init(refresh: Duration = .milliseconds(250), lease: Duration = .seconds(2)) {
        self.refresh = refresh
        self.lease = lease
    }
}

/// What happens to requests while the budget store is away.
public enum StoreFailureMode: String, Sendable, CaseIterable {
    /// This replica enforces the limits from its own memory.
    case local
    /// Requests are admitted without a budget.
    case open
    /// Requests are refused with 503.
    case closed
}

/// A text that no description ever shows.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The text itself, for the one place that needs it.
    public let revealed: String

    public init(_ text: String) { revealed = text }

    public var description: String { "********" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
