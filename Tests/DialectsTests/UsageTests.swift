// SPDX-License-Identifier: Apache-2.0

import Dialects
import TestSupport
import Testing
import Units

private func found(_ text: String, _ scope: UsageScope = .answer) -> Usage? {
    Array(text.utf8).withRaw { usage(inAnswer: $0, of: .chatCompletions, scope: scope) }
}

struct UsageTests {
    @Test func anAnswerOfVLLMSaysWhatItTook() {
        let answer = Fixture("vllm/chat_nonstream_cached2").body
        let taken = answer.withRaw { usage(inAnswer: $0, of: .chatCompletions, scope: .answer) }
        #expect(taken == Usage(input: Tokens(328), cachedInput: Tokens(256), output: Tokens(12)))
    }

    @Test func severalPromptsAndChoicesOfVLLMAreOneUsage() {
        let answer = Fixture("vllm/completions_prompt_array_n2").body
        let taken = answer.withRaw { usage(inAnswer: $0, of: .chatCompletions, scope: .answer) }
        #expect(taken == Usage(input: Tokens(8), output: Tokens(32)))
    }

    @Test func theUsageOfLlamaCppIsTakenForEachChoice() {
        let answer = Fixture("llamacpp/chat_n2").body
        let taken = answer.withRaw {
            usage(inAnswer: $0, of: .chatCompletions, scope: .choice(perPrompt: 2))
        }
        #expect(taken == Usage(input: Tokens(36), cachedInput: Tokens(35), output: Tokens(24)))
    }

    @Test func manyChoicesOfTheLargestUsageAreHarmless() {
        let choices = Array(repeating: "{}", count: 100_000).joined(separator: ",")
        let answer = #"{"choices":[\#(choices)],"usage":{"prompt_tokens":2147483647}}"#
        #expect(found(answer, .choice(perPrompt: 1))?.input == Tokens(2_147_483_647 * 100_000))
    }

    @Test func reasoningIsPartOfTheOutput() {
        let answer = #"""
            {"choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":40,
            "completion_tokens_details":{"reasoning_tokens":30,"x":[1]}}}
            """#
        #expect(
            found(answer) == Usage(input: Tokens(5), output: Tokens(40), reasoning: Tokens(30)))
    }

    @Test func embeddingsHaveNoOutput() {
        let answer =
            #"{"data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":9,"total_tokens":9}}"#
        #expect(found(answer) == Usage(input: Tokens(9), output: .zero))
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"usage":null}"#, #"{"usage":{}}"#, #"{"usage":{"completion_tokens":3}}"#,
        #"{"usage":{"prompt_tokens":-1}}"#, #"{"usage":{"prompt_tokens":1.5}}"#,
        #"{"usage":{"prompt_tokens":1e30}}"#, #"{"usage":{"prompt_tokens":2147483648}}"#,
        #"{"usage":{"prompt_tokens":"7"}}"#,
        #"{"choices":[{"usage":{"prompt_tokens":7}}]}"#, #"{"usage":{"prompt_tokens":7}"#,
        #"{"text":"\"usage\":{\"prompt_tokens\":7}"}"#, #"{"detail":"Not Found"}"#,
    ])
    func whatMakesNoSenseIsNoUsage(text: String) {
        #expect(found(text) == nil)
    }

    @Test func partsAreNeverLargerThanTheWhole() {
        let answer = #"""
            {"usage":{"prompt_tokens":5,"completion_tokens":4,
            "prompt_tokens_details":{"cached_tokens":50},
            "completion_tokens_details":{"reasoning_tokens":40}}}
            """#
        let usage = found(answer)
        #expect(usage?.cachedInput == Tokens(5))
        #expect(usage?.reasoning == Tokens(4))
    }
}
