// SPDX-License-Identifier: Apache-2.0

import Budget
import DequeModule
import Units

/// Reads of all tenants' standings, one after the other, each a command a tenant.
struct UsageReads {
    /// Reads that may wait at once.
    static let limit = 8

    private struct Read {
        let request: RequestID
        let steps: [BudgetAccount]
        var sent = 0
        var answered = 0
        /// Shorter than `answered` when a tenant could not be read: then the whole answer is none.
        var standings: [LimitsSnapshot] = []
    }
    private var reads: Deque<Read> = []

    var isFull: Bool { reads.count >= Self.limit }

    mutating func add(_ request: RequestID, _ accounts: [BudgetAccount]) {
        reads.append(Read(request: request, steps: accounts))
    }

    /// The next tenant to ask for, of the first read only.
    mutating func next() -> BudgetAccount? {
        guard let read = reads.first, read.sent < read.steps.count else { return nil }
        reads[0].sent += 1
        return read.steps[read.sent]
    }

    /// Takes the answer for the oldest tenant asked for, nil where the store refused it; gives the
    /// whole answer when it was the last.
    mutating func take(_ standing: LimitsSnapshot?) -> StoreAnswer? {
        guard !reads.isEmpty else { return nil }
        reads[0].answered += 1
        if let standing { reads[0].standings.append(standing) }
        guard reads[0].answered == reads[0].steps.count else { return nil }
        let read = reads.removeFirst()
        let isWhole = read.standings.count == read.answered
        return .usage(read.request, isWhole ? .usage(read.standings, .store) : .unavailable)
    }

    /// Ends all reads.
    mutating func giveUp() -> [StoreAnswer] {
        defer { reads.removeAll() }
        return reads.map { .usage($0.request, .unavailable) }
    }
}
