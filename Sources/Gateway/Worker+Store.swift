// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Store
import Synchronization
import Units

/// The store's connection on the worker's own loop.
extension Worker {
    func attachStore() throws(SystemFault) {
        guard case .redis(let redis) = store else { return }
        _ = redis
    }

    func storeReady(_ readiness: Readiness) {
        guard case .redis(let redis) = store else { return }
        _ = redis
    }

    func storeDue() {
        guard case .redis(let redis) = store else { return }
        _ = redis
    }

    /// Registers what the connection waits for, and the next of its deadlines.
    func settleStore() {
    }
}
