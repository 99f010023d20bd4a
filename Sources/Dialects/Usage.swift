// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// What an engine says that an answer took.
public struct Usage: Sendable, Equatable {
    /// All prompt tokens, cached ones included.
    public var input: Tokens
    /// The part of `input` that a prefix cache had; at most all of it.
    public var cachedInput: Tokens
    /// All generated tokens, reasoning included.
    public var output: Tokens
    /// The part of `output` that was thought, not said; at most all of it.
    public var reasoning: Tokens

    /// Parts that are not given are nothing.
    public init(
        input: Tokens, cachedInput: Tokens = .zero, output: Tokens, reasoning: Tokens = .zero
    ) {
        self.input = input
        self.cachedInput = cachedInput
        self.output = output
        self.reasoning = reasoning
    }
}

/// What one usage object speaks of.
public enum UsageScope: Sendable, Equatable {
    /// All choices of the request.
    case answer
    /// One choice: llama.cpp gives the first one's in an answer, and one object a choice in a
    /// stream. `perPrompt` is how many choices share a prompt, at least 1.
    case choice(perPrompt: Int)
}

/// The usage in a complete JSON answer; nil when it has none that makes sense, or is not JSON but
/// for what stands in its choices.
///
/// Where the object speaks of the first choice alone, it is taken for each of them.
public func usage(inAnswer body: RawSpan, of dialect: Dialect, scope: UsageScope) -> Usage? {
    if dialect == .messages || dialect == .responses {
        var answer = TypedEvent()
        do { try answer.read(body) } catch { return nil }
        return answer.usage
    }
    if dialect.isNative {
        var answer = NativeAnswer()
        do { try answer.read(body) } catch { return nil }
        return answer.usage
    }
    var chunk = AnswerChunk()
    do { try chunk.read(body, choices: scope != .answer) } catch { return nil }
    guard var usage = chunk.usage else { return nil }
    if case .choice(let perPrompt) = scope {
        let choices = max(chunk.choices, 1)
        let prompts = max(choices / max(perPrompt, 1), 1)
        usage.input = Tokens(usage.input.count * prompts)
        usage.cachedInput = Tokens(usage.cachedInput.count * prompts)
        usage.output = Tokens(usage.output.count * choices)
        usage.reasoning = Tokens(usage.reasoning.count * choices)
    }
    return usage
}
