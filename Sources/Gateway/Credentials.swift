// SPDX-License-Identifier: Apache-2.0

import Identity
import Policy
import Transport
import Units
import Wire

/// Finds the key that a request carries: `Authorization: Bearer`, `x-api-key` or `api-key`.
enum Credentials {
    enum Found: Equatable {
        case none
        case key(KeyHash)
        /// A token of some issuer, by its hash.
        case token(KeyHash)
        case longToken
        /// Several different keys, or a field that is no key: neither is silently used.
        case unusable
    }

    /// The same key in two fields is one key. Tokens are looked for only where `longestToken` says
    /// how long they may be.
    static func find(
        in stream: ServerStream, digest: Digest, longestToken: Int? = nil
    ) -> Found {
        var found = Found.none
        unsafe stream.forEachField { id, _, value in
            guard id == .authorization || id == .xAPIKey || id == .apiKey else { return }
            guard let key = unsafe id == .authorization ? bearer(value) : value,
                unsafe !key.isEmpty
            else {
                found = .unusable
                return
            }
            let isToken =
                unsafe longestToken != nil && id == .authorization
                && SignedToken.looksLike(key.bytes)
            if isToken, let longestToken, key.count > longestToken {
                found = found == .none || found == .longToken ? .longToken : .unusable
                return
            }
            let hash = KeyHash(words: unsafe digest.sha256(key))
            let shown = isToken ? Found.token(hash) : .key(hash)
            if found == .none { found = shown } else if found != shown { found = .unusable }
        }
        return found
    }

    /// The token that was found.
    static func token(in stream: ServerStream) -> UnsafeRawBufferPointer? {
        unsafe stream.value(.authorization).flatMap { unsafe bearer($0) }
    }

    /// Whose clients a certificate's names belong to.
    enum Certified: Equatable {
        case nobody
        case tenant(TenantID)
        /// Names of more than one tenant.
        case several
    }

    static func certified(_ peer: ClientPeer?, _ policy: Policy) -> Certified {
        var found = Certified.nobody
        for name in peer?.names ?? [] {
            guard let tenant = unsafe policy.tenant(certificate: name.utf8Span.span.bytes) else {
                continue
            }
            if found == .nobody { found = .tenant(tenant) }
            if found != .tenant(tenant) { return .several }
        }
        return found
    }

    /// What follows `Bearer `, in any case of letters (RFC 6750 section 2.1, RFC 9110 section
    /// 11.1).
    private static func bearer(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let scheme: StaticString = "bearer "
        guard value.count > scheme.utf8CodeUnitCount else { return nil }
        for place in 0..<scheme.utf8CodeUnitCount {
            guard unsafe value[place] | 0x20 == scheme.utf8Start[place] else { return nil }
        }
        var start = scheme.utf8CodeUnitCount
        while start < value.count, unsafe value[start] == 0x20 { start += 1 }
        return unsafe UnsafeRawBufferPointer(rebasing: value[start...])
    }
}
