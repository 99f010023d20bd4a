// SPDX-License-Identifier: Apache-2.0

public import Units

/// When room will be free, from the ends of the open sequences.
///
/// What others give back is counted with half of their rest, as a projection of many counts it;
/// where the peak of few is the larger projection, a wait comes out rather too long.
public enum DrainEstimate {
    /// One open sequence as seen from its end.
    public struct Sequence: Sendable {
        /// What it adds to the projection now, and takes away by ending.
        public var frees: Tokens
        /// By how much the projection rises while it runs, in tokens a second.
        public var growsPerSecond: Double
        /// Since when its growth is in no projection yet, before now.
        public var unseenFor: Duration
        /// Until it ends.
        public var endsIn: Duration

        /// Without growth it holds what it holds until its end.
        public init(
            frees: Tokens, growsPerSecond: Double = 0, unseenFor: Duration = .zero,
            endsIn: Duration
        ) {
            self.frees = frees
            self.growsPerSecond = growsPerSecond
            self.unseenFor = unseenFor
            self.endsIn = endsIn
        }
    }

    /// More sequences than this are not walked through: the sum of many is stable, and a refusal
    /// stays cheap.
    public static let walkLimit = 64
    /// How long until `deficit` is gone when nothing new is admitted: the sequences end one after
    /// the other, and those that still run grow. `sequences` in any order; it is sorted in place.
    /// The room has to be there still when who waits for it is late by `late` of the wait: others
    /// grow into it. Nil when all of them together do not free as much.
    public static func wait(
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
