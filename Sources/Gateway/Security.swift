// SPDX-License-Identifier: Apache-2.0

import EventLoop
public import Policy
import Synchronization
import Transport
import Units

/// TLS of all listeners and pools, as it is read from its files: all of it, or the reasons why not.
struct SecurityMaterial: Sendable {
    /// By the listener's place.
    var doors: [Int: TLSServerContext] = [:]
    /// By the pool's place; for pools that have engines behind TLS. HTTP/1.1 is offered.
    var pools: [Int: TLSClientContext] = [:]
    /// The same for requests of pools that speak HTTP/2, which alone is offered.
    var multiplexed: [Int: TLSClientContext] = [:]
    /// A certificate that is over or not yet good, or will soon be over.
    var warnings: [String] = []
    /// Listeners' certificates, with what each had left when it was read.
    fileprivate var certificates: [(listener: String, path: String, left: Duration)] = []
    fileprivate var readAt = MonotonicClock.now()

    /// Warned of before it is over.
    private static let notice = Duration.seconds(14 * 86_400)

    /// Reads all files, which blocks. Each mistake names the key of the configuration.
    static func load(
        _ listeners: [ListenerPolicy], _ policy: Policy, tickets: TicketKeys
    ) -> (material: SecurityMaterial, mistakes: [SecurityMistake]) {
        var material = SecurityMaterial()
        var mistakes: [SecurityMistake] = []
        for (place, listener) in listeners.enumerated() {
            guard let tls = listener.tls else { continue }
            do throws(TLSFault) {
                let context = try TLSServerContext(setup(tls, listener), tickets: tickets)
                material.doors[place] = context
                for (certificate, holder) in zip(tls.certificates, context.holders) {
                    material.judge(certificate, holder)
                    material.certificates.append(
                        ("\(listener.address)", certificate.certificate, holder.left))
                }
            } catch {
                mistakes.append(SecurityMistake(tls, error, at: "listeners[\(place)].tls"))
            }
        }
        for pool in policy.pools where !pool.removed && pool.isSecure(in: policy) {
            do throws(TLSFault) {
                material.pools[pool.id.index] = try TLSClientContext(setup(pool.tls, .http1))
                guard pool.speaks == .http2 else { continue }
                material.multiplexed[pool.id.index] = try TLSClientContext(
                    setup(pool.tls, .http2))
            } catch {
                mistakes.append(SecurityMistake(pool, error))
            }
        }
        return (material, mistakes)
    }

    private mutating func judge(_ certificate: CertificatePolicy, _ holder: TLSHolder) {
        let path = certificate.certificate
        if holder.starts > .zero {
            warnings.append("\(path) is not good before \(holder.starts.inDays) from now")
        } else if holder.left <= .zero {
            warnings.append("\(path) is over: clients will not accept it")
        } else if holder.left < Self.notice {
            warnings.append("\(path) is over in \(holder.left.inDays)")
        }
    }

    private static func setup(
        _ tls: ListenerTLSPolicy, _ listener: ListenerPolicy
    ) -> TLSServerSetup {
        var protocols: [ApplicationProtocol] = []
        if listener.protocols.contains(.http2) { protocols.append(.http2) }
        if listener.protocols.contains(.http1) { protocols.append(.http1) }
        var setup = TLSServerSetup(
            identities: tls.certificates.map { TLSIdentity($0) }, protocols: protocols)
        setup.isModernOnly = tls.isModernOnly
        if let authority = tls.clientAuthority {
            setup.clients =
                tls.isClientRequired
                ? .required(authority: authority) : .optional(authority: authority)
        }
        return setup
    }

    private static func setup(
        _ tls: PoolTLSPolicy?, _ spoken: ApplicationProtocol
    ) -> TLSClientSetup {
        TLSClientSetup(
            authority: tls?.authority, identity: tls?.identity.map { TLSIdentity($0) },
            protocols: [spoken])
    }
}

/// Why TLS of one listener or pool cannot be had, and which key of the configuration says so.
public struct SecurityMistake: Sendable, Equatable, CustomStringConvertible {
    /// `listeners[0].tls.key`.
    public let path: String
    public let reason: String

    public var description: String { "\(path): \(reason)" }

    init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    init(_ tls: ListenerTLSPolicy, _ fault: TLSFault, at place: String) {
        let path = fault.path
        let found = tls.certificates.lazy.compactMap { pair -> String? in
            // One file may hold both.
            if pair.certificate == path, !fault.isOfKey { return "\(pair.place).certificate" }
            return pair.key == path && fault.mayBeOfKey ? "\(pair.place).key" : nil
        }.first
        self.path = found ?? (tls.clientAuthority == path ? "\(place).client_ca" : place)
        reason = "\(fault)"
    }

    init(_ pool: PoolPolicy, _ fault: TLSFault) {
        let place = pool.tls?.place ?? "pools"
        let key =
            switch fault.path {
            case nil: ""
            case pool.tls?.authority: ".ca"
            case pool.tls?.identity?.certificate: ".certificate"
            case pool.tls?.identity?.key: ".key"
            default: ""
            }
        path = place + key
        reason = "\(fault)"
    }
}

/// What new connections are protected with; the control thread replaces it as a whole.
final class Security: Sendable {
    let tickets: TicketKeys
    private let current: Mutex<SecurityMaterial>

    init(_ material: SecurityMaterial, _ tickets: TicketKeys) {
        current = Mutex(material)
        self.tickets = tickets
    }

    func install(_ material: SecurityMaterial) { current.withLock { $0 = material } }

    /// Listeners' certificates, and how long each is still good; negative afterwards.
    func certificates(_ now: Instant) -> [(listener: String, path: String, left: Duration)] {
        current.withLock { material in
            material.certificates.map { ($0.listener, $0.path, $0.left - (now - material.readAt)) }
        }
    }

    /// For a connection that has come through a door; nil where it speaks in clear.
    func door(_ place: Int) -> TLSServerContext? { current.withLock { $0.doors[place] } }

    /// For a connection to an engine; nil where it is to be protected and nothing is there to do it
    /// with.
    func engine(
        _ endpoint: EndpointID, _ policy: Policy, speaking spoken: HTTPProtocol = .http1
    ) -> ClientSecurity? {
        let endpoint = policy.endpoints[endpoint.index]
        guard endpoint.isSecure else { return ClientSecurity.none }
        let pool = endpoint.pool
        let found = current.withLock { material in
            spoken == .http2 ? material.multiplexed[pool.index] : material.pools[pool.index]
        }
        guard let context = found else { return nil }
        let name = policy.pools[pool.index].tls?.serverName ?? endpoint.address.host
        return .tls(context, name: name)
    }
}

extension TLSIdentity {
    fileprivate init(_ policy: CertificatePolicy) {
        self.init(certificate: policy.certificate, key: policy.key)
    }
}

extension TLSFault {
    fileprivate var mayBeOfKey: Bool {
        if case .unreadable = self { true } else { isOfKey }
    }

    fileprivate var isOfKey: Bool {
        switch self {
        case .noKey, .foreignKey: true
        default: false
        }
    }

    /// The file that it is about.
    fileprivate var path: String? {
        switch self {
        case .unreadable(let path, _), .malformed(let path, _), .foreignKey(let path, _),
            .noKey(let path):
            path
        case .plainHTTP, .certificate, .ended, .broken: nil
        }
    }
}

extension PoolPolicy {
    /// One of its engines at least is behind TLS.
    func isSecure(in policy: Policy) -> Bool {
        endpoints.contains { policy.endpoints[$0.index].isSecure }
    }
}

extension Address {
    /// Without port and brackets; a Unix socket's has no name to be proved.
    var host: String {
        switch self {
        case .ip(let host, _), .name(let host, _): host
        case .unix: "localhost"
        }
    }
}

/// Reads what a configuration says of TLS, for `penstock check`.
public enum SecurityCheck {
    /// What is wrong, and what soon will be.
    public static func run(
        _ fixed: FixedPolicy, _ policy: Policy
    ) -> (mistakes: [SecurityMistake], warnings: [String]) {
        let (material, mistakes) = SecurityMaterial.load(
            fixed.listeners, policy, tickets: TicketKeys())
        var notices = KeyNotices()
        return (
            mistakes + KeySetFiles.mistakes(policy),
            material.warnings + notices.fresh(policy, at: WallClock.now())
        )
    }
}

extension Duration {
    fileprivate var inDays: String {
        let days = nanoseconds / 86_400_000_000_000
        return days == 1 ? "1 day" : "\(days) days"
    }
}
