// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a prompt will cost before the engine has said: its texts and what the template puts around
/// them.
///
/// The constants are those of vendors' chat templates: about 5 tokens a message and 8 once, about
/// 80 once where tools are declared, and for an image of unknown size what Qwen-type models take at
/// most.
public struct PromptEstimate: Sendable, Equatable {
    /// Tokens that a template puts around each message.
    public static let perMessage = 5
    /// Tokens that a template puts around the whole chat.
    public static let base = 8
    /// Tokens of the instructions that come with declared tools.
    public static let toolsOnce = 80
    /// Tokens of an image whose size is not known.
    public static let perImage = 1_280

    /// The contents.
    public var text: Tokens
    /// Messages of a chat; 0 for a bare prompt, which has no template.
    public var messages: Int
    /// The compact JSON of the declared tools; nil without any.
    public var tools: Tokens?
    /// Images and other media whose size is not known.
    public var images: Int
    /// Tokens of media whose size is known.
    public var media: Int
    /// Tokens that the client sent as ids: exact.
    public var ids: Int

    /// Parts that are not given are not there.
    public init(
        text: Tokens, messages: Int = 0, tools: Tokens? = nil, images: Int = 0, media: Int = 0,
        ids: Int = 0
    ) {
        self.text = text
        self.messages = messages
        self.tools = tools
        self.images = images
        self.media = media
        self.ids = ids
    }

    /// What is no text: template, media, ids. No ratio of texts applies to it.
    public var fixed: Tokens {
        var count = ids + media + images * PromptEstimate.perImage
        if messages > 0 { count += messages * PromptEstimate.perMessage + PromptEstimate.base }
        if tools != nil { count += PromptEstimate.toolsOnce }
        return Tokens(count)
    }

    /// All of it, at least 1.
    public var tokens: Tokens {
        let count = text.count + (tools?.count ?? 0) + fixed.count
        return Tokens(max(count, 1))
    }
}
