// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units

/// What a client asks an engine to make.
struct GenerationRequest {
    enum Kind: Equatable {
        case chat
        case completions
        case embeddings
        /// Anthropic's messages.
        case messages
        case responses
    }

    /// One text to go on from, or to embed.
    struct Prompt {
        let tokens: Tokens
        let hashes: [UInt64]
        /// Stands for the text.
        let digest: UInt64
    }

    /// How much usage a stream tells.
    enum UsageReport {
        case none
        case atTheEnd
        case withEveryChunk
    }

    /// How an embedding is spelled.
    enum VectorFormat {
        case numbers
        case base64
    }

    let kind: Kind
    var model: String?
    var prompts: [Prompt] = []
    /// Choices for each prompt.
    var choices = 1
    /// Of responses it is `max_output_tokens`.
    var maxTokens: Int?
    /// Only in chats, where it wins.
    var maxCompletionTokens: Int?
    var minTokens = 0
    /// How long the answer would be by itself; not given, it is drawn. A member of this engine's
    /// own, which gateways pass on unread: a replay says in it what no client could know.
    var ownLength: Int?
    var ignoresEnd = false
    var isStream = false
    var includeUsage = false
    var continuousUsage = false
    var seed: Int?
    var vectorFormat = VectorFormat.numbers

    init(_ kind: Kind) { self.kind = kind }

    var usage: UsageReport {
        if continuousUsage, includeUsage { return .withEveryChunk }
        return includeUsage ? .atTheEnd : .none
    }

    /// Every prompt once, however many choices it has.
    var promptTokens: Tokens { prompts.reduce(.zero) { $0 + $1.tokens } }

    /// Checks what does not follow from the JSON alone; gives each prompt's bound on output tokens.
    func bounds(context: Tokens, maxChoices: Int) throws(RequestFault) -> [Int] {
        guard choices >= 1 else { throw .choicesBelowOne(choices) }
        guard choices <= maxChoices else {
            throw .tooManyChoices(choices, limit: maxChoices)
        }
        let stated = kind == .chat ? maxCompletionTokens ?? maxTokens : maxTokens
        if let stated {
            guard stated >= 1 else { throw .boundBelowOne(stated) }
            guard stated <= context.count else {
                throw .boundAboveContext(stated, context: context.count)
            }
            guard minTokens <= stated else { throw .minimumAboveBound(minTokens, bound: stated) }
        }
        var bounds: [Int] = []
        for prompt in prompts {
            guard prompt.tokens <= context else {
                throw .promptTooLong(tokens: prompt.tokens.count, context: context.count)
            }
            let room = context.count - prompt.tokens.count
            guard room > 0 || kind == .embeddings else { throw .boundBelowOne(0) }
            // vLLM's default for completions is 16, for chats what the context leaves.
            bounds.append(min(stated ?? (kind == .completions ? 16 : room), room))
        }
        return bounds
    }
}
