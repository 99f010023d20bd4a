// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// One request that an engine works on: its choices, and how far each of them is.
final class Generation {
    let kind: GenerationRequest.Kind
    let isStream: Bool
    let usage: GenerationRequest.UsageReport
    let vectorFormat: GenerationRequest.VectorFormat
    /// The connection that waits for the answer.
    let server: SlabKey
    let id: String
    /// Seconds since 1970.
    let created: Int
    let promptTokens: Tokens
    let stated: Stated
    private var all: [Choice]
    private var cached = Tokens.zero
    private var hasBegun = false
    private var listed = false
    /// Members that all chunks of a stream begin with, up to the choices.
    let chunkHead: String

    /// What the client asked for, as the engine's metrics tell it.
    struct Stated {
        let choices: Int
        let maxTokens: Int?
    }

    init(
        _ request: GenerationRequest, id: String, created: Int, server: SlabKey, model: String,
        choices: [Choice]
    ) {
        kind = request.kind
        isStream = request.isStream && request.kind != .embeddings
        usage = request.usage
        vectorFormat = request.vectorFormat
        self.server = server
        self.id = id
        self.created = created
        promptTokens = request.promptTokens
        stated = Stated(
            choices: request.choices, maxTokens: request.maxCompletionTokens ?? request.maxTokens)
        all = choices
        let object = request.kind == .chat ? "chat.completion.chunk" : "text_completion"
        chunkHead =
            "data: {\"id\":\"\(id)\",\"object\":\"\(object)\",\"created\":\(created),\"model\":"
            + model + ",\"choices\":["
    }

    var choices: [Choice] {
        get { all }
        _modify { yield &all }
    }
    /// Prompt tokens found in the engine's cache.
    var cachedTokens: Tokens {
        get { cached }
        set { cached = newValue }
    }
    /// The role was told.
    var hasToldRole: Bool {
        get { hasBegun }
        set { hasBegun = newValue }
    }
    /// It is among those that the engine's last advance has touched.
    var isTouched: Bool {
        get { listed }
        set { listed = newValue }
    }

    var isFinished: Bool { all.allSatisfy(\.isFinished) }
    /// Everything made has been written.
    var isToldWhole: Bool { all.allSatisfy { $0.isFinished && $0.told == $0.made } }
    var completionTokens: Int {
        kind == .embeddings ? 0 : all.reduce(0) { $0 + $1.made }
    }
}

@available(*, unavailable)
extension Generation: Sendable {}

/// One answer of a request: a sequence in the engine.
struct Choice {
    let index: Int
    let sequence: SequenceID
    let promptTokens: Tokens
    let text: WordText
    /// The tokens that it will have.
    let output: Int
    /// It was cut at its bound, and did not end by itself.
    let isCut: Bool
    let arrivedAt: Instant
    var admittedAt: Instant?
    var firstAt: Instant?
    var lastAt: Instant
    var made = 0
    /// Tokens written to the client.
    var told = 0
    var preemptions = 0
    var cached = Tokens.zero
    var isFinished = false

    init(
        index: Int, sequence: SequenceID, promptTokens: Tokens, text: WordText, output: Int,
        isCut: Bool, arrivedAt: Instant
    ) {
        self.index = index
        self.sequence = sequence
        self.promptTokens = promptTokens
        self.text = text
        self.output = output
        self.isCut = isCut
        self.arrivedAt = arrivedAt
        lastAt = arrivedAt
    }

    var finishReason: StaticString { isCut ? "length" : "stop" }
}
