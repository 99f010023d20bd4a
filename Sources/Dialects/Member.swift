// SPDX-License-Identifier: Apache-2.0

import Wire

/// A member of a request's body that decides what the request costs, or that must not reach an
/// engine.
public enum Member: UInt8, Sendable, CaseIterable {
    case model
    case messages
    case prompt
    case input
    case tools
    case functions
    case documents
    case suffix
    /// Anthropic: the system's prompt, beside the messages.
    case system
    /// Responses: the same.
    case instructions
    /// Responses: answer at once, and generate unseen.
    case background
    /// SGLang's own path: the prompt, as text or as token ids.
    case text
    case inputIDs
    /// TGI's own path.
    case inputs
    /// Triton's.
    case textInput
    case stream
    case streamOptions
    case maxTokens
    case maxCompletionTokens
    /// llama.cpp: wins there over the two before.
    case predicted
    case minTokens
    case ignoreEOS
    case choices
    case bestOf
    /// llama.cpp: `n` by another name.
    case parallelChoices

    // Bounds by names that belong to other paths (responses, SGLang's and TGI's own, Ollama's). But
    // for the first, on its own path, no engine is known to read them on ours, so they promise
    // nothing; but where the bound is set, they are not to say more.
    case maxOutputTokens
    case maxNewTokens
    case numPredict
    case minNewTokens
    // Objects in which other paths and client libraries put the same names.
    case parameters
    case samplingParameters
    case options
    case generationConfig
    case extraBody

    // Internal to a deployment: clients do not set them.
    /// vLLM: addresses and keys of a KV transfer between engines.
    case kvTransfer
    /// vLLM, SGLang, TensorRT-LLM: the engine's own order, with opposite meanings.
    case priority
    /// vLLM: overrides the gateway's request id.
    case requestID
    /// SGLang: the same.
    case rid
    /// llama.cpp: pins a slot.
    case slot
    /// SGLang: where a disaggregated prefill connects to.
    case bootstrapHost
    case bootstrapPort
    case bootstrapRoom
    /// SGLang: pins a data-parallel rank.
    case dataParallelRank
    /// TensorRT-LLM: state of a disaggregated request.
    case disaggregated

    /// vLLM: arguments for extensions.
    case extraArguments

    // Within other members.
    case includeUsage
    case continuousUsage
    /// It would arrive as `kvTransfer`, and as a text where the engine counts on an object.
    case extraKVTransfer

    /// As bodies spell it; a nested one with the names that lead to it.
    public var name: StaticString {
        switch self {
        case .model: return "model"
        case .messages: return "messages"
        case .prompt: return "prompt"
        case .input: return "input"
        case .tools: return "tools"
        case .functions: return "functions"
        case .documents: return "documents"
        case .suffix: return "suffix"
        case .system: return "system"
        case .instructions: return "instructions"
        case .background: return "background"
        case .text: return "text"
        case .inputIDs: return "input_ids"
        case .inputs: return "inputs"
        case .textInput: return "text_input"
        case .stream: return "stream"
        case .streamOptions: return "stream_options"
        case .includeUsage: return "stream_options.include_usage"
        case .continuousUsage: return "stream_options.continuous_usage_stats"
        case .maxTokens: return "max_tokens"
        case .maxCompletionTokens: return "max_completion_tokens"
        case .predicted: return "n_predict"
        case .minTokens: return "min_tokens"
        case .ignoreEOS: return "ignore_eos"
        case .choices: return "n"
        case .bestOf: return "best_of"
        case .parallelChoices: return "n_cmpl"
        case .maxOutputTokens: return "max_output_tokens"
        case .maxNewTokens: return "max_new_tokens"
        case .numPredict: return "num_predict"
        case .minNewTokens: return "min_new_tokens"
        case .parameters: return "parameters"
        case .samplingParameters: return "sampling_params"
        case .options: return "options"
        case .generationConfig: return "generation_config"
        case .extraBody: return "extra_body"
        case .kvTransfer: return "kv_transfer_params"
        case .priority: return "priority"
        case .requestID: return "request_id"
        case .rid: return "rid"
        case .slot: return "id_slot"
        case .bootstrapHost: return "bootstrap_host"
        case .bootstrapPort: return "bootstrap_port"
        case .bootstrapRoom: return "bootstrap_room"
        case .dataParallelRank: return "data_parallel_rank"
        case .disaggregated: return "disaggregated_params"
        case .extraArguments: return "vllm_xargs"
        case .extraKVTransfer: return "vllm_xargs.kv_transfer_params"
        }
    }

    /// The member of a body's top level that `key` names, however it is spelled.
    static func find(_ key: JSONString, in body: RawSpan) -> Member? {
        var candidates = topLevel
        if !key.isEscaped {
            guard key.range.count < byLength.count else { return nil }
            candidates = byLength[key.range.count]
        }
        while candidates != 0 {
            let member = Member(rawValue: UInt8(candidates.trailingZeroBitCount))
            if let member, key.equals(member.name, in: body) { return member }
            candidates &= candidates - 1
        }
        return nil
    }

    /// One bit a member: all but the members of members.
    private static let topLevel: UInt64 = 2 << UInt64(extraArguments.rawValue) - 1

    /// By the length of the name, one bit a member: a key of another length is not even compared.
    private static let byLength: [32 of UInt64] = {
        var table = [32 of UInt64](repeating: 0)
        for member in allCases where topLevel & 1 << UInt64(member.rawValue) != 0 {
            table[member.name.utf8CodeUnitCount] |= 1 << UInt64(member.rawValue)
        }
        return table
    }()

    /// What a second occurrence in the same body means.
    enum Repetition {
        /// Engines disagree about too much: refused.
        case refused
        /// The last one counts; the others are removed.
        case lastWins
        /// Nothing that we read.
        case ignored
    }

    var repetition: Repetition {
        switch self {
        case .model, .messages, .prompt, .input: return .refused
        case .tools, .functions, .documents, .suffix, .system, .instructions, .background,
            .text, .inputIDs, .inputs, .textInput, .extraArguments, .parameters,
            .samplingParameters, .options, .generationConfig,
            .extraBody:
            return .ignored
        default: return .lastWins
        }
    }

    /// Never forwarded.
    var isInternal: Bool {
        switch self {
        case .kvTransfer, .priority, .requestID, .rid, .slot, .bootstrapHost, .bootstrapPort,
            .bootstrapRoom, .dataParallelRank, .disaggregated:
            return true
        default: return false
        }
    }

    /// It bounds the output, or forces some, by whatever name.
    var isBound: Bool {
        switch self {
        case .maxTokens, .maxCompletionTokens, .predicted, .minTokens, .maxOutputTokens,
            .maxNewTokens, .numPredict, .minNewTokens:
            return true
        default: return false
        }
    }

    /// It forces output.
    var isLeast: Bool { self == .minTokens || self == .minNewTokens }

    /// Whether an edit may touch it, so that its place is kept.
    var isEdited: Bool { self == .model || repetition == .lastWins }
}
