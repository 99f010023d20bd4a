// SPDX-License-Identifier: Apache-2.0

public import Units
public import Wire

/// How much of a body the inspection puts up with.
public struct InspectionLimits: Sendable {
    /// Nested containers, 1 ... 64.
    public var maxDepth: Int

    /// Out of range, the depth is clamped.
    public init(maxDepth: Int = 64) { self.maxDepth = maxDepth }
}

/// What a body asks for, and where the members stand that an edit may touch.
///
/// One value serves request after request; it allocates only until its memory has the size it
/// needs. Offsets are those of the body that was inspected.
public struct Inspection: Sendable {
    /// The largest bound of an answer that is let through: beyond, engines wrap around.
    public static let maxBound = Int(Int32.max)
    /// The most choices of one prompt.
    public static let maxChoices = 128
    /// Images whose sizes are kept; more are as if their sizes were not known.
    public static let maxSizes = 64
    /// The most messages, or prompts, of a body: beyond, it is no request that anybody means.
    public static let maxElements = 65_536
    /// How often a member whose last occurrence counts may occur: it bounds the places kept.
    static let maxOccurrences = 8
    /// The most bounds within other members whose places are kept.
    static let maxNested = 16

    /// The dialect that the body was read in.
    public internal(set) var dialect = Dialect.chatCompletions
    /// The name as the client spelled it, between its quotes.
    public internal(set) var model = JSONString(range: 0..<0, isEscaped: false)
    /// Whether the answer is to come in pieces.
    public internal(set) var stream = false
    /// Whether `stream_options` is an object.
    public internal(set) var hasStreamOptions = false
    /// The client asked for the usage at the end of its stream.
    public internal(set) var includeUsage = false
    /// The client asked for the usage in every chunk of its stream.
    public internal(set) var continuousUsage = false
    /// The most tokens of one choice: the largest of all spellings; nil without any.
    public internal(set) var bound: Tokens?
    /// The fewest tokens of one choice.
    public internal(set) var minTokens = Tokens.zero
    /// The engine is to go on to the bound, whatever the model says.
    public internal(set) var ignoreEOS = false
    /// Choices of each prompt: the larger of `n` and `best_of`.
    public internal(set) var choicesPerPrompt = 1
    /// Prompts of one body; 1 for a chat.
    public internal(set) var prompts = 1
    /// Messages of a chat, 0 without one.
    public internal(set) var messages = 0
    /// Whether functions are declared.
    public internal(set) var tools = false
    /// Parts with an image whose size is not known.
    public internal(set) var images = 0
    /// Sizes of the images that stand in the body itself, the first `maxSizes` of them.
    public internal(set) var imageSizes: [ImageSize] = []
    /// Of the sounds that stand in the body itself, together.
    public internal(set) var soundSeconds = 0.0
    /// Parts with audio, video or files of which nothing is known.
    public internal(set) var otherMedia = 0
    /// Prompt tokens that were given as ids: exact.
    public internal(set) var promptTokenIDs = 0

    /// Answers that the engine will generate.
    public var choices: Int { choicesPerPrompt * prompts }

    var maxTokens: Int?
    var maxCompletionTokens: Int?
    var predicted: Int?
    var maxOutput: Int?
    /// `max_new_tokens` in the last of the objects that may hold it.
    var maxNew: Int?
    /// Whether there is such an object.
    var hasBoundObject = false
    var count = 1
    var bestOf = 1
    var parallel = 1
    /// Behind the body's opening brace.
    var start = 0
    /// In the order of the body.
    var places: [MemberPlace] = []
    /// Behind the opening brace of `stream_options`; nil when it is null or absent.
    var optionsStart: Int?
    var optionsAreEmpty = true
    /// The value of `include_usage`.
    var includeUsageValue: Range<Int>?

    /// Empty, for `inspect` to fill.
    public init() {}

    /// Forgets all but its memory.
    mutating func begin(_ dialect: Dialect) {
        var fresh = Inspection()
        swap(&fresh.places, &places)
        swap(&fresh.imageSizes, &imageSizes)
        fresh.places.removeAll(keepingCapacity: true)
        fresh.imageSizes.removeAll(keepingCapacity: true)
        self = fresh
        self.dialect = dialect
    }
}

/// Where a member of the top level stands.
struct MemberPlace: Sendable {
    var member: Member
    /// The how-manieth member of the body it is, from 0.
    var index: Int
    /// Behind the value of the member before, or behind the opening brace.
    var previousEnd: Int
    /// The opening quote of its name.
    var key: Int
    var value: Range<Int>
    /// The opening quote of the next member's name, or the end of the value when it is the last.
    var next: Int
    /// A later member of the same name counts instead.
    var isSuperseded = false
    /// It is a member of an object that is one of the top level's: only its value is known.
    var isNested = false
}
