// SPDX-License-Identifier: Apache-2.0

import Decision
import Identity
import Policy
import Units

/// Whose a token is, and what for.
struct TokenHolder {
    let tenant: TenantID
    /// In the token's order; nil: all that the tenant has.
    let classes: [ClassID]?
}

/// Reads the tokens of one worker's clients.
///
/// A signature costs more than all else that is done to a request. Who sends a token sends it
/// again, so what was believed once is remembered by the token's hash: until its end, another key
/// set, or another configuration.
final class TokenReader {
    enum Finding {
        case holder(TokenHolder)
        case refused(RefusalReason)
    }

    private struct Believed {
        let token: KeyHash
        let holder: TokenHolder
        /// In seconds since 1970.
        let until: Double
    }

    private let identities: Identities
    private let counts: TokenCounts
    private var keys: IssuerKeys?
    private var policy: Policy?
    private var rules: [TokenRules] = []
    /// By the hash; empty until there are issuers. What comes later takes the place of what was
    /// there: nobody chooses a place who cannot have tokens signed.
    private var believed: [Believed?] = []

    init(_ identities: Identities, _ counts: TokenCounts) {
        self.identities = identities
        self.counts = counts
    }

    /// `text` has the hash `token`.
    func read(
        _ text: UnsafeRawBufferPointer, _ token: KeyHash, _ policy: Policy, at time: WallTime
    ) -> Finding {
        refresh(policy)
        let now = Double(time.nanoseconds) / 1e9
        let place = Int(truncatingIfNeeded: token.words[1] % UInt64(believed.count))
        if let known = believed[place], known.token == token, now < known.until {
            counts.count(.remembered)
            return .holder(known.holder)
        }
        do throws(TokenFault) {
            let signed = try unsafe SignedToken(text.bytes)
            guard
                let issuer = policy.identity.issuers.firstIndex(where: { signed.isFrom($0.issuer) })
            else { throw .issuer }
            return try verify(signed, issuer, now) { holder, until in
                believed[place] = Believed(token: token, holder: holder, until: until)
            }
        } catch {
            counts.count(.fault(error))
            return .refused(error == .expired ? .tokenExpired : .invalidToken)
        }
    }

    /// A token longer than one may be.
    func refuseLong() -> RefusalReason {
        counts.count(.tooLong)
        return .invalidToken
    }

    private func verify(
        _ signed: SignedToken, _ place: Int, _ now: Double,
        remember: (TokenHolder, Double) -> Void
    ) throws(TokenFault) -> Finding {
        guard let policy, let keys else { throw .issuer }
        let issuer = policy.identity.issuers[place]
        let until: Double
        do throws(TokenFault) {
            until = try signed.verify(rules[place], keys.keys(of: issuer), now: now)
        } catch {
            if error == .unknownKey { identities.want(place) }
            throw error
        }
        guard let tenant = tenant(of: signed, issuer, policy) else {
            counts.count(.tenant)
            return .refused(.invalidToken)
        }
        let holder = TokenHolder(tenant: tenant, classes: classes(of: signed, issuer, policy))
        counts.count(.verified)
        remember(holder, until)
        return .holder(holder)
    }

    private func tenant(
        of signed: SignedToken, _ issuer: IssuerPolicy, _ policy: Policy
    ) -> TenantID? {
        switch issuer.tenant {
        case .fixed(let tenant): return tenant
        case .claim(let claim, let values):
            guard let value = signed.claim(claim)?.text else { return nil }
            guard let values else { return unsafe policy.tenant(named: value.utf8Span.span.bytes) }
            return values[value]
        }
    }

    /// What is no class here is none that the token is for.
    private func classes(
        of signed: SignedToken, _ issuer: IssuerPolicy, _ policy: Policy
    ) -> [ClassID]? {
        guard let name = issuer.classClaim, let claim = signed.claim(name) else { return nil }
        return (claim.texts ?? []).compactMap {
            unsafe policy.trafficClass($0.utf8Span.span.bytes)
        }
    }

    /// With other keys, or another configuration, nothing is believed any more.
    private func refresh(_ policy: Policy) {
        let newer = identities.newer(than: keys)
        guard newer != nil || self.policy !== policy else { return }
        if let newer { keys = newer }
        self.policy = policy
        rules = policy.identity.issuers.map { TokenRules($0) }
        believed = Array(repeating: nil, count: max(1, policy.identity.maxCached))
    }
}

extension TokenRules {
    fileprivate init(_ issuer: IssuerPolicy) {
        self.init(
            issuer: issuer.issuer, audiences: issuer.audiences,
            algorithms: Set(
                issuer.algorithms.compactMap { TokenAlgorithm(rawValue: $0.rawValue) }),
            leeway: issuer.leeway)
    }
}

@available(*, unavailable)
extension TokenReader: Sendable {}
