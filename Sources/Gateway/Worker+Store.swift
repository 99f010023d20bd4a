// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Store
import Synchronization
import Transport
import Units

/// The budget store's connection on the worker's own loop, where it has one.
extension Worker {
    func attachStore() {
        guard case .redis(let redis) = store else { return }
        redis.tick(now: loop.now, wall: loop.wall)
    }

    func storeReady(_ token: Token, _ readiness: Readiness) {
        guard case .redis(let redis) = store else { return }
        redis.ready(token, readiness, now: loop.now, wall: loop.wall)
    }

    /// Once a turn, at its end: what is due, what was answered, and what is to be sent. An answer
    /// may bring the next command, so sending comes last.
    func driveStore() {
        guard case .redis(let redis) = store else { return }
        if let due = redis.nextDeadline, due <= loop.now {
            redis.tick(now: loop.now, wall: loop.wall)
        }
        drainStore()
        redis.flush(now: loop.now, wall: loop.wall)
        drainStore()
        note(redis.state)
    }

    /// How long this turn may sleep for the store's sake.
    var storePatience: Duration? {
        guard case .redis(let redis) = store, let due = redis.nextDeadline else { return nil }
        return max(.zero, due - loop.now)
    }

    /// What was granted in advance goes back: no request comes any more.
    func endGrants() {
        guard case .redis(let redis) = store else { return }
        redis.endGrants(now: loop.now)
    }

    /// Settlements that no server has been given yet.
    var unsentSettlements: Int {
        guard case .redis(let redis) = store else { return 0 }
        return redis.settlementsWaiting
    }

    /// Tells the others, and the log, when the store comes and goes, its absence at the start
    /// included.
    private func note(_ state: StoreState) {
        switch state {
        case .opening: return
        case .up:
            guard storeWasUp != true else { return }
            shared.storesUp.add(1, ordering: .relaxed)
            shared.log.write("worker \(index): budget store is up")
            storeWasUp = true
        case .away(let fault, _):
            guard storeWasUp != false else { return }
            if storeWasUp == true { shared.storesUp.subtract(1, ordering: .relaxed) }
            shared.log.write("worker \(index): budget store is away: \(fault)")
            storeWasUp = false
        }
    }
}
