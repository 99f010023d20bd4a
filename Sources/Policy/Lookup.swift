// SPDX-License-Identifier: Apache-2.0

public import Units

/// From the bytes of a name to its place in a table of the policy: built once, read on the request
/// path without allocating.
///
/// Open addressing with linear probing, at most half full. The names are the operator's, so nobody
/// outside can make a chain longer; a byte compare decides, the hash only says where to look.
struct NameTable: Sendable {
    private struct Entry {
        var hash: UInt64
        var start: Int
        var count: Int
        var place: Int
    }
    private static let free = -1

    /// All names, one behind the other.
    private var bytes: [UInt8] = []
    private var entries: [Entry] = []
    /// An entry's index, or `free`. A power of two.
    private var slots: [Int]
    private var longest = 0

    /// The first of two equal names wins.
    init(_ names: [(name: String, place: Int)]) {
        var size = 8
        while size < names.count * 2 { size *= 2 }
        slots = Array(repeating: Self.free, count: size)
        for (name, place) in names { insert(Array(name.utf8), place: place) }
    }

    private mutating func insert(_ name: [UInt8], place: Int) {
        let span = unsafe name.span.bytes
        let hash = Self.hash(span)
        guard find(span, hash: hash) == nil else { return }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != Self.free { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = entries.count
        entries.append(Entry(hash: hash, start: bytes.count, count: name.count, place: place))
        bytes.append(contentsOf: name)
        longest = max(longest, name.count)
    }

    /// The place of `name`, byte for byte. A name longer than any in the table is not even read.
    func place(_ name: RawSpan) -> Int? {
        guard name.byteCount <= longest else { return nil }
        return find(name, hash: Self.hash(name))
    }

    private func find(_ name: RawSpan, hash: UInt64) -> Int? {
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != Self.free {
            let entry = entries[slots[slot]]
            if entry.hash == hash, entry.count == name.byteCount, equal(entry, name) {
                return entry.place
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private func equal(_ entry: Entry, _ name: RawSpan) -> Bool {
        for offset in 0..<entry.count {
            let byte = unsafe name.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            if bytes[entry.start + offset] != byte { return false }
        }
        return true
    }

    /// FNV-1a, with the last step of SplitMix64 because its low bits alone spread badly.
    private static func hash(_ name: RawSpan) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for offset in 0..<name.byteCount {
            hash ^= UInt64(unsafe name.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
            hash &*= 0x100_0000_01B3
        }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return hash ^ (hash >> 31)
    }
}

/// From the hash of an API key to its tenant.
///
/// The place to look comes from the hash, which tells nothing of the key; every compare reads all
/// 32 bytes.
struct KeyTable: Sendable {
    private struct Entry {
        var key: TenantKey
        var tenant: TenantID
    }
    private static let free = -1
    private var entries: [Entry] = []
    /// An entry's index, or `free`. A power of two, at most half used.
    private var slots: [Int]

    /// The first of two equal hashes wins.
    init(_ keys: [(key: TenantKey, tenant: TenantID)]) {
        var size = 8
        while size < keys.count * 2 { size *= 2 }
        slots = Array(repeating: Self.free, count: size)
        for (key, tenant) in keys where find(key.hash) == nil {
            var slot = start(key.hash)
            while slots[slot] != Self.free { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entries.count
            entries.append(Entry(key: key, tenant: tenant))
        }
    }

    func tenant(_ hash: KeyHash) -> TenantID? { find(hash).map { entries[$0].tenant } }

    func owner(_ hash: KeyHash, at time: WallTime) -> KeyOwner {
        guard let place = find(hash) else { return .nobody }
        let state = entries[place].key.state(at: time)
        return state == .valid ? .tenant(entries[place].tenant) : .not(state)
    }

    private func find(_ hash: KeyHash) -> Int? {
        var slot = start(hash)
        while slots[slot] != Self.free {
            if entries[slots[slot]].key.hash == hash { return slots[slot] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private func start(_ hash: KeyHash) -> Int {
        Int(truncatingIfNeeded: hash.words[0]) & (slots.count - 1)
    }
}

/// The tables of one policy. Names and keys that left are in none of them.
struct PolicyIndex: Sendable {
    let models: NameTable
    let classes: NameTable
    let tenants: NameTable
    let keys: KeyTable
    let certificates: NameTable
    let expiring: [(tenant: TenantID, key: TenantKey)]

    init(models: [ModelPolicy], classes: [ClassPolicy], tenants: [TenantPolicy]) {
        let models = models.filter { !$0.removed }
        let tenants = tenants.filter { !$0.removed }
        self.models = NameTable(
            models.map { ($0.name, $0.id.index) }
                + models.flatMap { model in model.aliases.map { ($0, model.id.index) } })
        self.classes = NameTable(classes.filter { !$0.removed }.map { ($0.name, $0.id.index) })
        self.tenants = NameTable(tenants.map { ($0.name, $0.id.index) })
        keys = KeyTable(tenants.flatMap { tenant in tenant.keys.map { ($0, tenant.id) } })
        expiring = tenants.flatMap { tenant in
            tenant.keys.filter { $0.expires != nil }.map { (tenant.id, $0) }
        }
        certificates = NameTable(
            tenants.flatMap { tenant in tenant.certificateNames.map { ($0, tenant.id.index) } })
    }
}

extension Policy {
    /// The model of this name or alias, compared byte for byte; nil for one that is not, or no
    /// longer, served.
    public func model(_ name: RawSpan) -> ModelID? {
        index.models.place(name).map { ModelID($0) }
    }
    /// The class of this name; nil for one that is not, or no longer, there.
    public func trafficClass(_ name: RawSpan) -> ClassID? {
        index.classes.place(name).map { ClassID($0) }
    }
    /// Whose key has this hash, and whether it is good then. All 32 bytes are compared, in
    /// constant time.
    public func owner(of key: KeyHash, at time: WallTime) -> KeyOwner {
        index.keys.owner(key, at: time)
    }
    /// All keys that will ever be over, with their tenants.
    public var expiringKeys: [(tenant: TenantID, key: TenantKey)] { index.expiring }
    /// The tenant whose key has this hash, good or not. All 32 bytes are compared, in constant
    /// time.
    public func tenant(_ key: KeyHash) -> TenantID? {
        index.keys.tenant(key)
    }
    /// The tenant of whose clients a certificate of this name is; DNS names in small letters.
    public func tenant(certificate name: RawSpan) -> TenantID? {
        index.certificates.place(name).map { TenantID($0) }
    }
    /// The tenant of this name, for a listener that names one and for the admin endpoint.
    public func tenant(named name: RawSpan) -> TenantID? {
        index.tenants.place(name).map { TenantID($0) }
    }
}
