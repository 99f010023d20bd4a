// SPDX-License-Identifier: Apache-2.0

package import Units

/// When room will be free: from the ends of the open sequences, and from what was given back of
/// late.
///
/// Everything here is counted as a projection counts it, so that what a request needs, what is in
/// its way and what others give back are of one kind. A sequence that is admitted adds its need,
/// grows, and takes all of it away at its end; over time an endpoint gives back as many needs as
/// it takes in, and so the needs of those that ended are the rate at which new ones fit.
package struct DrainEstimate: Sendable {
    /// One open sequence as seen from its end.
    package struct Sequence: Sendable {
        /// What it adds to the projection now, and takes away by ending.
        package var frees: Tokens
        /// By how much the projection rises while it runs, in tokens a second.
        package var growsPerSecond: Double
        /// Since when its growth is in no projection yet, before now.
        package var unseenFor: Duration
        /// Until it ends.
        package var endsIn: Duration

        package init(
            frees: Tokens, growsPerSecond: Double = 0, unseenFor: Duration = .zero,
            endsIn: Duration
        ) {
            self.frees = frees
            self.growsPerSecond = growsPerSecond
            self.unseenFor = unseenFor
            self.endsIn = endsIn
        }
    }

    /// More sequences than this are judged by rate, or by as many of them: the sum of many is
    /// stable, and a refusal stays cheap.
    package static let walkLimit = 64
    /// Seconds that the rate looks back.
    package static let windowSeconds = 10
    /// Fewer ends than this in the window make no rate.
    package static let fewestEnds = 16

    /// Tokens and ends of each of the last seconds, by second modulo the window.
    private var tokens: [10 of Int] = .init(repeating: 0)
    private var ends: [10 of Int] = .init(repeating: 0)
    /// The second that was last written, and when the first end came.
    private var newest: UInt64 = 0
    private var since: Instant?

    /// Nothing was given back yet.
    package init() {}

    /// A sequence ended whose admission had needed `need`.
    package mutating func released(_ need: Tokens, now: Instant) {
        let second = now.nanoseconds / 1_000_000_000
        if since == nil {
            since = now
            newest = second
        }
        if second > newest {
            let window = UInt64(Self.windowSeconds)
            for passed in 1...min(second - newest, window) {
                tokens[Int((newest + passed) % window)] = 0
                ends[Int((newest + passed) % window)] = 0
            }
            newest = second
        }
        let place = Int(newest % UInt64(Self.windowSeconds))
        tokens[place] += need.count
        ends[place] += 1
    }

    /// Needs given back a second over the last ten seconds; nil when too little ended to tell.
    package func rate(_ now: Instant) -> Double? {
        guard let since else { return nil }
        let window = UInt64(Self.windowSeconds)
        let second = max(now.nanoseconds / 1_000_000_000, newest)
        var sum = 0
        var count = 0
        for back in 0..<window {
            guard newest >= back, second - (newest - back) < window else { break }
            sum += tokens[Int((newest - back) % window)]
            count += ends[Int((newest - back) % window)]
        }
        guard count >= Self.fewestEnds else { return nil }
        let begin = Instant(nanoseconds: (second + 1 - min(second + 1, window)) * 1_000_000_000)
        return Double(sum) / max(1, (now - max(begin, since)).seconds)
    }

    /// How long until `deficit` is gone when nothing new is admitted: the sequences end one after
    /// the other, and those that still run grow. `sequences` in any order; it is sorted in place.
    /// The room has to be there still when who waits for it is late by `late` of the wait: others
    /// grow into it. Nil when all of them together do not free as much.
    package static func wait(
        for deficit: Tokens, sequences: inout [Sequence],
        late: (Duration) -> Duration = { _ in .zero }
    ) -> Duration? {
        if deficit <= .zero { return .zero }
        sequences.sort { $0.endsIn < $1.endsIn }
        var growing = 0.0
        var grown = 0.0
        for sequence in sequences {
            growing += sequence.growsPerSecond
            grown += sequence.growsPerSecond * sequence.unseenFor.seconds
        }
        var freed = 0.0
        for sequence in sequences {
            freed += Double(sequence.frees.count)
            growing -= sequence.growsPerSecond
            grown -= sequence.growsPerSecond * sequence.unseenFor.seconds
            let until = sequence.endsIn + late(sequence.endsIn)
            let inTheWay = Double(deficit.count) + grown + growing * until.seconds
            if freed >= inTheWay { return sequence.endsIn }
        }
        return nil
    }
}
