// SPDX-License-Identifier: Apache-2.0

/// Tokenizers that count alike: each has a table of what texts cost in it.
public enum TokenizerFamily: String, Sendable, CaseIterable {
    case llama3, qwen2, gpt2, falcon
    case commandR = "command_r"
    case deepseekV3 = "deepseek_v3"
    case claude, cl100k, o200k
    /// The SentencePiece vocabulary of Llama 2, which Mistral's and Phi-3's first models share.
    case llama2

    /// The first pattern that a model's name holds decides. A vocabulary that has no table is
    /// taken for the one that is nearest to it.
    private static let patterns: [(String, TokenizerFamily)] = [
        ("llama-2", .llama2), ("llama2", .llama2), ("codellama", .llama2), ("vicuna", .llama2),
        ("tinyllama", .llama2), ("zephyr", .llama2), ("phi-3", .llama2), ("phi3", .llama2),
        ("mistral-nemo", .llama3), ("mistral-small", .llama3), ("mistral-large", .llama3),
        ("mistral-7b", .llama2), ("mixtral", .llama2),
        ("deepseek-r1-distill-qwen", .qwen2), ("deepseek-r1-distill-llama", .llama3),
        ("deepseek", .deepseekV3),
        ("llama", .llama3), ("hermes", .llama3),
        ("qwen", .qwen2), ("qwq", .qwen2),
        ("gpt-oss", .o200k), ("gpt-4o", .o200k), ("gpt-4.1", .o200k), ("gpt-4.5", .o200k),
        ("gpt-5", .o200k), ("chatgpt-4o", .o200k), ("kimi", .o200k), ("glm", .o200k),
        ("gpt-4", .cl100k), ("gpt-3.5", .cl100k), ("text-embedding-", .cl100k),
        ("phi-4", .cl100k),
        ("gpt2", .gpt2), ("gpt-2", .gpt2), ("opt-", .gpt2),
        ("falcon", .falcon), ("command", .commandR), ("c4ai", .commandR), ("aya-", .commandR),
        ("claude", .claude),
    ]

    /// What a name tells: its own family, or Llama 3's where it tells nothing, of which the ratio
    /// that is learnt from reported usage absorbs the rest.
    public init(model name: String) {
        let name = name.lowercased()
        if let found = TokenizerFamily.patterns.first(where: { name.contains($0.0) }) {
            self = found.1
        } else if name.hasPrefix("o1") || name.hasPrefix("o3") || name.hasPrefix("o4") {
            self = .o200k
        } else {
            self = .llama3
        }
    }
}
