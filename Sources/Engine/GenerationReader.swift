// SPDX-License-Identifier: Apache-2.0

import Simulation
import Units
import Wire

/// Reads a request's body as vLLM does: unknown members are passed over, of a repeated one the last
/// counts, whole numbers may be spelled as strings or with a zero fraction.
struct GenerationReader {
    private var scanner = JSONScanner()
    private var found: GenerationRequest
    private var hasPrompt = false
    /// Of a chat: its texts are one prompt, wherever they stand.
    private var chat: WordTokenizer?
    /// Prompts longer than this need no more hashes: they will be refused.
    private let maxHashes: Int
    /// OpenAI's limit for embeddings.
    private static let maxPrompts = 2_048

    static func read(
        _ body: RawSpan, as kind: GenerationRequest.Kind, context: Tokens
    ) throws(RequestFault) -> GenerationRequest {
        var reader = GenerationReader(kind, context)
        try reader.readObject(body)
        return reader.found
    }

    private init(_ kind: GenerationRequest.Kind, _ context: Tokens) {
        found = GenerationRequest(kind)
        maxHashes = context.count / WordTokenizer.hashUnit.count
    }

    private var promptMember: StaticText {
        switch found.kind {
        case .chat, .messages: "messages"
        case .completions: "prompt"
        case .embeddings, .responses: "input"
        }
    }

    private mutating func readObject(_ body: RawSpan) throws(RequestFault) {
        guard body.byteCount > 0 else { throw .emptyBody }
        guard try next(body) == .beginObject else { throw .notObject }
        while case .key(let name) = try next(body) { try readMember(name, body) }
        guard try next(body) == .end else { throw .notJSON(at: scanner.offset) }
        guard hasPrompt else { throw .missing(promptMember) }
        if found.kind == .messages, found.maxTokens == nil { throw .missing("max_tokens") }
        if let chat { found.prompts = [prompt(chat)] }
    }

    private mutating func readMember(_ name: JSONString, _ body: RawSpan) throws(RequestFault) {
        let token = try next(body)
        if name.equals(promptMember.literal, in: body) {
            found.prompts = []
            hasPrompt = true
            switch (found.kind, token) {
            case (.chat, _), (.messages, _), (.responses, .beginArray):
                return try readMessages(token, body)
            case (.responses, .string):
                return try readText(token, body)
            default: return try readPrompts(token, body)
            }
        }
        switch Member.find(name, in: body) {
        case .model: found.model = try string("model", token, body)
        case .system where found.kind == .messages,
            .instructions where found.kind == .responses:
            try readText(token, body)
        case .system, .instructions: try skip(token, body)
        case .maxOutputTokens where found.kind == .responses:
            found.maxTokens = try whole("max_output_tokens", token, body)
        case .maxTokens where found.kind == .responses: try skip(token, body)
        case .maxOutputTokens: try skip(token, body)
        case .maxTokens: found.maxTokens = try whole("max_tokens", token, body)
        case .maxCompletionTokens:
            found.maxCompletionTokens = try whole("max_completion_tokens", token, body)
        case .minTokens: found.minTokens = max(0, try whole("min_tokens", token, body) ?? 0)
        case .ownLength: found.ownLength = try whole("simulated_output", token, body)
        case .choices: found.choices = try whole("n", token, body) ?? 1
        case .seed: found.seed = try whole("seed", token, body)
        case .stream: found.isStream = try flag("stream", token, body)
        case .ignoresEnd: found.ignoresEnd = try flag("ignore_eos", token, body)
        case .streamOptions: try readStreamOptions(token, body)
        case .vectorFormat:
            let text = try string("encoding_format", token, body)
            found.vectorFormat = text == "base64" ? .base64 : .numbers
        case nil: try skip(token, body)
        }
    }

    private mutating func readStreamOptions(
        _ token: JSONToken, _ body: RawSpan
    ) throws(RequestFault) {
        found.includeUsage = false
        found.continuousUsage = false
        if token == .null { return }
        guard token == .beginObject else {
            throw .wrongType("stream_options", .object, input: input(token, body))
        }
        while case .key(let name) = try next(body) {
            let value = try next(body)
            if name.equals("include_usage", in: body) {
                found.includeUsage = try flag("stream_options.include_usage", value, body)
            } else if name.equals("continuous_usage_stats", in: body) {
                found.continuousUsage = try flag(
                    "stream_options.continuous_usage_stats", value, body)
            } else {
                try skip(value, body)
            }
        }
    }

    // MARK: prompts

    /// All texts of all messages are one prompt; roles and templates cost nothing here.
    private mutating func readMessages(
        _ token: JSONToken, _ body: RawSpan
    ) throws(RequestFault) {
        guard token == .beginArray else {
            throw .wrongType("messages", .list, input: input(token, body))
        }
        var tokenizer = chat ?? WordTokenizer(maxHashes: maxHashes)
        while true {
            let element = try next(body)
            if element == .endArray { break }
            guard element == .beginObject else {
                throw .wrongType("messages", .object, input: input(element, body))
            }
            while case .key(let name) = try next(body) {
                let value = try next(body)
                if name.equals("content", in: body) {
                    try readContent(value, body, &tokenizer)
                } else {
                    try skip(value, body)
                }
            }
        }
        chat = tokenizer
    }

    /// A text of a chat that stands outside of its messages.
    private mutating func readText(_ token: JSONToken, _ body: RawSpan) throws(RequestFault) {
        var tokenizer = chat ?? WordTokenizer(maxHashes: maxHashes)
        try readContent(token, body, &tokenizer)
        chat = tokenizer
    }

    /// A text, nothing, or an array of parts of which the texts count.
    private mutating func readContent(
        _ token: JSONToken, _ body: RawSpan, _ tokenizer: inout WordTokenizer
    ) throws(RequestFault) {
        switch token {
        case .string(let text):
            tokenizer.boundary()
            text.feed(&tokenizer, from: body)
        case .null: return
        case .beginArray:
            while true {
                let element = try next(body)
                if element == .endArray { return }
                guard element == .beginObject else {
                    throw .wrongType("messages.content", .object, input: input(element, body))
                }
                while case .key(let name) = try next(body) {
                    let value = try next(body)
                    if case .string(let text) = value, name.equals("text", in: body) {
                        tokenizer.boundary()
                        text.feed(&tokenizer, from: body)
                    } else {
                        try skip(value, body)
                    }
                }
            }
        default: throw .wrongType("messages.content", .text, input: input(token, body))
        }
    }

    /// A text, token numbers, or an array of either.
    private mutating func readPrompts(_ token: JSONToken, _ body: RawSpan) throws(RequestFault) {
        switch token {
        case .string(let text): try take(text, body)
        case .beginArray:
            var numbers: WordTokenizer?
            elements: while true {
                let element = try next(body)
                switch element {
                case .endArray: break elements
                case .string(let text) where numbers == nil: try take(text, body)
                case .number where found.prompts.isEmpty:
                    var tokenizer = numbers ?? WordTokenizer(maxHashes: maxHashes)
                    tokenizer.feed(tokenNumber: try number(element, body))
                    numbers = tokenizer
                case .beginArray where numbers == nil: try readNumbers(body)
                default: throw .wrongType(promptMember, .text, input: input(element, body))
                }
            }
            if let numbers { found.prompts = [prompt(numbers)] }
            if found.prompts.isEmpty {
                throw .wrongType(promptMember, .text, input: "[]")
            }
        default: throw .wrongType(promptMember, .text, input: input(token, body))
        }
    }

    private mutating func readNumbers(_ body: RawSpan) throws(RequestFault) {
        var tokenizer = WordTokenizer(maxHashes: maxHashes)
        while true {
            let element = try next(body)
            if element == .endArray { break }
            tokenizer.feed(tokenNumber: try number(element, body))
        }
        try add(tokenizer)
    }

    private mutating func take(_ text: JSONString, _ body: RawSpan) throws(RequestFault) {
        var tokenizer = WordTokenizer(maxHashes: maxHashes)
        text.feed(&tokenizer, from: body)
        try add(tokenizer)
    }

    private mutating func add(_ tokenizer: WordTokenizer) throws(RequestFault) {
        guard found.prompts.count < Self.maxPrompts else {
            throw .tooManyPrompts(limit: Self.maxPrompts)
        }
        found.prompts.append(prompt(tokenizer))
    }

    /// An empty prompt is one token, as its beginning mark would be.
    private func prompt(_ tokenizer: WordTokenizer) -> GenerationRequest.Prompt {
        GenerationRequest.Prompt(
            tokens: max(tokenizer.count, Tokens(1)), hashes: tokenizer.hashes,
            digest: tokenizer.digest)
    }
}

// MARK: values

extension GenerationReader {
    private enum Member {
        case model, maxTokens, maxCompletionTokens, minTokens, choices, seed, stream
        case ownLength
        case ignoresEnd, streamOptions, vectorFormat
        case system, instructions, maxOutputTokens

        static func find(_ name: JSONString, in body: RawSpan) -> Member? {
            let all: [(StaticString, Member)] = [
                ("model", .model), ("max_tokens", .maxTokens),
                ("max_completion_tokens", .maxCompletionTokens), ("min_tokens", .minTokens),
                ("n", .choices), ("seed", .seed), ("stream", .stream),
                ("ignore_eos", .ignoresEnd), ("stream_options", .streamOptions),
                ("encoding_format", .vectorFormat), ("simulated_output", .ownLength),
                ("system", .system), ("instructions", .instructions),
                ("max_output_tokens", .maxOutputTokens),
            ]
            return all.first { name.equals($0.0, in: body) }?.1
        }
    }

    private mutating func next(_ body: RawSpan) throws(RequestFault) -> JSONToken {
        do throws(JSONFault) {
            return try scanner.next(in: body)
        } catch {
            throw .notJSON(at: scanner.offset)
        }
    }

    private mutating func skip(_ token: JSONToken, _ body: RawSpan) throws(RequestFault) {
        do throws(JSONFault) {
            try scanner.skip(token, in: body)
        } catch {
            throw .notJSON(at: scanner.offset)
        }
    }

    private func whole(
        _ name: StaticText, _ token: JSONToken, _ body: RawSpan
    ) throws(RequestFault) -> Int? {
        switch token {
        case .null: return nil
        case .bool(let value): return value ? 1 : 0
        case .number(let range):
            switch JSONNumber(range, in: body) {
            case .whole(let value): return value
            case .tooLarge: return Int.max
            case .fractional: throw .wrongType(name, .wholeNumber, input: input(token, body))
            }
        case .string(let text):
            let value = Int(trimming: text.string(in: body))
            guard let value else { throw .wrongType(name, .integerText, input: input(token, body)) }
            return value
        default: throw .wrongType(name, .integer, input: input(token, body))
        }
    }

    private func number(_ token: JSONToken, _ body: RawSpan) throws(RequestFault) -> Int {
        guard case .number(let range) = token, case .whole(let value) = JSONNumber(range, in: body)
        else { throw .wrongType(promptMember, .integer, input: input(token, body)) }
        return value
    }

    private func flag(
        _ name: StaticText, _ token: JSONToken, _ body: RawSpan
    ) throws(RequestFault) -> Bool {
        switch token {
        case .null: return false
        case .bool(let value): return value
        default: throw .wrongType(name, .boolean, input: input(token, body))
        }
    }

    private func string(
        _ name: StaticText, _ token: JSONToken, _ body: RawSpan
    ) throws(RequestFault) -> String? {
        switch token {
        case .null: return nil
        case .string(let text): return text.string(in: body)
        default: throw .wrongType(name, .text, input: input(token, body))
        }
    }

    /// A short echo of what was found.
    private func input(_ token: JSONToken, _ body: RawSpan) -> String {
        switch token {
        case .beginObject: "<dict>"
        case .beginArray: "<list>"
        case .null: "None"
        case .bool(let value): value ? "True" : "False"
        case .number(let range): body.text(range.prefix(32))
        case .string(let text): String(text.string(in: body).prefix(32))
        default: ""
        }
    }
}

extension Int {
    /// Digits with an optional sign, and white space around them, as Python's `int` takes them.
    fileprivate init?(trimming text: String) {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        self.init(rest)
    }
}
