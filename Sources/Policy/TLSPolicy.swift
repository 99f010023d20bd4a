// SPDX-License-Identifier: Apache-2.0

/// A certificate with its chain, and its key: two PEM files.
public struct CertificatePolicy: Sendable, Equatable {
    public var certificate: String
    public var key: String
    /// Where the configuration names the pair, for messages: `listeners[0].tls`.
    public var place: String

    public init(certificate: String, key: String, place: String) {
        self.certificate = certificate
        self.key = key
        self.place = place
    }
}

/// TLS at a listener.
public struct ListenerTLSPolicy: Sendable, Equatable {
    /// The first is shown to clients that ask for no name, or for one that no certificate has.
    public var certificates: [CertificatePolicy]
    /// A PEM file of those whose certificates clients may show; nil: none are asked for.
    public var clientAuthority: String?
    /// Without a certificate there is no connection.
    public var isClientRequired: Bool
    /// TLS 1.2 is not spoken.
    public var isModernOnly: Bool

    public init(
        certificates: [CertificatePolicy], clientAuthority: String? = nil,
        isClientRequired: Bool = true, isModernOnly: Bool = false
    ) {
        self.certificates = certificates
        self.clientAuthority = clientAuthority
        self.isClientRequired = isClientRequired
        self.isModernOnly = isModernOnly
    }
}

/// TLS with the engines of a pool; their certificates are always verified.
public struct PoolTLSPolicy: Sendable, Equatable {
    /// A PEM file of those whom to trust; nil: those that the system trusts.
    public var authority: String?
    /// Whose certificate it has to be; nil: the endpoint's host.
    public var serverName: String?
    /// Our own, where engines want one.
    public var identity: CertificatePolicy?
    /// Where the configuration says so, for messages: `pools[0].tls`.
    public var place: String

    public init(
        authority: String? = nil, serverName: String? = nil, identity: CertificatePolicy? = nil,
        place: String
    ) {
        self.place = place
        self.authority = authority
        self.serverName = serverName
        self.identity = identity
    }
}
