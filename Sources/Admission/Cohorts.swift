// SPDX-License-Identifier: Apache-2.0

public import Units

/// Open sequences, those of like rests together, four to an octave: what is known of them when they
/// are too many, or too far away, to be walked through one by one.
///
/// Cohorts of several gateways are added up, and the peak of the sum is what their sequences will
/// hold together; the sum of their peaks would be far above it.
public struct Cohorts: Sendable, Equatable {
    /// Sequences whose rests are alike, added up.
    public struct Cohort: Sendable, Equatable {
        /// Prompt and generated tokens.
        public var held: Int
        /// What all choices are expected to add.
        public var rest: Int
        /// Choices, which grow side by side.
        public var width: Int

        /// Nobody unless told.
        public init(held: Int = 0, rest: Int = 0, width: Int = 0) {
            self.held = held
            self.rest = rest
            self.width = width
        }

        mutating func add(_ other: Cohort, times sign: Int = 1) {
            held += sign * other.held
            rest += sign * other.rest
            width += sign * other.width
        }
    }

    /// Places; bit n of `occupied` is that of place n.
    public static let count = 64
    /// Engines hand out their caches in blocks (vLLM: 16 tokens), of which each sequence leaves
    /// half of one unused. For few sequences that is nothing.
    public static let halfBlock = 8
    /// What others say beyond this is nonsense, and is cut off here: sums stay exact everywhere.
    public static let most = 1 << 40
    /// The same of choices.
    public static let mostWidth = 1 << 20
    /// The same of squares.
    public static let mostSquares = 1 << 52

    private var members = [Cohort](repeating: Cohort(), count: count)
    /// Bit n: somebody is in cohort n.
    private(set) var occupied: UInt64 = 0
    private var all = Cohort()
    /// Sum over the sequences of the squares of what each is expected to add.
    public private(set) var squares = 0

    /// Nobody there.
    public init() {}

    /// Nobody is there.
    public var isEmpty: Bool { occupied == 0 }

    /// What is held in all of them.
    public var held: Tokens { Tokens(all.held) }
    /// What all of them are expected to add.
    public var rest: Tokens { Tokens(all.rest) }
    /// Choices in all of them.
    public var width: Int { all.width }

    /// The place of a rest: four to an octave, the last one open at its end.
    public static func place(of rest: Tokens) -> Int {
        let rest = rest.count
        guard rest >= 4 else { return max(0, rest) }
        let octave = Int.bitWidth - 1 - rest.leadingZeroBitCount
        return min(count - 1, 4 * (octave - 1) + (rest >> (octave - 2)) & 3)
    }

    /// Calls `body` for all in which somebody is, the shortest rests first.
    public func each(_ body: (_ place: Int, Cohort) -> Void) {
        var left = occupied
        while left != 0 {
            let place = left.trailingZeroBitCount
            left &= left - 1
            body(place, members[place])
        }
    }

    // MARK: who is there

    mutating func join(_ sequence: PeakWalk.Sequence) {
        squares += sequence.square
        put(Cohort(sequence), at: Self.place(of: sequence.rest))
    }

    private mutating func put(_ cohort: Cohort, at place: Int) {
        members[place].add(cohort)
        all.add(cohort)
        occupied |= 1 << UInt64(place)
    }

    mutating func leave(_ sequence: PeakWalk.Sequence) {
        let place = Self.place(of: sequence.rest)
        squares -= sequence.square
        members[place].add(Cohort(sequence), times: -1)
        all.add(Cohort(sequence), times: -1)
        if members[place].width == 0 { occupied &= ~(1 << UInt64(place)) }
    }

    /// More of them at a place; of no width, or outside of what a cache can hold, is nobody.
    public mutating func add(_ cohort: Cohort, at place: Int) {
        let sound = 0...Self.most
        guard (0..<Self.count).contains(place), (1...Self.mostWidth).contains(cohort.width),
            sound.contains(cohort.held), sound.contains(cohort.rest)
        else { return }
        put(cohort, at: place)
    }

    /// The squares of sequences that were added as cohorts.
    public mutating func add(squares: Int) {
        if (0...Self.mostSquares).contains(squares) { self.squares += squares }
    }

    /// All of the others too.
    public mutating func add(_ others: Cohorts) {
        squares += others.squares
        others.each { place, cohort in put(cohort, at: place) }
    }

    /// One sequence more.
    public mutating func add(_ sequence: PeakWalk.Sequence) { join(sequence) }

    /// Tokens of those at a place, or fewer again, that are counted apart from them.
    mutating func hold(_ tokens: Int, at place: Int) {
        members[place].held += tokens
        all.held += tokens
        occupied |= 1 << UInt64(place)
    }

    /// Up to so many tokens of those at a place are counted apart from them; how many.
    public mutating func take(_ tokens: Int, from place: Int) -> Int {
        let taken = max(0, min(tokens, members[place].held))
        members[place].held -= taken
        all.held -= taken
        return taken
    }

    // MARK: what they will hold

    /// The peak, with `newcomer` and `others` among them: each cohort is walked as if its members
    /// ended together after their mean rest.
    public func peak(
        adding newcomer: PeakWalk.Sequence? = nil, beside others: Cohorts? = nil
    ) -> Tokens {
        let own = newcomer.map { Self.place(of: $0.rest) } ?? -1
        var left = occupied | (others?.occupied ?? 0)
        if own >= 0 { left |= 1 << UInt64(own) }
        var (held, width, peak) = (0, 0, 0)
        while left != 0 {
            let place = 63 - left.leadingZeroBitCount
            left &= ~(1 << UInt64(place))
            var cohort = members[place]
            if place == own, let newcomer { cohort.add(Cohort(newcomer)) }
            if let others { cohort.add(others.members[place]) }
            held += cohort.held + Self.halfBlock * cohort.width
            peak = max(peak, held + cohort.rest + Self.share(cohort.rest, width, cohort.width))
            width += cohort.width
        }
        return Tokens(peak)
    }

    /// `rest` × `width` ÷ `own`. What others say may be anything within bounds: too much is enough.
    private static func share(_ rest: Int, _ width: Int, _ own: Int) -> Int {
        let (product, isOver) = rest.multipliedReportingOverflow(by: width)
        return isOver ? 1 << 55 : product / max(own, 1)
    }

    /// By how much all that is expected may well turn out to be more: where lengths have no memory,
    /// the deviation of each is its mean, and that of the sum the root of the sum of squares.
    func deviation(
        adding newcomer: PeakWalk.Sequence? = nil, beside others: Cohorts? = nil
    ) -> Tokens {
        let sum = squares + (others?.squares ?? 0) + (newcomer?.square ?? 0)
        return Tokens(Int(Double(sum).squareRoot()))
    }

    /// What they will hold at the worst foreseeable moment: the peak, and where they are many at
    /// least half of all that is expected and a quarter of its deviation, since expectations are
    /// means.
    public func projection(
        adding newcomer: PeakWalk.Sequence? = nil, beside others: Cohorts? = nil
    ) -> Tokens {
        let peak = peak(adding: newcomer, beside: others)
        let all = width + (others?.width ?? 0) + (newcomer?.width ?? 0)
        guard all > PeakWalk.exactly else { return peak }
        var held = held + (others?.held ?? .zero)
        var rest = rest + (others?.rest ?? .zero)
        if let newcomer {
            held += newcomer.held
            rest += Tokens(newcomer.rest.count * newcomer.width)
        }
        let margin = Tokens(deviation(adding: newcomer, beside: others).count / 4)
        return max(peak, held + Tokens((rest.count + 1) / 2) + margin)
    }

    /// What those will hold at their ends whose mean rest is within `margin` of this one.
    func companions(of rest: Tokens, within margin: Int) -> Int {
        var whole = 0
        each { _, cohort in
            let mean = cohort.rest / max(cohort.width, 1)
            if abs(mean - rest.count) <= margin { whole += cohort.held + cohort.rest }
        }
        return whole
    }
}

extension Cohorts.Cohort {
    init(_ sequence: PeakWalk.Sequence) {
        self.init(
            held: sequence.held.count, rest: sequence.rest.count * sequence.width,
            width: sequence.width)
    }
}
