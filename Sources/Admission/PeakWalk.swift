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

        var square: Int {
            let whole = min(rest.count * width, 1 << 24)
            return whole * whole
        }

        /// Wherever this one fits, the other one does.
        public func isAtLeast(_ other: Sequence) -> Bool {
            held >= other.held && rest >= other.rest && width >= other.width
        }
    }

    /// So many are walked through one by one.
    public static let exactly = 8

    /// What holds a value of an unknown type is looked at where it stands, and not copied for it.
    private let pin: any Sendable = ()
    private var sequences: [Sequence] = []
    /// The peak without any newcomer, as it was when somebody came or left last, or eight changes
    /// ago: as long as all go on as expected it stays what it is, or falls by a few tokens.
    public private(set) var least = Tokens.zero
    private var changes = 0
    /// The same, in cohorts.
    public private(set) var cohorts = Cohorts()

    /// Nobody there.
    public init() {}

    /// Sequences that are there.
    public var count: Int { sequences.count }

    // MARK: who is there

    /// One more, at the place `count`.
    public mutating func append(_ sequence: Sequence) {
        sequences.append(sequence)
        cohorts.join(sequence)
        least = peak()
    }

    /// The sequence at `place` has become this.
    public mutating func update(_ place: Int, to sequence: Sequence) {
        cohorts.leave(sequences[place])
        sequences[place] = sequence
        cohorts.join(sequence)
        changes &+= 1
        if changes & 7 == 0 { least = peak() }
    }

    /// The sequence at `place` is gone, and the last one takes its place.
    public mutating func remove(_ place: Int) {
        cohorts.leave(sequences[place])
        let last = sequences.removeLast()
        if place < sequences.count { sequences[place] = last }
        least = peak()
    }

    // MARK: the peak

    /// The peak, with `newcomer` among them.
    public func peak(adding newcomer: Sequence? = nil) -> Tokens {
        let count = sequences.count + (newcomer == nil ? 0 : 1)
        return count <= Self.exactly ? exactPeak(newcomer, count) : cohorts.peak(adding: newcomer)
    }

    /// By how much all that is expected may well turn out to be more, `newcomer` among them: where
    /// lengths have no memory, the deviation of each is its mean, and that of the sum the root of
    /// the sum of squares.
    public func deviation(adding newcomer: Sequence? = nil) -> Tokens {
        cohorts.deviation(adding: newcomer)
    }

    /// What those will hold at their ends that end about when one would that comes now with this
    /// rest: earlier or later by one part in `parts` of it at most. `others`: of other gateways.
    public func companions(
        of rest: Tokens, within parts: Int, beside others: Cohorts? = nil
    ) -> Tokens {
        let margin = rest.count / parts
        var whole = others?.companions(of: rest, within: margin) ?? 0
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
}
