// SPDX-License-Identifier: Apache-2.0

import Dialects
import Estimation
import Policy
import Units
import Wire

/// How one body is read, by the worker or, where it is big, by another thread.
struct BodyReading: Sendable {
    let policy: Policy
    let dialect: Dialect
    /// The model, where the body does not say.
    let named: ModelID?
    /// So many blocks of the prompt get a name.
    let blocks: Int

    var limits: InspectionLimits { InspectionLimits(maxDepth: policy.http.maxJSONDepth) }

    /// One pass over the body: into an inspection and both meters.
    func read(
        _ body: RawSpan, texts: inout PromptMeter, tools: inout PromptMeter,
        into inspection: inout Inspection
    ) throws(BodyFault) {
        let family = family(body)
        texts.begin(family: family, maxBlocks: blocks)
        tools.begin(family: family, maxBlocks: blocks)
        try inspect(
            body, dialect, limits: limits, meter: &texts, tools: &tools, into: &inspection)
    }

    /// Whose tokens are to be counted: asked of the body beforehand only where models differ.
    private func family(_ body: RawSpan) -> TokenizerFamily {
        if let family = policy.onlyFamily { return family }
        if let named { return policy.models[named.index].family }
        guard let name = Dialects.modelName(in: body), let model = policy.model(name, in: body)
        else { return .llama3 }
        return policy.models[model.index].family
    }
}

/// What another thread has read of a body.
final class ReadBody: Sendable {
    let inspection: Inspection
    let texts: PromptMeter
    let tools: PromptMeter
    /// Where the model that it names has a tokenizer.
    let count: ExactCount?

    init(_ inspection: Inspection, _ texts: PromptMeter, _ tools: PromptMeter, _ count: ExactCount?)
    {
        self.inspection = inspection
        self.texts = texts
        self.tools = tools
        self.count = count
    }
}

extension Policy {
    /// The model that a body names, by name or alias.
    func model(_ name: JSONString, in body: RawSpan) -> ModelID? {
        guard name.isEscaped else { return model(body.extracting(name.range)) }
        var text = ByteBuffer()
        name.append(to: &text, from: body)
        return unsafe model(text.readable.bytes)
    }
}
