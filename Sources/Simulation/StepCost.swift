// SPDX-License-Identifier: Apache-2.0

/// What the time of one engine step depends on.
package struct StepShape: Sendable, Equatable {
    /// Sequences that decode one token each.
    package var decoding = 0
    /// Tokens that the decoding sequences hold in the KV cache together.
    package var context = 0
    /// Prompts of which a part is computed.
    package var chunks = 0
    /// New prompt tokens of all chunks.
    package var prefill = 0
    /// Query-key pairs of all chunks: q × (c + q/2) for q new tokens after c present ones.
    package var pairs = 0.0
    /// Tokens that the begun prompts held before this step.
    package var prefilled = 0

    package init() {}
}

/// How long one step takes, in seconds.
///
/// Both laws grow linearly with the decode context, so that a run of decode-only steps has a closed
/// form.
package enum StepCost: Sendable, Equatable {
    /// Fitted to published measurements; see `EngineProfile.derived`.
    case roofline(Roofline)
    /// The plain law of the fixtures: base + prefill × a + decoding × b + resident × c.
    case linear(Linear)

    /// T0 + TS·n + (W⁴ + (C·m)⁴)^¼ + AP·pairs + AD·context, for n sequences and m tokens in the
    /// step: weights are read while the arithmetic goes on, and the slower of the two decides, with
    /// a soft corner.
    package struct Roofline: Sendable, Equatable {
        /// T0: a step's fixed overhead, all-reduce latency included.
        package var fixed: Double
        /// TS: per sequence; sampling, detokenizing.
        package var perSequence: Double
        /// W: reading the weights once.
        package var weights: Double
        /// C: dense arithmetic and all-reduce, per token.
        package var perToken: Double
        /// AP: prefill attention, per query-key pair.
        package var perPair: Double
        /// AD: decode attention, per cached token.
        package var perContextToken: Double

        package init(
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

    package struct Linear: Sendable, Equatable {
        package var fixed: Double
        package var perPrefillToken: Double
        package var perDecodingSequence: Double
        /// Per token resident in the KV cache, of decoding and begun sequences.
        package var perResidentToken: Double

        package init(
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
    package func seconds(_ shape: StepShape) -> Double {
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
    package var perContextToken: Double {
        switch self {
        case .roofline(let law): law.perContextToken
        case .linear(let law): law.perResidentToken
        }
    }

    private func fourth(_ value: Double) -> Double { value * value * (value * value) }
}
