// SPDX-License-Identifier: Apache-2.0

/// A way to ask for generated tokens: one path, one form of body, one form of answer.
public enum Dialect: UInt8, Sendable, CaseIterable {
    case chatCompletions
    case completions
    case embeddings
    /// OpenAI's responses.
    case responses
    /// Anthropic's messages.
    case messages
    /// Anthropic's question for the size of a prompt; the gateway answers it.
    case countTokens
    /// SGLang's own path.
    case generate
    /// The own path of the Text Generation Inference server, spelled as SGLang's: the body tells.
    case textGeneration
    /// The same, streamed.
    case textGenerationStream
    /// llama.cpp's own path.
    case completion
    /// Triton's generate extension: one answer.
    case triton
    /// The same, streamed.
    case tritonStream

    /// Where a request says which model it wants.
    public enum ModelPlace: Sendable {
        case body
        case path
        /// Nowhere: it is the one that the pool serves.
        case pool
    }

    /// Where a request says which model it wants.
    public var namesModelIn: ModelPlace {
        switch self {
        case .generate, .textGeneration, .textGenerationStream, .completion: return .pool
        case .triton, .tritonStream: return .path
        default: return .body
        }
    }

    /// Paths that stream, and paths that never do, whatever the body says; nil: the body says.
    var streams: Bool? {
        switch self {
        case .textGenerationStream, .tritonStream: return true
        case .textGeneration, .triton, .embeddings, .countTokens: return false
        default: return nil
        }
    }

    /// An engine's own path.
    var isNative: Bool { namesModelIn != .body }

    /// The path on which clients ask and engines answer; where it names the model, its beginning.
    public var path: StaticString {
        switch self {
        case .chatCompletions: return "/v1/chat/completions"
        case .completions: return "/v1/completions"
        case .embeddings: return "/v1/embeddings"
        case .responses: return "/v1/responses"
        case .messages: return "/v1/messages"
        case .countTokens: return "/v1/messages/count_tokens"
        case .generate, .textGeneration: return "/generate"
        case .textGenerationStream: return "/generate_stream"
        case .completion: return "/completion"
        case .triton, .tritonStream: return "/v2/models/"
        }
    }

    /// The member that holds what the engine is to read.
    public var content: Member {
        switch self {
        case .chatCompletions, .messages, .countTokens: return .messages
        case .completions, .completion: return .prompt
        case .embeddings, .responses: return .input
        case .generate: return .text
        case .textGeneration, .textGenerationStream: return .inputs
        case .triton, .tritonStream: return .textInput
        }
    }

    /// How refusals are spelled for clients of this dialect.
    public var errors: ErrorShape {
        switch self {
        case .chatCompletions, .completions, .embeddings, .responses, .generate, .completion:
            return .openAI
        case .messages, .countTokens: return .anthropic
        case .textGeneration, .textGenerationStream: return .textGeneration
        case .triton, .tritonStream: return .triton
        }
    }

    /// Whether the engine makes tokens for it.
    public var generates: Bool { self != .embeddings && self != .countTokens }

    /// Whether a stream tells its usage only where the body asks for it; the others always do.
    public var asksForUsage: Bool { self == .chatCompletions || self == .completions }

    /// Whether one body may ask for several answers, and has them in `choices`.
    public var hasChoices: Bool { self == .chatCompletions || self == .completions }

    /// The bound of the output under the name that every engine reads; nil where there is none.
    var bound: Member? {
        switch self {
        case .chatCompletions, .completions, .messages, .triton, .tritonStream: return .maxTokens
        case .responses: return .maxOutputTokens
        case .completion: return .predicted
        case .embeddings, .countTokens, .generate, .textGeneration, .textGenerationStream:
            return nil
        }
    }

    /// The object in which the bound of the output stands, as `max_new_tokens`.
    var boundObject: Member? {
        switch self {
        case .generate: return .samplingParameters
        case .textGeneration, .textGenerationStream: return .parameters
        default: return nil
        }
    }
}
