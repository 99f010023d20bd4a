// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// The part that holds from start to end of the process, from a file without mistakes.
struct FixedBuilder {
    let root: Section
    /// The folder of the configuration file.
    let folder: String

    func build() -> FixedPolicy {
        let admin = checked(root.section("admin"))
        return FixedPolicy(
            workers: checked(root.integer("workers")),
            listeners: root.sections("listeners").map { listener in
                ListenerPolicy(
                    address: checked(listener.address("address")), tenant: listener.text("tenant"),
                    protocols: protocols(listener), tls: listener.section("tls").map(tls),
                    proxies: listener.ranges("proxy_protocol"))
            },
            admin: AdminPolicy(
                address: checked(admin.address("address")), token: admin.secret("token"),
                audit: audit(admin)),
            store: store(checked(root.section("store"))),
            ledger: root.section("ledger").map(ledger),
            counting: counting(checked(root.section("counting"))))
    }

    private func audit(_ admin: Section) -> AuditPolicy? {
        admin.text("audit_log").map { path in
            AuditPolicy(
                path: FileReader.resolve(path, in: folder),
                maxFile: checked(admin.size("audit_log_size")))
        }
    }

    private func counting(_ section: Section) -> CountingPolicy {
        var policy = CountingPolicy()
        policy.inline = checked(section.size("inline"))
        policy.readInline = checked(section.size("read_inline"))
        policy.threads = checked(section.integer("threads"))
        policy.maxWaiting = checked(section.size("max_waiting"))
        return policy
    }

    /// With TLS clients choose, so that both can be offered.
    private func protocols(_ listener: Section) -> Set<HTTPProtocol> {
        let named = listener.texts("protocols").map { checked(HTTPProtocol(rawValue: $0.text)) }
        if !named.isEmpty { return Set(named) }
        return listener["tls"] == nil ? [.http1] : [.http1, .http2]
    }

    private func tls(_ tls: Section) -> ListenerTLSPolicy {
        ListenerTLSPolicy(
            certificates: ([tls] + tls.sections("more")).map {
                checked(CertificatePolicy($0, in: folder))
            },
            clientAuthority: path(tls, "client_ca"),
            isClientRequired: tls.text("client_certificate") == "required",
            isModernOnly: tls.text("min_version") == "1.3")
    }

    private func ledger(_ ledger: Section) -> LedgerPolicy {
        LedgerPolicy(
            file: ledger.section("file").map(ledgerFile),
            stream: ledger.section("redis_stream").map { stream in
                LedgerStreamPolicy(
                    key: checked(stream.text("key")), maxLength: checked(stream.integer("maxlen")))
            },
            queue: checked(ledger.integer("queue")), window: checked(ledger.duration("window")),
            onFull: checked(LedgerFullMode(rawValue: checked(ledger.text("on_full")))))
    }

    private func ledgerFile(_ file: Section) -> LedgerFilePolicy {
        let rotate = checked(file.section("rotate"))
        let sync: LedgerSync =
            switch checked(file.text("fsync")) {
            case "always": .always
            case "never": .never
            default: .interval(checked(file.duration("fsync_interval")))
            }
        return LedgerFilePolicy(
            path: FileReader.resolve(checked(file.text("path")), in: folder), sync: sync,
            rotateSize: checked(rotate.size("size")), rotateAge: checked(rotate.duration("age")),
            keep: rotate.integer("keep"))
    }

    private func store(_ store: Section) -> StorePolicy {
        if store.text("kind") == "redis" {
            var policy = redis(checked(store.section("redis")))
            let sharing = checked(store.section("sharing"))
            if checked(sharing.boolean("enabled")) {
                policy.sharing = SharedStorePolicy(
                    refresh: checked(sharing.duration("refresh")),
                    lease: checked(sharing.duration("lease")))
            }
            return .redis(policy)
        }
        let memory = checked(store.section("memory"))
        return .memory(
            MemoryStorePolicy(
                snapshot: memory.text("snapshot").map { FileReader.resolve($0, in: folder) },
                snapshotInterval: checked(memory.duration("snapshot_interval"))))
    }

    private func redis(_ redis: Section) -> RedisStorePolicy {
        var policy = plainRedis(redis)
        switch checked(redis.text("mode")) {
        case "cluster": policy.mode = .cluster
        case "sentinel":
            let sentinel = redis.section("sentinel")
            policy.mode = .sentinel(
                SentinelPolicy(
                    master: sentinel?.text("master") ?? SentinelPolicy.usualMaster,
                    username: sentinel?.text("username"),
                    password: sentinel?.secret("password")))
        default: policy.mode = .single
        }
        policy.replicas = checked(redis.integer("replicas"))
        if let lease = redis.section("lease"), lease.boolean("enabled") ?? false {
            policy.leaseWindow = checked(lease.duration("window"))
        }
        policy.tls = redis.section("tls").map { tls in
            RedisTLSPolicy(
                authority: path(tls, "ca"), serverName: tls.text("server_name"),
                certificate: path(tls, "certificate"), key: path(tls, "key"))
        }
        return policy
    }

    private func path(_ section: Section, _ name: String) -> String? {
        section.text(name).map { FileReader.resolve($0, in: folder) }
    }

    private func plainRedis(_ redis: Section) -> RedisStorePolicy {
        RedisStorePolicy(
            addresses: redis.list("addresses").map { item in
                guard case .address(let address) = item.value else { return checked(nil) }
                return address
            },
            username: redis.text("username"), password: redis.secret("password"),
            database: checked(redis.integer("database")),
            timeout: checked(redis.duration("timeout")),
            onFailure: checked(StoreFailureMode(rawValue: checked(redis.text("on_failure")))),
            keyPrefix: checked(redis.text("key_prefix")),
            reservationLease: checked(redis.duration("reservation_lease")))
    }
}

extension CertificatePolicy {
    /// Nil where the section names none.
    init?(_ section: Section, in folder: String) {
        guard let certificate = section.text("certificate"), let key = section.text("key") else {
            return nil
        }
        self.init(
            certificate: FileReader.resolve(certificate, in: folder),
            key: FileReader.resolve(key, in: folder), place: section.path)
    }
}
