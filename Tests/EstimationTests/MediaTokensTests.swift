// SPDX-License-Identifier: Apache-2.0

import Estimation
import Policy
import Testing

@Suite("MediaTokens: images by the rules of those who made the models")
struct MediaTokensTests {
    @Test(arguments: [
        // OpenAI's own examples for gpt-4o.
        (1_024, 1_024, false, TokenizerFamily.o200k, 765), (2_048, 4_096, false, .o200k, 1_105),
        (4_096, 8_192, true, .o200k, 85), (1, 1, false, .o200k, 255),
        // Anthropic's.
        (200, 200, false, .claude, 53), (1_000, 1_000, false, .claude, 1_333),
        (4_000, 4_000, false, .claude, 1_600),
        // Sides to multiples of 28.
        (280, 280, false, .qwen2, 102), (28, 28, false, .llama3, 6),
        (1_000_000, 1_000_000, false, .qwen2, 1_282),
    ])
    func images(width: Int, height: Int, isLow: Bool, family: TokenizerFamily, tokens: Int) {
        #expect(
            MediaTokens.image(width: width, height: height, isLow: isLow, family) == tokens)
    }

    @Test("whatever the sides, no image takes more than one of unknown size, or two tokens more")
    func bounded() {
        for family in TokenizerFamily.allCases {
            for width in [1, 7, 100, 999, 5_000, 1 << 20] {
                for height in [1, 13, 768, 2_000, 1 << 20] {
                    let tokens = MediaTokens.image(
                        width: width, height: height, isLow: false, family)
                    #expect(tokens >= 1 && tokens <= MediaTokens.image(family) + 2)
                }
            }
        }
    }
}
