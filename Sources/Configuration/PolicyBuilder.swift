// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// The replaceable part, from a file without mistakes. Places stay what they were in `previous`.
struct PolicyBuilder {
    private let root: Section
    private let tokenizers: TokenizerFiles
    private let previous: Policy?
    /// The folder of the configuration file.
    private let folder: String
    private var models: Places
    private var pools: Places
    private var endpoints: Places
    private var classes: Places
    private var tenants: Places
    /// Organisations by their names, teams by `organisation/team`.
    private var groups: Places

    init(_ root: Section, _ tokenizers: TokenizerFiles, folder: String, previous: Policy?) {
        self.root = root
        self.tokenizers = tokenizers
        self.folder = folder
        self.previous = previous
        models = Places(previous?.models.map(\.name) ?? [])
        pools = Places(previous?.pools.map(\.name) ?? [])
        endpoints = Places(previous?.endpoints.map(\.authority) ?? [])
        classes = Places(previous?.classes.map(\.name) ?? [])
        tenants = Places(previous?.tenants.map(\.name) ?? [])
        groups = Places(previous?.groupNames ?? [])
        for model in root.sections("models") { _ = models.place(checked(model.text("name"))) }
        for pool in root.sections("pools") {
            _ = pools.place(checked(pool.text("name")))
            for engine in Self.engines(pool) { _ = endpoints.place(engine.authority) }
        }
        for item in root.sections("classes") { _ = classes.place(checked(item.text("name"))) }
        for tenant in root.sections("tenants") { _ = tenants.place(checked(tenant.text("id"))) }
        for organisation in root.sections("organisations") {
            let name: String = checked(organisation.text("id"))
            _ = groups.place(name)
            for team in organisation.sections("teams") {
                _ = groups.place("\(name)/\(checked(team.text("id")))")
            }
        }
    }

    /// More names in one table than it may keep over all reloads; nil when they fit.
    var overflow: String? {
        let tables = [
            ("models", models, 1_024), ("pools", pools, 256), ("endpoints", endpoints, 65_536),
            ("classes", classes, 64), ("tenants", tenants, 10_000),
            ("organisations and teams", groups, 65_000),
        ]
        return tables.first { $0.1.count > 4 * $0.2 }.map { table in
            "more than \(4 * table.2) names of \(table.0) since the start, those that left "
                + "included; restart to forget them"
        }
    }

    func build() -> Policy {
        let present = root.sections("tenants").map { $0.text("id") }
        return Policy(
            generation: (previous?.generation ?? 0) + 1,
            http: HTTPPolicy(checked(root.section("http"))),
            http2: HTTP2Policy(checked(root.section("http2"))),
            upstream: UpstreamPolicy(checked(root.section("upstream"))),
            routing: RoutingPolicy(checked(root.section("routing"))), identity: identity(),
            models: modelTable(), pools: poolTable(), endpoints: endpointTable(),
            gpus: gpuTable(), classes: classTable(), tenants: tenantTable(),
            groups: groupTable(),
            anonymous: present.contains("anonymous")
                ? tenants["anonymous"].map { TenantID($0) } : nil,
            throttleHistory: checked(root.section("admin")?.integer("throttle_history")),
            requestHistory: checked(root.section("admin")?.integer("request_history")))
    }

    private func identity() -> IdentityPolicy {
        IdentityPolicy(
            checked(root.section("identity")?.section("jwt")), in: folder
        ) { TenantID(checked(tenants[$0])) }
    }

    private func gpuTable() -> [GPUPolicy] {
        root.sections("gpus").map { section in
            GPUPolicy(
                name: checked(section.text("name")),
                endpoints: Self.engines(section).map {
                    EndpointID(checked(endpoints[$0.authority]))
                },
                maxTokensInFlight: checked(section.tokens("max_tokens_in_flight")))
        }
    }

    private static func engines(
        _ pool: Section
    ) -> [(address: Address, authority: String, isSecure: Bool)] {
        pool.list("endpoints").map { item in
            guard case .endpoint(let address, let authority, let isSecure) = item.value else {
                return checked(nil)
            }
            return (address, authority, isSecure)
        }
    }

    private func tls(_ tls: Section) -> PoolTLSPolicy {
        PoolTLSPolicy(
            authority: tls.text("ca").map { FileReader.resolve($0, in: folder) },
            serverName: tls.text("server_name"), identity: CertificatePolicy(tls, in: folder),
            place: tls.path)
    }

    private func modelIDs(_ section: Section) -> [ModelID] {
        section.texts("models").map { ModelID(checked(models[$0.text])) }
    }
}

// MARK: - Tables

extension PolicyBuilder {
    private func modelTable() -> [ModelPolicy] {
        let present = root.sections("models").map { section in
            let name: String = checked(section.text("name"))
            let place: Int = checked(models[name])
            let model = ModelPolicy(
                id: ModelID(place), name: name, aliases: section.texts("aliases").map(\.text),
                contextLength: checked(section.tokens("context_length")),
                family: section.text("tokenizer_family").flatMap(TokenizerFamily.init),
                price: section.section("price").map { Price($0) },
                tokenizer: tokenizers[section.text("tokenizer")])
            return (place, model)
        }
        return models.table(present, before: previous?.models ?? []) { model in
            var model = model
            model.aliases = []
            model.tokenizer = nil
            model.removed = true
            return model
        }
    }

    private func poolTable() -> [PoolPolicy] {
        let present = root.sections("pools").map { section in
            let name: String = checked(section.text("name"))
            let place: Int = checked(pools[name])
            let capacity = checked(section.section("capacity"))
            let pool = PoolPolicy(
                id: PoolID(place), name: name,
                engine: checked(EngineKind(rawValue: checked(section.text("engine")))),
                endpoints: Self.engines(section).map {
                    EndpointID(checked(endpoints[$0.authority]))
                },
                models: modelIDs(section), key: section.secret("key"),
                prefillTokensPerSecond: capacity.decimal("prefill_tokens_per_second"),
                decodeTokensPerSecond: capacity.decimal("decode_tokens_per_second"),
                kvTokens: capacity.tokens("kv_tokens"),
                kvBytesPerToken: capacity.integer("kv_bytes_per_token"),
                takesPriority: checked(section.boolean("priority_field")),
                ramp: RampPolicy(checked(section.section("ramp"))),
                phases: section.section("phases").map { PhasePolicy($0) },
                speaks: checked(HTTPProtocol(rawValue: checked(section.text("protocol")))),
                tls: section.section("tls").map(tls))
            return (place, pool)
        }
        return pools.table(present, before: previous?.pools ?? []) { pool in
            var pool = pool
            pool.endpoints = []
            pool.key = nil
            pool.removed = true
            return pool
        }
    }

    private func endpointTable() -> [EndpointPolicy] {
        let present = root.sections("pools").flatMap { section in
            let pool = PoolID(checked(pools[checked(section.text("name"))]))
            return Self.engines(section).map { engine in
                let place: Int = checked(endpoints[engine.authority])
                let endpoint = EndpointPolicy(
                    id: EndpointID(place), pool: pool, address: engine.address,
                    authority: engine.authority, isSecure: engine.isSecure)
                return (place, endpoint)
            }
        }
        return endpoints.table(present, before: previous?.endpoints ?? []) { endpoint in
            var endpoint = endpoint
            endpoint.removed = true
            return endpoint
        }
    }

    private func classTable() -> [ClassPolicy] {
        let present = root.sections("classes").enumerated().map { rank, section in
            let name: String = checked(section.text("name"))
            let place: Int = checked(classes[name])
            let kv = checked(section.section("kv"))
            let throttleAt: Double = checked(kv.decimal("throttle_at"))
            let item = ClassPolicy(
                id: ClassID(place), name: name,
                pool: PoolID(checked(pools[checked(section.text("pool"))])), rank: rank,
                throttleAt: throttleAt,
                boundedSlack: kv.decimal("bounded_at").map { $0 - throttleAt }
                    ?? ClassPolicy.usualSlack(throttleAt: throttleAt),
                rejectAt: checked(kv.decimal("reject_at")),
                queue: QueuePolicy(checked(section.section("queue"))),
                timeouts: TimeoutPolicy(checked(section.section("timeouts"))),
                targets: section.section("targets").map { TargetPolicy($0) },
                clamp: ClampPolicy(checked(section.section("clamp")), isFirst: rank == 0),
                caps: section.section("caps").map { CapPolicy($0) },
                priority: checked(section.integer("priority")))
            return (place, item)
        }
        return classes.table(present, before: previous?.classes ?? []) { item in
            var item = item
            item.removed = true
            item.rank = .max
            return item
        }
    }

    private func groupTable() -> [GroupPolicy] {
        var present: [(place: Int, entry: GroupPolicy)] = []
        for section in root.sections("organisations") {
            let name: String = checked(section.text("id"))
            let place: Int = checked(groups[name])
            present.append(
                (
                    place,
                    GroupPolicy(
                        id: GroupID(place), name: name,
                        limits: checked(section.section("limits")).limits)
                ))
            for team in section.sections("teams") {
                let teamName: String = checked(team.text("id"))
                let teamPlace: Int = checked(groups["\(name)/\(teamName)"])
                present.append(
                    (
                        teamPlace,
                        GroupPolicy(
                            id: GroupID(teamPlace), name: teamName, parent: GroupID(place),
                            limits: checked(team.section("limits")).limits)
                    ))
            }
        }
        return groups.table(present, before: previous?.groups ?? []) { group in
            var group = group
            group.removed = true
            return group
        }
    }

    /// The innermost one.
    private func group(of tenant: Section) -> GroupID? {
        guard let organisation = tenant.text("organisation") else { return nil }
        let name = tenant.text("team").map { "\(organisation)/\($0)" } ?? organisation
        return GroupID(checked(groups[name]))
    }

    private func tenantTable() -> [TenantPolicy] {
        let present = root.sections("tenants").map { section in
            let name: String = checked(section.text("id"))
            let place: Int = checked(tenants[name])
            let tenant = TenantPolicy(
                id: TenantID(place), name: name,
                keys: section.sections("keys").map { key in
                    TenantKey(
                        checked(key.keyHash("hash")), name: key.text("id"),
                        notBefore: key.time("not_before"), expires: key.time("expires"))
                },
                classes: section.texts("classes").map { ClassID(checked(classes[$0.text])) },
                models: modelIDs(section), weight: checked(section.decimal("weight")),
                limits: TenantLimits(checked(section.section("limits"))),
                modelLimits: section.sections("model_limits").map { limits in
                    ModelLimits(
                        model: ModelID(checked(models[checked(limits.text("model"))])),
                        limits: limits.limits)
                },
                keyLimits: section.sections("key_limits").map { limits in
                    guard case .keyHash(let hash)? = limits["key"]?.value else {
                        return KeyLimits(key: nil, limits: limits.limits)
                    }
                    return KeyLimits(key: hash, limits: limits.limits)
                }, group: group(of: section),
                certificateNames: section.texts("certificates").map { item in
                    // As certificates' names are compared.
                    item.text.contains { $0 == ":" || $0 == "@" }
                        ? item.text : item.text.lowercased()
                })
            return (place, tenant)
        }
        return tenants.table(present, before: previous?.tenants ?? []) { tenant in
            var tenant = tenant
            tenant.keys = []
            tenant.certificateNames = []
            tenant.removed = true
            return tenant
        }
    }
}

extension Policy {
    /// As `PolicyBuilder` knows them, by their places.
    fileprivate var groupNames: [String] {
        groups.map { group in
            group.parent.map { "\(groups[$0.index].name)/\(group.name)" } ?? group.name
        }
    }
}
