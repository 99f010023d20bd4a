// SPDX-License-Identifier: Apache-2.0

import Decision
import Synchronization
import Units

/// One throttling decision, as the operator sees it.
struct ThrottleRecord: Sendable {
    var at: WallTime
    var request: RequestName
    var tenant: TenantID
    var trafficClass: ClassID?
    var model: ModelID?
    var input: Tokens
    var output: Tokens
    var refusal: Refusal
}

/// The latest refusals, a fixed number of them: the oldest gives way.
final class ThrottleLog: Sendable {
    private struct Ring: Sendable {
        var records: [ThrottleRecord] = []
        var next = 0
        var limit: Int

        /// Oldest first.
        var ordered: [ThrottleRecord] {
            let start = records.count < limit ? 0 : next
            return Array(records[start...] + records[..<start])
        }
    }
    private let ring: Mutex<Ring>

    init(limit: Int) { ring = Mutex(Ring(limit: max(1, limit))) }

    func append(_ record: ThrottleRecord) {
        ring.withLock { ring in
            if ring.records.count < ring.limit {
                ring.records.append(record)
            } else {
                ring.records[ring.next] = record
            }
            ring.next = (ring.next + 1) % ring.limit
        }
    }

    /// Another number of them: the newest stay.
    func resize(to limit: Int) {
        ring.withLock { ring in
            guard limit != ring.limit else { return }
            ring.records = Array(ring.ordered.suffix(limit))
            ring.limit = limit
            ring.next = ring.records.count % limit
        }
    }

    /// Newest first.
    func recent() -> [ThrottleRecord] { ring.withLock { $0.ordered.reversed() } }
}
