// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Every key of the configuration file, in the order of the reference page.
///
/// Sections stand before the keys in them. Defaults that the policy's types know are taken from
/// there.
enum Keys {
    static let all =
        front + security + admin + store + ledger + http + http2 + upstream + routing + counting
        + identity + models + pools + poolSecurity + poolWork + gpus + classes + clamp
        + caps + organisations + tenants

    private static let front: [Key] = [
        Key(
            "workers", .scalar(.integer(1...64, unit: "threads")), .processors, .fixed,
            "Worker threads, each with an event loop of its own."),
        Key(
            "listeners", .entries(1...64), .required, .fixed,
            "Where clients connect."),
        Key(
            "listeners[].address", .scalar(.listenAddress), .required, .fixed,
            "The address of this listener."),
        Key(
            "listeners[].protocols", .list(.choice(["http1", "http2"], later: []), 1...2),
            .stated("`[http1]`, with `tls` both"), .fixed,
            "What is spoken there: `http1` is HTTP/1.1, `http2` HTTP/2, in clear by prior "
                + "knowledge, with TLS as the client chooses (ALPN)."
        ),
        Key(
            "listeners[].tenant", .scalar(.reference(.tenant)), .absent, .fixed,
            "Every request that comes in here is this tenant's, and keys are ignored."),
        Key(
            "listeners[].proxy_protocol", .list(.addressRange, 1...64), .absent, .fixed,
            "Proxies whose connections begin with a header of the PROXY protocol, version 1 or 2, "
                + "before TLS and HTTP: the client is who it names. A connection of theirs without "
                + "one is closed; from elsewhere none is read."),
    ]

    private static let admin: [Key] = [
        Key(
            "admin", .section, .filled, .fixed,
            "The operators' endpoint: health, metrics, state and reload."),
        Key(
            "admin.address", .scalar(.listenAddress),
            .value(.address(.ip(host: "127.0.0.1", port: 9901))), .fixed,
            "Where it listens."),
        Key(
            "admin.token", .scalar(.secret(.header)), .absent, .fixed,
            "What operators send as a bearer token; required unless the address is loopback or a "
                + "Unix socket."),
        Key(
            "admin.audit_log", .scalar(.path), .absent, .fixed,
            "The file that every change by operators is written to, and every attempt: a line of "
                + "JSON each, see `docs/admin.md`. Left out, these lines stand in the log."),
        Key(
            "admin.audit_log_size", .scalar(.size(.mebi(1) ... .mebi(1_024))),
            .value(.size(.mebi(64))), .fixed,
            "A fuller file is renamed to its name with `.1`, in place of the one that was."),
        Key(
            "admin.throttle_history", .scalar(.integer(1...100_000, unit: "refusals")),
            .value(.integer(1_000)), .reloadable,
            "Recent refusals that `/admin/throttles` can show."),
        Key(
            "admin.request_history", .scalar(.integer(0...20_000, unit: "requests")),
            .value(.integer(2_000)), .reloadable,
            "Recent requests, open ones included, of which `/admin/requests/{id}` tells why they "
                + "were decided about as they were; 0 keeps none. About 2 KiB each."),
    ]

    private static let store: [Key] = [
        Key("store", .section, .filled, .fixed, "Where the use of budgets is kept."),
        Key(
            "store.kind", .scalar(.choice(["memory", "redis"], later: [])),
            .value(.text("memory")), .fixed,
            "`memory` for one replica, `redis` where several share the budgets."),
        Key("store.memory", .section, .filled, .fixed, "For `kind: memory`."),
        Key(
            "store.memory.snapshot", .scalar(.path), .absent, .fixed,
            "The file that budgets are saved to and restored from; without it a restart forgets "
                + "them."),
        Key(
            "store.memory.snapshot_interval",
            .scalar(.duration(.milliseconds(100) ... .seconds(3_600))),
            .value(.duration(.seconds(5))), .fixed,
            "How often the snapshot is written, and so what a crash may lose."),
        Key("store.redis", .section, .absent, .fixed, "For `kind: redis`."),
        Key(
            "store.redis.mode",
            .scalar(.choice(["single", "sentinel", "cluster"], later: [])),
            .value(.text("single")), .fixed,
            "How the servers work together."),
        Key(
            "store.redis.addresses", .list(.connectAddress, 1...16), .required, .fixed,
            "The server; with `mode: sentinel` the sentinels, with `mode: cluster` some of its "
                + "servers, which tell of the others."),
        Key(
            "store.redis.sentinel", .section, .absent, .fixed,
            "For `mode: sentinel`. Sentinels have to tell addresses, as they do by default, not "
                + "names."),
        Key(
            "store.redis.sentinel.master", .scalar(.text(256)),
            .value(.text(SentinelPolicy.usualMaster)), .fixed,
            "What sentinels call the master."),
        Key(
            "store.redis.sentinel.username", .scalar(.text(256)), .absent, .fixed,
            "The sentinels' user, where they have access lists."),
        Key(
            "store.redis.sentinel.password", .scalar(.secret(.command)), .absent, .fixed,
            "The sentinels' password."),
        Key(
            "store.redis.username", .scalar(.text(256)), .absent, .fixed,
            "The user, where the server has access lists."),
        Key(
            "store.redis.password", .scalar(.secret(.command)), .absent, .fixed,
            "The user's password, or the server's."),
        Key(
            "store.redis.database", .scalar(.integer(0...1_023, unit: "")),
            .value(.integer(0)), .fixed,
            "The database's number."),
        Key(
            "store.redis.tls", .section, .absent, .fixed,
            "TLS 1.2 or later with servers and sentinels, whose certificates are verified; left "
                + "out, all of it is in clear."),
        Key(
            "store.redis.tls.ca", .scalar(.path), .absent, .fixed,
            "A file of the certificates that are trusted; without it those of the system."),
        Key(
            "store.redis.tls.server_name", .scalar(.text(253)), .absent, .fixed,
            "The name, or address, that certificates have to have; without it the host of the "
                + "address."),
        Key(
            "store.redis.tls.certificate", .scalar(.path), .absent, .fixed,
            "A file with our own certificate, where servers want one."),
        Key(
            "store.redis.tls.key", .scalar(.path), .absent, .fixed,
            "A file with its key."),
        Key(
            "store.redis.timeout", .scalar(.duration(.milliseconds(1) ... .milliseconds(100))),
            .value(.duration(.milliseconds(50))), .fixed,
            "How long one command may take."),
        Key(
            "store.redis.on_failure",
            .scalar(.choice(StoreFailureMode.allCases.map(\.rawValue), later: [])),
            .value(.text(StoreFailureMode.local.rawValue)), .fixed,
            "What happens while the server is away: `local` enforces this replica's share, `open` "
                + "admits, `closed` refuses with 503."),
        Key(
            "store.redis.replicas", .scalar(.integer(1...1_000, unit: "gateways")),
            .value(.integer(1)), .fixed,
            "How many gateways share the budgets at least: with `on_failure: local` each enforces "
                + "one part in as many, or in as many as were heard of, if those were more."),
        Key(
            "store.redis.key_prefix", .scalar(.text(64)), .value(.text("penstock:")), .fixed,
            "What all keys in the server begin with."),
        Key(
            "store.redis.reservation_lease", .scalar(.duration(.seconds(5) ... .seconds(3_600))),
            .value(.duration(.seconds(30))), .fixed,
            "How long a request of a replica that died keeps its place among the concurrent ones."),
        Key(
            "store.redis.lease", .section, .filled, .fixed,
            "Tokens in advance: what a busy account will ask for next is taken out of its budgets "
                + "at once, so that most requests are decided without a round trip."),
        Key(
            "store.redis.lease.enabled", .scalar(.boolean), .value(.boolean(false)), .fixed,
            "Whether it is done."),
        Key(
            "store.redis.lease.window",
            .scalar(.duration(.milliseconds(50) ... .seconds(5))),
            .value(.duration(.milliseconds(500))), .fixed,
            "For how long a lease admits requests; then what is left returns."),
        Key(
            "store.sharing", .section, .filled, .fixed,
            "With `kind: redis`: gateways before the same engines tell each other through the "
                + "server what they send there, and let in, queue and weigh tenants together."),
        Key(
            "store.sharing.enabled", .scalar(.boolean), .value(.boolean(true)), .fixed,
            "Without it each gateway counts its own requests, and sees of the others what engines "
                + "show."),
        Key(
            "store.sharing.refresh", .scalar(.duration(.milliseconds(50) ... .seconds(2))),
            .value(.duration(SharedStorePolicy().refresh)), .fixed,
            "How often all of it is told again. The same for all gateways."),
        Key(
            "store.sharing.lease", .scalar(.duration(.milliseconds(500) ... .seconds(30))),
            .value(.duration(SharedStorePolicy().lease)), .fixed,
            "For how long a gateway that is not heard of keeps its share; at least four times "
                + "`refresh`. The same for all gateways."),
    ]
}
