// SPDX-License-Identifier: Apache-2.0

/// What a step of an engine takes, learnt from how long steps took: a base, a part for each
/// sequence that decodes, a part for what these hold, and a part for each prompt token that is
/// prefilled.
///
/// Least squares over what was observed, old observations fading, drawn towards a first guess: what
/// the observations do not tell apart stays as it was guessed, and no part ever is negative.
public struct StepTimeFit: Sendable, Equatable {
    /// Steps of one span of time.
    public struct Sample: Sendable, Equatable {
        /// How many there were.
        public var steps: Double
        /// What one took in the mean, in seconds.
        public var seconds: Double
        /// Sequences that decoded in each.
        public var decoding: Double
        /// KV tokens that these held.
        public var resident: Double
        /// Prompt tokens that were prefilled in all of them.
        public var prompt: Double

        public init(
            steps: Double, seconds: Double, decoding: Double, resident: Double, prompt: Double
        ) {
            self.steps = steps
            self.seconds = seconds
            self.decoding = decoding
            self.resident = resident
            self.prompt = prompt
        }
    }

    /// What is kept of earlier samples when one comes, so that about fifty count.
    private static let memory = 0.98
    /// Before anything was observed, in seconds: a base, a sequence, a held token, a prompt token.
    /// A large model on two current GPUs takes about as long.
    private static let guess = SIMD4(0.015, 50e-6, 30e-9, 100e-6)
    /// Units in which the four are of like size.
    private static let scale = SIMD4(1, 0.01, 1e-5, 0.01)
    /// The first guess weighs as much as so many steps; little, but where nothing else is known.
    private static let guessWeight = 4.0

    /// Sums of weighted products, and of these with the seconds.
    private var base = SIMD4<Double>.zero
    private var decoding = SIMD4<Double>.zero
    private var resident = SIMD4<Double>.zero
    private var prompt = SIMD4<Double>.zero
    private var right = SIMD4<Double>.zero
    private let first: SIMD4<Double>
    private var parts: SIMD4<Double>

    /// `perPrompt`: a first guess of the seconds that a prompt token takes, where it is known.
    public init(perPrompt: Double? = nil) {
        var guess = Self.guess
        if let perPrompt, perPrompt > 0 { guess[3] = perPrompt }
        first = guess
        parts = guess
    }

    /// Seconds that a prompt token takes.
    public var perPrompt: Double { parts[3] }

    /// Seconds of a step without any prompt token.
    public func decodeStep(decoding: Int, resident: Int) -> Double {
        parts[0] + parts[1] * Double(decoding) + parts[2] * Double(resident)
    }

    /// Takes note of what was observed.
    public mutating func observe(_ sample: Sample) {
        guard sample.steps > 0, sample.seconds > 0, sample.seconds.isFinite else { return }
        let seen = SIMD4(1, sample.decoding, sample.resident, sample.prompt / sample.steps)
        let x = seen * Self.scale
        let weight = min(sample.steps, 100)
        base = base * Self.memory + x * (x[0] * weight)
        decoding = decoding * Self.memory + x * (x[1] * weight)
        resident = resident * Self.memory + x * (x[2] * weight)
        prompt = prompt * Self.memory + x * (x[3] * weight)
        right = right * Self.memory + x * (sample.seconds * weight)
        solve()
    }

    /// Coordinate by coordinate, each bounded: what comes out has no negative part.
    private mutating func solve() {
        let start = first / Self.scale
        var found = parts / Self.scale
        for _ in 0..<20 {
            improve(&found, 0, base, start)
            improve(&found, 1, decoding, start)
            improve(&found, 2, resident, start)
            improve(&found, 3, prompt, start)
        }
        parts = found * Self.scale
    }

    private func improve(
        _ found: inout SIMD4<Double>, _ place: Int, _ row: SIMD4<Double>, _ start: SIMD4<Double>
    ) {
        let others = (row * found).sum() - row[place] * found[place]
        // A part is as far off as it is large.
        let ridge = Self.guessWeight * 1e-6 / (start[place] * start[place])
        let best = (right[place] - others + ridge * start[place]) / (row[place] + ridge)
        found[place] = min(max(best, start[place] * 0.02), start[place] * 20)
    }
}
