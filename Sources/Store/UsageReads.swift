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
        /// Of the steps at the same places; nil where none came yet, or the store refused it.
        var standings: [LimitsSnapshot?]
        var isAnswered: [Bool]
        /// Before it all are answered.
        var first = 0

        init(_ request: RequestID, _ steps: [BudgetAccount]) {
            self.request = request
            self.steps = steps
            standings = Array(repeating: nil, count: steps.count)
            isAnswered = Array(repeating: false, count: steps.count)
        }
    }
    private var reads: Deque<Read> = []

    var isFull: Bool { reads.count >= Self.limit }

    mutating func add(_ request: RequestID, _ accounts: [BudgetAccount]) {
        reads.append(Read(request, accounts))
    }

    /// The next tenant to ask for, of the first read only.
    mutating func next() -> BudgetAccount? {
        guard let read = reads.first, read.sent < read.steps.count else { return nil }
        reads[0].sent += 1
        return read.steps[read.sent]
    }

    /// Takes the answer for a tenant, nil where the store refused it; gives the whole answer when
    /// it was the last. Servers of a cluster answer in any order, and to a read that was ended too.
    mutating func take(_ standing: LimitsSnapshot?, of account: BudgetAccount) -> StoreAnswer? {
        guard !reads.isEmpty, let place = place(of: account) else { return nil }
        reads[0].standings[place] = standing
        reads[0].isAnswered[place] = true
        reads[0].answered += 1
        guard reads[0].answered == reads[0].steps.count else { return nil }
        let read = reads.removeFirst()
        let standings = read.standings.compactMap { $0 }
        // Where a tenant could not be read, the whole answer is none.
        let isWhole = standings.count == read.steps.count
        return .usage(read.request, isWhole ? .usage(standings, .store) : .unavailable)
    }

    private mutating func place(of account: BudgetAccount) -> Int? {
        while reads[0].first < reads[0].sent, reads[0].isAnswered[reads[0].first] {
            reads[0].first += 1
        }
        return (reads[0].first..<reads[0].sent).first { place in
            reads[0].steps[place] === account && !reads[0].isAnswered[place]
        }
    }

    /// Ends all reads.
    mutating func giveUp() -> [StoreAnswer] {
        defer { reads.removeAll() }
        return reads.map { .usage($0.request, .unavailable) }
    }
}
