// SPDX-License-Identifier: Apache-2.0

import Units

/// The latest traces, a fixed number of them, and what their endpoints offered.
///
/// The offers stand apart, eight places for each: most requests have one or two to choose from,
/// and memory that is not written costs nothing.
struct DecisionTraces: Sendable {
    private var ring: NumberedRing<DecisionTrace>
    /// Of the trace at a place of the ring, from `place * DecisionTrace.mostOffers` on.
    private var offers: [DecisionTrace.Offer] = []

    init(limit: Int) { ring = NumberedRing(limit: limit) }

    var limit: Int { ring.limit }

    mutating func put(_ number: UInt64, _ trace: DecisionTrace) { ring.put(number, trace) }

    func place(of number: UInt64) -> Int? { ring.place(of: number) }

    /// At a place that `place(of:)` has told.
    subscript(at place: Int) -> DecisionTrace {
        get { ring[at: place] }
        _modify { yield &ring[at: place] }
    }

    func trace(_ number: UInt64) -> DecisionTrace? {
        guard let place = ring.place(of: number) else { return nil }
        var trace = ring[at: place]
        trace.offers = Array(offers(at: place, trace.offerCount))
        return trace
    }

    private func offers(at place: Int, _ count: Int) -> ArraySlice<DecisionTrace.Offer> {
        // Places of which none was ever written may not be there yet.
        guard count > 0 else { return [] }
        let first = place * DecisionTrace.mostOffers
        return offers[first..<first + count]
    }

    mutating func update(_ number: UInt64, _ change: (inout DecisionTrace) -> Void) {
        ring.update(number, change)
    }

    /// One more endpoint of the trace at a place; beyond eight they are only counted.
    mutating func add(_ offer: DecisionTrace.Offer, at place: Int) {
        let count = ring[at: place].offerCount
        guard count < DecisionTrace.mostOffers else {
            ring[at: place].leftOut += 1
            return
        }
        let end = (place + 1) * DecisionTrace.mostOffers
        if offers.count < end {
            offers.append(contentsOf: repeatElement(offer, count: end - offers.count))
        }
        offers[place * DecisionTrace.mostOffers + count] = offer
        ring[at: place].offerCount += 1
    }

    /// Another number of them: of those that would stand at one place the newest stays.
    mutating func resize(to limit: Int) {
        guard limit != self.limit else { return }
        var other = DecisionTraces(limit: limit)
        ring.each { number, trace in
            other.put(number, trace)
            guard let place = other.place(of: number), let of = ring.place(of: number) else {
                return
            }
            other[at: place].offerCount = 0
            for offer in offers(at: of, trace.offerCount) { other.add(offer, at: place) }
        }
        self = other
    }
}
