// SPDX-License-Identifier: Apache-2.0

package import Units

/// When room will be free: from the ends of the open sequences where they are few, from the observed rate
/// of release where they are many.
package struct DrainEstimate: Sendable {
    /// One open sequence as seen from its end.
    package struct Sequence: Sendable {
        /// KV tokens that its end gives back.
        package var frees: Tokens
        /// Until it ends at the latest, by its bound and its pace.
        package var endsIn: Duration

        package init(frees: Tokens, endsIn: Duration) {
            self.frees = frees
            self.endsIn = endsIn
        }
    }

    /// More sequences than this are judged by rate: their sum is stable, and a refusal stays cheap.
    package static let walkLimit = 64
    private static let memory = 10.0

    private var releasedPerSecond = 0.0
    private var lastRelease: Instant?

    package init() {}

    /// KV tokens given back a second, averaged over about ten seconds.
    package var rate: Double { releasedPerSecond }

    package mutating func released(_ tokens: Tokens, now: Instant) {
        let elapsed = lastRelease.map { max(0.001, (now - $0).seconds) } ?? 1
        let weight = min(1, elapsed / Self.memory)
        releasedPerSecond += weight * (Double(tokens.count) / elapsed - releasedPerSecond)
        lastRelease = now
    }

    /// How long until `deficit` tokens have been given back. `sequences` in any order, at most `walkLimit`;
    /// it is sorted in place. Nil when nothing known will free as much.
    package func wait(for deficit: Tokens, sequences: inout [Sequence]) -> Duration? {
        if deficit.count <= 0 { return .zero }
        sequences.sort { $0.endsIn < $1.endsIn }
        var freed = 0
        for sequence in sequences {
            freed += sequence.frees.count
            if freed >= deficit.count { return sequence.endsIn }
        }
        guard releasedPerSecond > 0 else { return nil }
        return .seconds(Double(deficit.count) / releasedPerSecond)
    }
}
