// SPDX-License-Identifier: Apache-2.0

public import Units

/// The most that open sequences will hold together, when each makes the tokens that are expected of
/// it and no new one comes.
///
/// All of them grow by a token a step, so the peak is just before one of them ends: with those that
/// end later, and all that these have grown by then. Up to eight sequences are walked through one
/// by one. More are kept in cohorts of like rests, four to an octave, each walked as if its members
/// ended together after their mean rest: that errs by a tenth at most, nearly always upwards, and
/// costs the same however many they are. Nothing is allocated but for more sequences than ever
/// before.
public struct PeakWalk: Sendable {
    /// One open sequence, or the choices of one request.
    public struct Sequence: Sendable, Equatable {
        /// Prompt and generated tokens.
        public var held: Tokens
        /// What one choice is expected to add.
        public var rest: Tokens
        /// Choices, which grow side by side.
        public var width: Int

        /// Of at least one choice.
        public init(held: Tokens, rest: Tokens, width: Int = 1) {
            self.held = held
            self.rest = rest
            self.width = width
        }

        fileprivate var square: Int {
            let whole = min(rest.count * width, 1 << 24)
            return whole * whole
        }

        /// Wherever this one fits, the other one does.
        public func isAtLeast(_ other: Sequence) -> Bool {
            held >= other.held && rest >= other.rest && width >= other.width
        }
    }

    private struct Cohort: Sendable {
        var held = 0
        /// Of all choices.
        var rest = 0
        var width = 0

        mutating func add(_ sequence: Sequence, times sign: Int = 1) {
            held += sign * sequence.held.count
            rest += sign * sequence.rest.count * sequence.width
            width += sign * sequence.width
        }
    }

    /// So many are walked through one by one.
    public static let exactly = 8
    private static let cohortCount = 64
    /// Engines hand out their caches in blocks (vLLM: 16 tokens), of which each sequence leaves
    /// half of one unused. For few sequences that is nothing.
    private static let halfBlock = 8

    private var sequences: [Sequence] = []
    /// Sum over them of the squares of what each is expected to add.
    private var squares = 0
    private var cohorts = [Cohort](repeating: Cohort(), count: cohortCount)
    /// Bit n: somebody is in cohort n.
    private var occupied: UInt64 = 0

    /// Nobody there.
    public init() {}

    /// Sequences that are there.
    public var count: Int { sequences.count }

    // MARK: who is there

    /// One more, at the place `count`.
    public mutating func append(_ sequence: Sequence) {
        sequences.append(sequence)
        join(sequence)
    }

    /// The sequence at `place` has become this.
    public mutating func update(_ place: Int, to sequence: Sequence) {
        leave(sequences[place])
        sequences[place] = sequence
        join(sequence)
    }

    /// The sequence at `place` is gone, and the last one takes its place.
    public mutating func remove(_ place: Int) {
        leave(sequences[place])
        let last = sequences.removeLast()
        if place < sequences.count { sequences[place] = last }
    }

    private mutating func join(_ sequence: Sequence) {
        let cohort = Self.cohort(sequence.rest.count)
        cohorts[cohort].add(sequence)
        squares += sequence.square
        occupied |= 1 << UInt64(cohort)
    }

    private mutating func leave(_ sequence: Sequence) {
        let cohort = Self.cohort(sequence.rest.count)
        cohorts[cohort].add(sequence, times: -1)
        squares -= sequence.square
        if cohorts[cohort].width == 0 { occupied &= ~(1 << UInt64(cohort)) }
    }

    /// Four to an octave, the last one open at its end.
    private static func cohort(_ rest: Int) -> Int {
        guard rest >= 4 else { return max(0, rest) }
        let octave = Int.bitWidth - 1 - rest.leadingZeroBitCount
        return min(cohortCount - 1, 4 * (octave - 1) + (rest >> (octave - 2)) & 3)
    }

    // MARK: the peak

    /// The peak, with `newcomer` among them.
    public func peak(adding newcomer: Sequence? = nil) -> Tokens {
        let count = sequences.count + (newcomer == nil ? 0 : 1)
        return count <= Self.exactly ? exactPeak(newcomer, count) : cohortPeak(newcomer)
    }

    /// By how much all that is expected may well turn out to be more, `newcomer` among them: where
    /// lengths have no memory, the deviation of each is its mean, and that of the sum the root of
    /// the sum of squares.
    public func deviation(adding newcomer: Sequence? = nil) -> Tokens {
        Tokens(Int(Double(squares + (newcomer?.square ?? 0)).squareRoot()))
    }

    /// What those will hold at their ends that end about when one would that comes now with this
    /// rest: earlier or later by one part in `parts` of it at most.
    public func companions(of rest: Tokens, within parts: Int) -> Tokens {
        let margin = rest.count / parts
        var whole = 0
        for other in sequences where abs(other.rest.count - rest.count) <= margin {
            whole += other.held.count + other.rest.count * other.width
        }
        return Tokens(whole)
    }

    private func exactPeak(_ newcomer: Sequence?, _ count: Int) -> Tokens {
        var ordered = [8 of Sequence](repeating: Sequence(held: .zero, rest: .zero, width: 0))
        for place in 0..<count {
            guard let next = place < sequences.count ? sequences[place] : newcomer else { break }
            var at = place
            while at > 0, ordered[at - 1].rest < next.rest {
                ordered[at] = ordered[at - 1]
                at -= 1
            }
            ordered[at] = next
        }
        var (held, width, peak) = (0, 0, 0)
        for place in 0..<count {
            held += ordered[place].held.count
            width += ordered[place].width
            peak = max(peak, held + width * ordered[place].rest.count)
        }
        return Tokens(peak)
    }

    private func cohortPeak(_ newcomer: Sequence?) -> Tokens {
        let own = newcomer.map { Self.cohort($0.rest.count) } ?? -1
        var left = occupied
        if own >= 0 { left |= 1 << UInt64(own) }
        var (held, width, peak) = (0, 0, 0)
        while left != 0 {
            let place = 63 - left.leadingZeroBitCount
            left &= ~(1 << UInt64(place))
            var cohort = cohorts[place]
            if place == own, let newcomer { cohort.add(newcomer) }
            held += cohort.held + Self.halfBlock * cohort.width
            peak = max(peak, held + cohort.rest + width * cohort.rest / cohort.width)
            width += cohort.width
        }
        return Tokens(peak)
    }
}
