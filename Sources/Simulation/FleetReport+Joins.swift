// SPDX-License-Identifier: Apache-2.0

import Units

/// What became of engines that joined, and of others meanwhile.
extension FleetReport {
    mutating func joins(_ result: FleetResult) {
        guard let join = result.setup.joins.first else { return }
        let at = Instant(nanoseconds: 0) + join.after
        let span = Duration.seconds(30)
        let before = Instant(nanoseconds: 0) + (join.after - min(span, join.after))
        self[.ttftBeforeJoin] = Self.tail(result, from: before, to: at)
        self[.ttftAfterJoin] = Self.tail(result, from: at, to: at + span)
        self[.joinSpike] = self[.ttftAfterJoin] / self[.ttftBeforeJoin]
        let first = result.setup.endpoints
        shareOfJoined(result, first, from: at, to: at + span)
        guard result.marked.count == result.engines.count else { return }
        let ratio = { (places: Range<Int>) in
            var (asked, found) = (0, 0)
            for place in places {
                let (old, new) = (result.marked[place], result.engines[place])
                asked += (new.prefixQueries - old.prefixQueries).count
                found += (new.prefixHits - old.prefixHits).count
            }
            return asked > 0 ? Double(found) / Double(asked) : .nan
        }
        self[.joinedHitRatio] = ratio(first..<(first + join.count))
        self[.poolHitRatio] = ratio(0..<first)
        self[.joinedHits] = self[.joinedHitRatio] / self[.poolHitRatio]
    }

    private static func tail(
        _ result: FleetResult, from start: Instant, to end: Instant
    ) -> Double {
        let first = result.outcomes.filter {
            $0.fate == .done && $0.arrival >= start && $0.arrival < end
        }.compactMap { $0.firstTokenAfter(result) }
        return Percentiles.percentile(99, ofSorted: first.sorted())
    }

    private mutating func shareOfJoined(
        _ result: FleetResult, _ first: Int, from start: Instant, to end: Instant
    ) {
        let there = result.outcomes.filter {
            $0.forwardedAt.map { $0 >= start && $0 < end } ?? false
        }
        let tokens = { (outcomes: [FleetOutcome]) in
            Double(outcomes.reduce(0) { $0 + ($1.prompt + $1.output).count })
        }
        let joined = there.filter { $0.forwardedTo >= first }
        let even = Double(result.setup.allEndpoints - first) / Double(result.setup.allEndpoints)
        self[.joinedShare] = tokens(joined) / max(1, tokens(there)) / even
    }
}
