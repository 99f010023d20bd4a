// SPDX-License-Identifier: Apache-2.0

import Dialects
import Tokenization
import Units

/// What the texts of a request come to by the model's own tokenizer.
struct ExactCount: Sendable, Equatable {
    /// Of messages, prompts and instructions.
    let text: Tokens
    /// Of the declared tools, as compact JSON.
    let tools: Tokens

    /// Reads the body once more: only now is it known whose tokenizer counts. Nil for a body that
    /// cannot be read, which its first reading has refused.
    static func of(
        _ body: RawSpan, _ dialect: Dialect, _ limits: InspectionLimits, _ tokenizer: Tokenizer,
        _ counter: TokenCounter, _ inspection: inout Inspection
    ) -> ExactCount? {
        var text = ExactMeter(counter, tokenizer)
        var tools = ExactMeter(counter, tokenizer)
        do throws(BodyFault) {
            try inspect(
                body, dialect, limits: limits, meter: &text, tools: &tools, into: &inspection)
        } catch {
            return nil
        }
        return ExactCount(text: text.finish(), tools: tools.finish())
    }
}
