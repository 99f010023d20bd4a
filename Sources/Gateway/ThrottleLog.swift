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
        /// All that there ever were.
        var appended: UInt64 = 0

        init(limit: Int) { self.limit = limit }

        /// The newest, at most so many, newest first.
        func newest(_ most: Int) -> [ThrottleRecord] {
            (0..<min(most, records.count)).map { age in
                records[(next - 1 - age + records.count) % records.count]
            }
        }

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
            ring.appended += 1
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

    /// What came after a mark.
    struct Fresh {
        /// Newest first.
        var records: [ThrottleRecord]
        /// How many more there were, too many or forgotten.
        var leftOut: Int
        /// After which there is no more yet.
        var mark: UInt64
    }

    /// Of what came after the first `mark` refusals the newest, at most so many.
    func after(_ mark: UInt64, atMost most: Int) -> Fresh {
        ring.withLock { ring in
            let count = Int(clamping: ring.appended - min(mark, ring.appended))
            let records = ring.newest(min(count, most))
            return Fresh(
                records: records, leftOut: count - records.count, mark: ring.appended)
        }
    }

    /// Newest first.
    func recent() -> [ThrottleRecord] { ring.withLock { $0.ordered.reversed() } }
}
