// SPDX-License-Identifier: Apache-2.0

public import Units

/// Whose tokens are believed: JSON Web Tokens (RFC 7519) in place of API keys.
public struct IdentityPolicy: Sendable, Equatable {
    /// None: what looks like a token is taken for a key.
    public var issuers: [IssuerPolicy] = []
    /// A longer token is not looked at.
    public var maxToken = Bytes.kibi(8)
    /// Tokens of which a worker remembers that it has verified them.
    public var maxCached = 4_096

    public init() {}
}

/// How a token may be signed. There is none with a shared secret.
public enum SignatureAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}

/// Who makes tokens, and what they may say.
public struct IssuerPolicy: Sendable, Equatable {
    /// `iss`, byte for byte.
    public var issuer: String
    public var keys: KeySetPolicy
    /// One of these has to be in `aud`.
    public var audiences: [String]
    public var algorithms: Set<SignatureAlgorithm>
    /// By how much clocks may differ.
    public var leeway: Duration
    public var tenant: TokenTenant
    /// The claim that names the classes a token is for, the first as its usual one; nil: all that
    /// its tenant has.
    public var classClaim: String?

    public init(
        issuer: String, keys: KeySetPolicy, audiences: [String],
        algorithms: Set<SignatureAlgorithm>, leeway: Duration, tenant: TokenTenant,
        classClaim: String? = nil
    ) {
        self.issuer = issuer
        self.keys = keys
        self.audiences = audiences
        self.algorithms = algorithms
        self.leeway = leeway
        self.tenant = tenant
        self.classClaim = classClaim
    }
}

/// Whose an issuer's tokens are.
public enum TokenTenant: Sendable, Equatable {
    /// All of them this one's.
    case fixed(TenantID)
    /// Who a claim names; where there are values, these alone and whom they mean.
    case claim(String, values: [String: TenantID]?)
}

/// Where an issuer's public keys are: a JSON Web Key Set (RFC 7517 section 5).
public struct KeySetPolicy: Sendable, Equatable {
    public enum Source: Sendable, Equatable {
        case file(String)
        /// By HTTPS. `target` is path and query, `authority` what the server is called.
        case web(Address, authority: String, target: String)
    }

    public var source: Source
    /// A PEM file of those whom to trust; nil: those that the system trusts.
    public var authority: String?
    /// How often it is fetched.
    public var refresh: Duration
    /// How long that may take.
    public var timeout: Duration
    /// Where the configuration says so, for messages: `identity.jwt.issuers[0].jwks`.
    public var place: String

    public init(
        source: Source, authority: String? = nil, refresh: Duration = .seconds(600),
        timeout: Duration = .seconds(5), place: String = ""
    ) {
        self.source = source
        self.authority = authority
        self.refresh = refresh
        self.timeout = timeout
        self.place = place
    }
}
