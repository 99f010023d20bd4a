// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let standard = IdentityPolicy()

    /// Tokens in place of keys.
    static let identity: [Key] = [
        Key(
            "identity", .section, .filled, .reloadable,
            "Who sends a request, beside keys and certificates."),
        Key(
            "identity.jwt", .section, .filled, .reloadable,
            "JSON Web Tokens as `Authorization: Bearer`, in place of keys: see `docs/keys.md`."),
        Key(
            "identity.jwt.max_token", .scalar(.size(.kibi(1) ... .kibi(32))),
            .value(.size(standard.maxToken)), .reloadable,
            "A longer token gets 401 unread."),
        Key(
            "identity.jwt.max_cached", .scalar(.integer(16...65_536, unit: "tokens")),
            .value(.integer(standard.maxCached)), .reloadable,
            "Tokens of which each worker remembers, by their hashes, that it has verified them; "
                + "beyond, later ones take the places of earlier ones. 100 bytes each."),
        Key(
            "identity.jwt.issuers", .entries(0...16), .absent, .reloadable,
            "Whose tokens are believed. Without any, what looks like a token is taken for a key."),
        Key(
            "identity.jwt.issuers[].issuer", .scalar(.text(1_024)), .required, .reloadable,
            "The claim `iss`, byte for byte."),
        Key(
            "identity.jwt.issuers[].jwks", .scalar(.keySet), .required, .reloadable,
            "Its public keys, a JSON Web Key Set: a file, which is read again when it changes, or "
                + "a URL that begins with `https://`."),
        Key(
            "identity.jwt.issuers[].ca", .scalar(.path), .absent, .reloadable,
            "For a URL: a PEM file of those whom to trust; without it those of the system."),
        Key(
            "identity.jwt.issuers[].refresh",
            .scalar(.duration(.seconds(10) ... .seconds(86_400))), .value(.duration(.seconds(600))),
            .reloadable,
            "How often a URL is fetched; also, at most every 10 s, when a token names a key that "
                + "is not known. While it cannot be, the keys stay."),
        Key(
            "identity.jwt.issuers[].timeout",
            .scalar(.duration(.milliseconds(100) ... .seconds(30))), .value(.duration(.seconds(5))),
            .reloadable,
            "How long that may take."),
        Key(
            "identity.jwt.issuers[].audiences", .list(.text(1_024), 1...16), .required,
            .reloadable,
            "One of these has to be in the claim `aud`."),
        Key(
            "identity.jwt.issuers[].algorithms",
            .list(.choice(SignatureAlgorithm.allCases.map(\.rawValue), later: []), 1...3),
            .required, .reloadable,
            "How its tokens are signed, and no other way is."),
        Key(
            "identity.jwt.issuers[].leeway", .scalar(.duration(.zero ... .seconds(300))),
            .value(.duration(.seconds(30))), .reloadable,
            "By how much clocks may differ: a token counts so much longer, and earlier."),
        Key(
            "identity.jwt.issuers[].tenant", .scalar(.reference(.tenant)), .absent, .reloadable,
            "Whose all its tokens are. Either this or `tenant_claim`."),
        Key(
            "identity.jwt.issuers[].tenant_claim", .scalar(.text(256)), .absent, .reloadable,
            "The claim that names the tenant: a member's name, or a JSON Pointer to it that begins "
                + "with `/`."),
        Key(
            "identity.jwt.issuers[].tenants", .entries(1...1_000, short: "tenant"), .absent,
            .reloadable,
            "With `tenant_claim`: the only tenants that it may name."),
        Key(
            "identity.jwt.issuers[].tenants[].tenant", .scalar(.reference(.tenant)), .required,
            .reloadable, "The tenant."),
        Key(
            "identity.jwt.issuers[].tenants[].value", .scalar(.text(256)), .sameAs("tenant"),
            .reloadable, "What the claim calls it."),
        Key(
            "identity.jwt.issuers[].class_claim", .scalar(.text(256)), .absent, .reloadable,
            "The claim that names the traffic classes a token is for, a text or a list: others get "
                + "403, and the first is meant when `X-Traffic-Class` is absent. A token without "
                + "it is for all classes of its tenant."),
    ]
}
