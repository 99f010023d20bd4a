// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What one issuer's tokens have to be (RFC 7519, RFC 8725).
public struct TokenRules: Sendable, Equatable {
    /// `iss`, byte for byte.
    public var issuer: String
    /// One of these has to be in `aud`.
    public var audiences: [String]
    /// No other is looked at, whatever keys the issuer has.
    public var algorithms: Set<TokenAlgorithm>
    /// By how much clocks may differ.
    public var leeway: Duration

    public init(
        issuer: String, audiences: [String], algorithms: Set<TokenAlgorithm>, leeway: Duration
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.algorithms = algorithms
        self.leeway = leeway
    }
}

/// Why a token says nothing.
public enum TokenFault: String, Error, Sendable, CaseIterable {
    case malformed
    case issuer
    /// By an algorithm that is not the issuer's, or not its key's.
    case algorithm
    case audience
    /// It has no end, or it is over.
    case expired
    case notYetValid = "not_yet_valid"
    /// No set of keys has been read yet, or none has a key of this name.
    case unknownKey = "unknown_key"
    case signature
}

/// A token in its three parts (RFC 7515 section 3.1), not believed yet.
///
/// What its header says of where its key is (`jwk`, `jku`, `x5c`, `x5u`) is not read: keys are
/// those of the issuer's set.
public struct SignedToken: Sendable {
    /// `alg`: it says which key cannot be meant, and nothing else.
    let algorithm: String?
    /// `kid`
    let keyName: String?
    let claims: JSONTree
    private let text: [UInt8]
    private let signature: [UInt8]

    /// Whether a credential is one of these and no API key: three parts of the alphabet, of which
    /// the first begins with a brace.
    public static func looksLike(_ text: RawSpan) -> Bool {
        guard text.byteCount >= 5, text.octet(0) == UInt8(ascii: "e"),
            text.octet(1) == UInt8(ascii: "y") || text.octet(1) == UInt8(ascii: "w")
        else { return false }
        var dots = 0
        for place in 0..<text.byteCount where text.octet(place) == UInt8(ascii: ".") { dots += 1 }
        return dots == 2
    }

    /// Takes a token apart.
    ///
    /// - Throws: `malformed`. Also for a header that has something that must be understood (RFC
    ///   7515 section 4.1.11): here nothing is.
    public init(_ text: RawSpan) throws(TokenFault) {
        var dots: [Int] = []
        for place in 0..<text.byteCount where text.octet(place) == UInt8(ascii: ".") {
            guard dots.count < 2 else { throw .malformed }
            dots.append(place)
        }
        guard dots.count == 2,
            let header = Base64URL.decode(text.extracting(0..<dots[0])),
            let payload = Base64URL.decode(text.extracting(dots[0] + 1..<dots[1])),
            let signature = Base64URL.decode(text.extracting(dots[1] + 1..<text.byteCount)),
            let head = unsafe JSONTree(header.span.bytes),
            let claims = unsafe JSONTree(payload.span.bytes),
            case .object = claims, case .object = head, head["crit"] == nil
        else { throw .malformed }
        if let name = head["kid"], name.text == nil { throw .malformed }
        algorithm = head["alg"]?.text
        keyName = head["kid"]?.text
        self.claims = claims
        self.signature = signature
        self.text = unsafe text.extracting(0..<dots[1]).withUnsafeBytes { unsafe Array($0) }
    }

    /// Whether it says that this issuer made it. Not believed before `verify`.
    public func isFrom(_ issuer: String) -> Bool { Self.same(claims["iss"]?.text, issuer) }

    /// A claim by its name, or by a JSON Pointer to it. Not believed before `verify`.
    public func claim(_ name: String) -> JSONTree? { claims.found(at: name) }

    /// Believes it or says why not; what costs a signature comes last. `now` and the answer, until
    /// when it is good, in seconds since 1970.
    public func verify(
        _ rules: TokenRules, _ keys: [TokenKey], now: Double
    ) throws(TokenFault) -> Double {
        guard isFrom(rules.issuer) else { throw .issuer }
        guard let algorithm = algorithm.flatMap({ TokenAlgorithm(rawValue: $0) }),
            rules.algorithms.contains(algorithm)
        else { throw .algorithm }
        let audiences = claims["aud"]?.texts ?? []
        let isMeant = audiences.contains { one in rules.audiences.contains { Self.same(one, $0) } }
        guard isMeant else { throw .audience }
        let leeway = rules.leeway.seconds
        guard let end = claims["exp"]?.number, end.isFinite, end + leeway > now else {
            throw .expired
        }
        if let start = claims["nbf"] {
            guard let start = start.number, start - leeway <= now else { throw .notYetValid }
        }
        // A name finds its key; without one every key of the algorithm is tried.
        let named = keys.filter { keyName == nil || Self.same($0.name, keyName) }
        guard !named.isEmpty else { throw .unknownKey }
        let fitting = named.filter { $0.algorithm == algorithm }
        guard !fitting.isEmpty else { throw .algorithm }
        let isSigned = fitting.prefix(Self.mostTries).contains { key in
            unsafe key.signed(text.span.bytes, signature)
        }
        guard isSigned else { throw .signature }
        return end + leeway
    }

    /// Keys that are tried for one token that names none: each costs a signature.
    private static let mostTries = 4

    /// Byte for byte: what only looks alike is another name.
    private static func same(_ left: String?, _ right: String?) -> Bool {
        guard let left, let right else { return false }
        return left.utf8.elementsEqual(right.utf8)
    }
}
