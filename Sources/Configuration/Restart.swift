// SPDX-License-Identifier: Apache-2.0

public import Policy

/// The paths of the keys that differ and that only a restart can change, in the order of the table;
/// empty when a reload is enough.
public func changesNeedingRestart(from old: FixedPolicy, to new: FixedPolicy) -> [String] {
    var changes: [String] = []
    func compare<Value: Equatable>(_ path: String, _ old: Value, _ new: Value) {
        if old != new { changes.append(path) }
    }
    compare("workers", old.workers, new.workers)
    compare("listeners", old.listeners, new.listeners)
    compare("admin.address", old.admin.address, new.admin.address)
    compare("admin.token", old.admin.token, new.admin.token)
    compare("admin.audit_log", old.admin.audit, new.admin.audit)
    switch (old.store, new.store) {
    case (.memory(let old), .memory(let new)):
        compare("store.memory.snapshot", old.snapshot, new.snapshot)
        compare("store.memory.snapshot_interval", old.snapshotInterval, new.snapshotInterval)
    case (.redis(let old), .redis(let new)):
        compare("store.redis.mode", old.mode, new.mode)
        compare("store.redis.tls", old.tls, new.tls)
        compare("store.redis.addresses", old.addresses, new.addresses)
        compare("store.redis.username", old.username, new.username)
        compare("store.redis.password", old.password, new.password)
        compare("store.redis.database", old.database, new.database)
        compare("store.redis.timeout", old.timeout, new.timeout)
        compare("store.redis.on_failure", old.onFailure, new.onFailure)
        compare("store.redis.replicas", old.replicas, new.replicas)
        compare("store.redis.key_prefix", old.keyPrefix, new.keyPrefix)
        compare("store.redis.reservation_lease", old.reservationLease, new.reservationLease)
        compare("store.redis.lease", old.leaseWindow, new.leaseWindow)
    case (.memory, .redis), (.redis, .memory):
        changes.append("store.kind")
    }
    compare("ledger", old.ledger, new.ledger)
    compare("counting", old.counting, new.counting)
    return changes
}
