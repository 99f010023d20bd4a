// SPDX-License-Identifier: Apache-2.0

import Estimation
import Testing
import Units

struct PromptEstimateTests {
    @Test(arguments: [
        (PromptEstimate(text: Tokens(100), messages: 3), 123),
        (PromptEstimate(text: Tokens(100), messages: 1, tools: Tokens(50)), 243),
        (PromptEstimate(text: Tokens(0), messages: 1, images: 2), 2_573),
        (PromptEstimate(text: Tokens(40)), 40), (PromptEstimate(text: Tokens(0), ids: 300), 300),
        (PromptEstimate(text: Tokens(0)), 1),
    ])
    func aPromptIsItsTextsAndWhatTheTemplateAdds(estimate: PromptEstimate, tokens: Int) {
        #expect(estimate.tokens == Tokens(tokens))
    }
}
