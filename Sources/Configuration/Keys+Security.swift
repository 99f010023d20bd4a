// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    /// TLS at listeners.
    static let security: [Key] =
        [
            Key(
                "listeners[].tls", .section, .absent, .fixed,
                "TLS 1.2 and 1.3 with clients; left out, all of it is in clear. The files are read "
                    + "again with each reload, and when they change: see `docs/tls.md`."),
            Key(
                "listeners[].tls.certificate", .scalar(.path), .required, .fixed,
                "A PEM file with the certificate, and behind it those between it and its root."),
            Key(
                "listeners[].tls.key", .scalar(.path), .required, .fixed,
                "A PEM file with its private key, without a password."),
            Key(
                "listeners[].tls.more", .entries(0...256), .absent, .fixed,
                "Other certificates, for clients that ask for a name which they have: exact, or "
                    + "with a star for the first label. All others get the one above."),
            Key(
                "listeners[].tls.more[].certificate", .scalar(.path), .required, .fixed,
                "As above."),
            Key(
                "listeners[].tls.more[].key", .scalar(.path), .required, .fixed, "As above."),
            Key(
                "listeners[].tls.client_ca", .scalar(.path), .absent, .fixed,
                "A PEM file of those whose certificates clients may show; with it clients are "
                    + "asked for one, and `tenants[].certificates` says whose they are."),
            Key(
                "listeners[].tls.client_certificate",
                .scalar(.choice(["required", "optional"], later: [])), .value(.text("required")),
                .fixed,
                "With `client_ca`: whether there is a connection without one."),
            Key(
                "listeners[].tls.min_version", .scalar(.choice(["1.2", "1.3"], later: [])),
                .value(.text("1.2")), .fixed,
                "The oldest TLS that is spoken."),
        ]

    /// TLS with the engines of a pool.
    static let poolSecurity: [Key] = [
        Key(
            "pools[].tls", .section, .absent, .reloadable,
            "For its engines whose URLs begin with `https`: their certificates are verified, by "
                + "what the system trusts where this is left out. Files are read again as those "
                + "of listeners are."),
        Key(
            "pools[].tls.ca", .scalar(.path), .absent, .reloadable,
            "A PEM file of those whom to trust, and nobody else."),
        Key(
            "pools[].tls.server_name", .scalar(.text(253)), .absent, .reloadable,
            "The name, or address, that certificates have to have; without it the host of the "
                + "URL."),
        Key(
            "pools[].tls.certificate", .scalar(.path), .absent, .reloadable,
            "A PEM file with our own certificate, where engines want one."),
        Key(
            "pools[].tls.key", .scalar(.path), .absent, .reloadable,
            "A PEM file with its private key."),
    ]
}
