// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// What one part of the file says of another: names that must exist or be unique, thresholds in
/// order, tenants that could never be served.
///
/// It runs over what the first check left, so it sees only valid values and says nothing about what
/// is missing because of a mistake that was noted already.
struct CrossCheck {
    let root: Section
    var mistakes: MistakeLog
    let models: Directory
    private let pools: Directory
    private let classes: Directory
    let tenants: Directory
    let organisations: Directory
    /// From an alias to its model.
    private var aliased: [String: String] = [:]

    init(_ root: Section, _ mistakes: MistakeLog) {
        self.root = root
        self.mistakes = mistakes
        models = Directory(root, "models", named: "name", as: .model)
        pools = Directory(root, "pools", named: "name", as: .pool)
        classes = Directory(root, "classes", named: "name", as: .trafficClass)
        tenants = Directory(root, "tenants", named: "id", as: .tenant)
        organisations = Directory(root, "organisations", named: "id", as: .organisation)
        for model in root.sections("models") {
            for alias in model.texts("aliases") { aliased[alias.text] = model.text("name") }
        }
    }

    mutating func check() {
        checkFront()
        checkBodies()
        checkModels()
        checkPools()
        checkClasses()
        checkOrganisations()
        checkTenants()
        checkIssuers()
    }

    // MARK: Leaves

    mutating func add(_ message: String, at place: Place) { mistakes.add(message, at: place) }

    /// Notes a name that a section before has already.
    mutating func checkUnique(_ directory: Directory) {
        for (section, first) in directory.repeated {
            let key = directory.nameKey
            add(
                "\(section.path(key)): the \(directory.referent.rawValue) "
                    + "'\(section.text(key) ?? "")' stands already in line \(first.line)",
                at: section.place(key))
        }
    }

    /// The section that a value names, with a mistake when there is none.
    @discardableResult
    mutating func resolve(
        _ name: String, _ directory: Directory, path: String, at place: Place
    ) -> Section? {
        if let section = directory[name] { return section }
        // A name that is itself a mistake may be the one that is meant.
        guard directory.isComplete, !mistakes.isFull else { return nil }
        let hint = Nearest.hint(to: name, among: directory.names)
        add("\(path): there is no \(directory.referent.rawValue) '\(name.shown)'\(hint)", at: place)
        return nil
    }

    /// A list of names without those that stand in it twice, which are noted.
    private mutating func unique(
        _ section: Section, _ key: String
    ) -> [(text: String, place: Place)] {
        var seen: Set<String> = []
        return section.texts(key).filter { item in
            if seen.insert(item.text).inserted { return true }
            add("\(section.path(key)): '\(item.text)' stands twice", at: item.place)
            return false
        }
    }
}

// MARK: - Listeners, admin endpoint, store, bounds

extension CrossCheck {
    private mutating func checkFront() {
        var doors: [Address: Place] = [:]
        for listener in root.sections("listeners") {
            checkDoor(listener, &doors)
            if let tls = listener.section("tls") { checkClients(tls) }
            if let tenant = listener.text("tenant") {
                resolve(
                    tenant, tenants, path: listener.path("tenant"), at: listener.place("tenant"))
            }
        }
        if let admin = root.section("admin") {
            checkDoor(admin, &doors)
            if let address = admin.address("address"), !address.isLocal,
                admin["token"] == nil, admin.isRight("token")
            {
                add(
                    "\(admin.path("token")): is required, because \(address) can be reached from "
                        + "other hosts", at: admin.place("address"))
            }
        }
        if let store = root.section("store"), store.text("kind") == "redis",
            store.section("redis") == nil, store.isRight("redis")
        {
            add("\(store.path("redis")): is required with kind: redis", at: store.place("kind"))
        }
        if let redis = root.section("store")?.section("redis") { checkRedis(redis) }
        if let sharing = root.section("store")?.section("sharing") { checkSharing(sharing) }
        if let ledger = root.section("ledger") { checkLedger(ledger) }
    }

    private mutating func checkLedger(_ ledger: Section) {
        let parts = ["file", "redis_stream"]
        if parts.allSatisfy({ ledger[$0] == nil && ledger.isRight($0) }) {
            add("ledger: needs file, redis_stream, or both", at: ledger.place)
        }
        if ledger["redis_stream"] != nil, root.section("store")?.text("kind") == "memory" {
            add(
                "\(ledger.path("redis_stream")): needs a store of kind: redis",
                at: ledger.place("redis_stream"))
        }
    }

    private mutating func checkRedis(_ redis: Section) {
        let mode = redis.text("mode") ?? "single"
        let addresses = redis.list("addresses")
        if mode == "single", addresses.count > 1 {
            add(
                "\(redis.path("addresses")): mode: single has one, found \(addresses.count)",
                at: redis.place("addresses"))
        }
        if mode != "single" {
            for item in addresses {
                guard case .address(.unix) = item.value else { continue }
                add(
                    "\(redis.path("addresses")): mode: \(mode) has no Unix sockets",
                    at: item.place)
            }
        }
        if mode == "cluster", let database = redis.integer("database"), database != 0 {
            add(
                "\(redis.path("database")): a cluster has only 0",
                at: redis.place("database"))
        }
        if let tls = redis.section("tls") { checkPair(tls) }
    }

    /// A refresh may be late, and another one lost, before others take a gateway for dead.
    private mutating func checkSharing(_ sharing: Section) {
        guard let refresh = sharing.duration("refresh"), let lease = sharing.duration("lease"),
            lease.nanoseconds < 4 * refresh.nanoseconds
        else { return }
        add(
            "\(sharing.path("lease")): \(lease) is less than four times the refresh of \(refresh)",
            at: sharing.place("lease"))
    }

    /// Two doors may share a port only when the kernel chooses it.
    private mutating func checkDoor(_ door: Section, _ doors: inout [Address: Place]) {
        guard let address = door.address("address") else { return }
        if case .ip(_, 0) = address { return }
        if let first = doors[address] {
            add(
                "\(door.path("address")): \(address) stands already in line \(first.line)",
                at: door.place("address"))
        } else {
            doors[address] = door.place("address")
        }
    }

    private mutating func checkBodies() {
        guard let http = root.section("http"), let body = http.size("max_body"),
            let all = http.size("max_buffered_bodies"), all < body
        else { return }
        add(
            "\(http.path("max_buffered_bodies")): \(all) cannot hold one body of \(body) "
                + "(max_body)", at: http.place("max_buffered_bodies"))
    }
}

// MARK: - What is served

extension CrossCheck {
    private mutating func checkModels() {
        checkUnique(models)
        var names: [String: Place] = [:]
        for model in root.sections("models") {
            if let name = model.text("name"), names[name] == nil {
                names[name] = model.place("name")
            }
        }
        for model in root.sections("models") {
            for alias in unique(model, "aliases") {
                if let first = names[alias.text] {
                    add(
                        "\(model.path("aliases")): '\(alias.text)' stands already in line "
                            + "\(first.line)", at: alias.place)
                } else {
                    names[alias.text] = alias.place
                }
            }
        }
    }

    private mutating func checkPools() {
        checkUnique(pools)
        var engines: [String: Place] = [:]
        for pool in root.sections("pools") {
            for item in pool.list("endpoints") {
                guard case .endpoint(_, let authority, _) = item.value else { continue }
                if let first = engines[authority] {
                    add(
                        "\(pool.path("endpoints")): \(authority) stands already in line "
                            + "\(first.line); one engine stands in one pool only", at: item.place)
                } else {
                    engines[authority] = item.place
                }
            }
            for model in unique(pool, "models") { resolveModel(model, pool) }
            if let tls = pool.section("tls") { checkPair(tls) }
            checkPriority(pool)
            checkPhases(pool)
        }
        checkGPUs(engines)
    }

    private mutating func checkPhases(_ pool: Section) {
        guard let phases = pool.section("phases"), let start = phases.decimal("prefill_share"),
            let least = phases.decimal("min_prefill_share"),
            let most = phases.decimal("max_prefill_share"), !(least...max(least, most) ~= start)
        else { return }
        add(
            "\(phases.path("prefill_share")): \(start.plain) is not between \(least.plain) "
                + "(min_prefill_share) and \(most.plain) (max_prefill_share)",
            at: phases.place("prefill_share"))
    }

    /// `engines`: where each stands in a pool.
    private mutating func checkGPUs(_ engines: [String: Place]) {
        var names: [String: Place] = [:]
        var taken: [String: Place] = [:]
        for gpu in root.sections("gpus") {
            if let name = gpu.text("name") {
                if let first = names[name] {
                    add(
                        "\(gpu.path("name")): the GPU '\(name)' stands already in line "
                            + "\(first.line)", at: gpu.place("name"))
                }
                names[name] = names[name] ?? gpu.place("name")
            }
            for item in gpu.list("endpoints") {
                guard case .endpoint(_, let authority, _) = item.value else { continue }
                if engines[authority] == nil {
                    add(
                        "\(gpu.path("endpoints")): \(authority) stands in no pool",
                        at: item.place)
                } else if let first = taken[authority] {
                    add(
                        "\(gpu.path("endpoints")): \(authority) stands already in line "
                            + "\(first.line); one engine is on one GPU", at: item.place)
                }
                taken[authority] = taken[authority] ?? item.place
            }
        }
    }

    private mutating func checkPriority(_ pool: Section) {
        let able: [EngineKind] = [.vllm, .sglang, .trtllm]
        guard pool.boolean("priority_field") == true, let engine = pool.text("engine"),
            !able.contains(where: { $0.rawValue == engine })
        else { return }
        add(
            "\(pool.path("priority_field")): only engines of the kinds "
                + "\(able.map(\.rawValue).joined(separator: ", ")) have one",
            at: pool.place("priority_field"))
    }

    private mutating func resolveModel(_ item: (text: String, place: Place), _ section: Section) {
        let path = section.path("models")
        if models[item.text] == nil, let name = aliased[item.text] {
            add(
                "\(path): '\(item.text)' is an alias; write the model's name '\(name)'",
                at: item.place)
        } else {
            resolve(item.text, models, path: path, at: item.place)
        }
    }

    private mutating func checkClasses() {
        checkUnique(classes)
        for item in root.sections("classes") {
            if let pool = item.text("pool") {
                resolve(pool, pools, path: item.path("pool"), at: item.place("pool"))
            }
            guard let kv = item.section("kv"), let throttle = kv.decimal("throttle_at") else {
                continue
            }
            if let bounded = kv.decimal("bounded_at"), bounded < throttle {
                add(
                    "\(kv.path("bounded_at")): \(bounded.plain) is below throttle_at, which is "
                        + "\(throttle.plain)", at: kv.place("bounded_at"))
            }
            guard let reject = kv.decimal("reject_at"), throttle >= reject else { continue }
            add(
                "\(kv.path("throttle_at")): \(throttle.plain) is not below reject_at, which is "
                    + "\(reject.plain)", at: kv.place("throttle_at"))
        }
    }
}

// MARK: - Whom it is served to

extension CrossCheck {
    private mutating func checkTenants() {
        checkUnique(tenants)
        checkCertificateNames()
        let entered = Set(root.sections("listeners").compactMap { $0.text("tenant") })
        checkKeys()
        for tenant in root.sections("tenants") {
            let id = tenant.text("id")
            if let id, id != "anonymous", !entered.contains(id), tenant.list("keys").isEmpty,
                tenant.isRight("keys"), tenant.list("certificates").isEmpty,
                tenant.isRight("certificates"), !mayComeByToken(id)
            {
                add(
                    "\(tenant.path("keys")): is required, because no listener names this tenant",
                    at: tenant.place("keys"))
            }
            if id == "other" {
                add(
                    "\(tenant.path("id")): 'other' is what metrics call the tenants beyond those "
                        + "with labels of their own; take another name", at: tenant.place("id"))
            }
            checkUse(tenant)
            checkBudgets(tenant)
            checkFloor(tenant)
            checkDeferral(tenant)
        }
    }

    /// Whether any of its models is served in any of its classes; not asked while a name on the way
    /// is a mistake.
    private mutating func checkUse(_ tenant: Section) {
        var isKnown = tenant.isRight("classes") && tenant.isRight("models")
        var served: Set<String> = []
        for item in unique(tenant, "classes") {
            let found = resolve(
                item.text, classes, path: tenant.path("classes"), at: item.place)
            guard let pool = found?.text("pool").flatMap({ pools[$0] }), pool.isRight("models")
            else {
                isKnown = false
                continue
            }
            let names = pool.texts("models").map(\.text)
            isKnown = isKnown && names.allSatisfy { models[$0] != nil }
            served.formUnion(names)
        }
        var isServed = false
        for item in unique(tenant, "models") {
            resolveModel(item, tenant)
            isServed = isServed || served.contains(item.text)
            isKnown = isKnown && models[item.text] != nil
        }
        if isKnown, !isServed {
            add(
                "\(tenant.path("models")): no pool of this tenant's classes serves any of them",
                at: tenant.place("models"))
        }
    }

    private mutating func checkFloor(_ tenant: Section) {
        guard let limits = tenant.section("limits"),
            let floor = limits.tokens("min_completion_tokens"),
            let most = limits.tokens("max_completion_tokens"), floor > most
        else { return }
        add(
            "\(limits.path("min_completion_tokens")): \(floor) is above max_completion_tokens, "
                + "which is \(most)", at: limits.place("min_completion_tokens"))
    }

    /// Whether there is anywhere to go for what is over a class's caps.
    private mutating func checkDeferral(_ tenant: Section) {
        guard let limits = tenant.section("limits"),
            limits.text("over_interactive") == OverCap.batch.rawValue,
            tenant.isRight("classes"), tenant.list("classes").count == 1
        else { return }
        add(
            "\(limits.path("over_interactive")): batch needs a second class in the tenant's list",
            at: limits.place("over_interactive"))
    }
}

extension Address {
    /// Only this host can reach it.
    fileprivate var isLocal: Bool {
        switch self {
        case .ip(let host, _): host.hasPrefix("127.") || host == "::1"
        case .name: false
        case .unix: true
        }
    }
}
