// SPDX-License-Identifier: Apache-2.0

/// What the time of one engine step depends on.
public struct StepShape: Sendable, Equatable {
    /// Sequences that decode one token each.
    public var decoding = 0
    /// Tokens that the decoding sequences hold in the KV cache together.
    public var context = 0
    /// Prompts of which a part is computed.
    public var chunks = 0
    /// New prompt tokens of all chunks.
    public var prefill = 0
    /// Query-key pairs of all chunks: q × (c + q/2) for q new tokens after c present ones.
    public var pairs = 0.0
    /// Tokens that the begun prompts held before this step.
    public var prefilled = 0

    public init() {}
}

/// How long one step takes, in seconds.
///
/// Both laws grow linearly with the decode context, so that a run of decode-only steps has a closed
/// form.
public enum StepCost: Sendable, Equatable {
    /// Fitted to published measurements; see `EngineProfile.derived`.
    case roofline(Roofline)
    /// The plain law of the fixtures: base + prefill × a + decoding × b + resident × c.
    case linear(Linear)

    /// T0 + TS·n + (W⁴ + (C·m)⁴)^¼ + AP·pairs + AD·context, for n sequences and m tokens in the
    /// step: weights are read while the arithmetic goes on, and the slower of the two decides, with
    /// a soft corner.
    public struct Roofline: Sendable, Equatable {
        /// T0: a step's fixed overhead, all-reduce latency included.
        public var fixed: Double
        /// TS: per sequence; sampling, detokenizing.
        public var perSequence: Double
        /// W: reading the weights once.
        public var weights: Double
        /// C: dense arithmetic and all-reduce, per token.
        public var perToken: Double
        /// AP: prefill attention, per query-key pair.
        public var perPair: Double
        /// AD: decode attention, per cached token.
        public var perContextToken: Double

        public init(
            fixed: Double, perSequence: Double, weights: Double, perToken: Double,
            perPair: Double, perContextToken: Double
        ) {
            self.fixed = fixed
            self.perSequence = perSequence
            self.weights = weights
            self.perToken = perToken
            self.perPair = perPair
            self.perContextToken = perContextToken
        }
    }

    public struct Linear: Sendable, Equatable {
        public var fixed: Double
        public var perPrefillToken: Double
        public var perDecodingSequence: Double
        /// Per token resident in the KV cache, of decoding and begun sequences.
        public var perResidentToken: Double

        public init(
            fixed: Double, perPrefillToken: Double, perDecodingSequence: Double,
            perResidentToken: Double
        ) {
            self.fixed = fixed
            self.perPrefillToken = perPrefillToken
            self.perDecodingSequence = perDecodingSequence
            self.perResidentToken = perResidentToken
        }
    }

    /// The time of one step, in seconds; above zero.
    public func seconds(_ shape: StepShape) -> Double {
        switch self {
        case .roofline(let law):
            let arithmetic = law.perToken * Double(shape.prefill + shape.decoding)
            let linear = (fourth(law.weights) + fourth(arithmetic)).squareRoot().squareRoot()
            return law.fixed + law.perSequence * Double(shape.decoding + shape.chunks) + linear
                + law.perPair * shape.pairs + law.perContextToken * Double(shape.context)
        case .linear(let law):
            return law.fixed + law.perPrefillToken * Double(shape.prefill)
                + law.perDecodingSequence * Double(shape.decoding)
                + law.perResidentToken * Double(shape.context + shape.prefilled)
        }
    }

    /// What one more token of decode context adds to a step, in seconds.
    public var perContextToken: Double {
        switch self {
        case .roofline(let law): law.perContextToken
        case .linear(let law): law.perResidentToken
        }
    }

    /// What one more prompt token adds to a step that computes many, in seconds, attention left
    /// out.
    public var perPrefillToken: Double {
        switch self {
        case .roofline(let law): law.perToken
        case .linear(let law): law.perPrefillToken
        }
    }

    /// Engine seconds that a request takes in a busy batch, its length known.
    public func work(prompt: Int, output: Int) -> Double {
        let (prompt, output) = (Double(prompt), Double(output))
        switch self {
        case .roofline(let law):
            return law.perToken * prompt + law.perPair * prompt * prompt / 2
                + output
                * (law.perSequence + law.perToken + law.perContextToken * (prompt + output / 2))
        case .linear(let law):
            return law.perPrefillToken * prompt
                + output
                * (law.perDecodingSequence + law.perResidentToken * (prompt + output / 2))
        }
    }

    private func fourth(_ value: Double) -> Double { value * value * (value * value) }
}
