// SPDX-License-Identifier: Apache-2.0

/// A way to ask for generated tokens: one path, one form of body, one form of answer.
public enum Dialect: UInt8, Sendable, CaseIterable {
    case chatCompletions
    case completions
    case embeddings

    /// The path on which clients ask and engines answer.
    public var path: StaticString {
        switch self {
        case .chatCompletions: return "/v1/chat/completions"
        case .completions: return "/v1/completions"
        case .embeddings: return "/v1/embeddings"
        }
    }

    /// The member that holds what the engine is to read.
    public var content: Member {
        switch self {
        case .chatCompletions: return .messages
        case .completions: return .prompt
        case .embeddings: return .input
        }
    }

    /// How refusals are spelled for clients of this dialect.
    public var errors: ErrorShape { .openAI }
}
