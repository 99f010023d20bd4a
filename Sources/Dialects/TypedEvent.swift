// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// What stands in one event of a stream whose events have a type, or in one whole answer of these
/// dialects: Anthropic's messages and OpenAI's responses.
struct TypedEvent {
    enum Kind {
        case messageStart
        case blockStart
        case blockStop
        /// Something for the client to read, if `produces`.
        case delta
        case messageDelta
        case messageStop
        /// A response that is complete, or was cut at its bound.
        case responseEnd
        case error
        case other
    }

    private(set) var kind = Kind.other
    /// It has text, thoughts or a piece of a call.
    private(set) var produces = false
    /// It says why the answer ends.
    private(set) var finishes = false
    /// Of the block that it speaks of.
    private(set) var index: Int?
    /// Of the event, in responses.
    private(set) var sequence: Int?
    /// Of the answer, between its quotes.
    private(set) var id: JSONString?
    private(set) var usage: Usage?
    /// An error without its type, which SDKs do not take for one.
    private(set) var isForeignError = false
    /// Where the text of such an error stands.
    private(set) var errorText: Range<Int>?
    private var hasDelta = false
    private var isError = false

    /// Reads it whole: what stands in its texts cannot pass for structure.
    mutating func read(_ text: RawSpan) throws(JSONFault) {
        var scanner = JSONScanner()
        guard try scanner.next(in: text).isObject else { throw .malformed(at: 0) }
        var type: JSONString?
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("type", in: text) {
                if case .string(let value) = token { type = value }
            } else if name.equals("delta", in: text) {
                try readDelta(token, &scanner, text)
                continue
            } else if name.equals("usage", in: text), token.isObject {
                usage = try UsageReader.readTyped(&scanner, text)
                continue
            } else if token.isObject,
                name.equals("message", in: text)
                    || name.equals("response", in: text)
            {
                try readAnswer(&scanner, text)
                continue
            } else if name.equals("error", in: text) {
                isError = !token.isNull
                if case .string(let value) = token { errorText = value.range }
            } else if name.equals("message", in: text), case .string(let value) = token {
                errorText = value.range
            } else if name.equals("object", in: text), case .string(let value) = token {
                if value.equals("error", in: text) { isError = true }
            } else if name.equals("index", in: text) {
                index = UsageReader.count(token, text)
            } else if name.equals("sequence_number", in: text) {
                sequence = UsageReader.count(token, text)
            } else if name.equals("id", in: text), case .string(let value) = token {
                id = value
            }
            try scanner.skip(token, in: text)
        }
        _ = try scanner.next(in: text)
        conclude(type, text)
    }

    /// `message` of a stream's first event, `response` of several.
    private mutating func readAnswer(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("usage", in: text), token.isObject {
                usage = try UsageReader.readTyped(&scanner, text)
                continue
            }
            if name.equals("id", in: text), case .string(let value) = token { id = value }
            try scanner.skip(token, in: text)
        }
    }

    /// A text in responses, an object in messages.
    private mutating func readDelta(
        _ token: JSONToken, _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        if case .string(let value) = token { hasDelta = !value.isEmpty }
        guard token.isObject else { return try scanner.skip(token, in: text) }
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if case .string(let value) = token, !value.isEmpty {
                if name.equals("text", in: text) || name.equals("thinking", in: text)
                    || name.equals("partial_json", in: text)
                {
                    hasDelta = true
                }
                if name.equals("stop_reason", in: text) { finishes = true }
            }
            try scanner.skip(token, in: text)
        }
    }

    private static let kinds: [(StaticString, Kind)] = [
        ("content_block_delta", .delta), ("message_start", .messageStart),
        ("content_block_start", .blockStart), ("content_block_stop", .blockStop),
        ("message_delta", .messageDelta), ("message_stop", .messageStop), ("error", .error),
        ("response.completed", .responseEnd), ("response.incomplete", .responseEnd),
        ("response.failed", .error),
    ]

    private mutating func conclude(_ type: JSONString?, _ text: RawSpan) {
        if let type {
            if let known = TypedEvent.kinds.first(where: { type.equals($0.0, in: text) }) {
                kind = known.1
            } else if hasDelta, !type.isEscaped, type.range.count > 6 {
                // `response.output_text.delta` and its like.
                let suffix = type.range.upperBound - 6..<type.range.upperBound
                if JSONString(range: suffix, isEscaped: false).equals(".delta", in: text) {
                    kind = .delta
                }
            }
        }
        if isError, type == nil {
            kind = .error
            isForeignError = true
        }
        if kind == .responseEnd { finishes = true }
        produces = kind == .delta && hasDelta
    }
}

extension UsageReader {
    /// The usage of messages, whose prompt comes in three parts, or of responses, where it is one
    /// number; nil without either.
    static func readTyped(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> Usage? {
        var usage = Usage(input: .zero, output: .zero)
        var found = false
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("input_tokens_details", in: text), token.isObject {
                usage.cachedInput += try detail("cached_tokens", &scanner, text)
                continue
            } else if name.equals("output_tokens_details", in: text), token.isObject {
                usage.reasoning = try detail("reasoning_tokens", &scanner, text)
                continue
            }
            let value = Tokens(count(token, text) ?? 0)
            if name.equals("input_tokens", in: text) {
                usage.input += value
                found = true
            } else if name.equals("output_tokens", in: text) {
                usage.output = value
                found = true
            } else if name.equals("cache_read_input_tokens", in: text) {
                usage.input += value
                usage.cachedInput += value
            } else if name.equals("cache_creation_input_tokens", in: text) {
                usage.input += value
            }
            try scanner.skip(token, in: text)
        }
        guard found else { return nil }
        usage.cachedInput = min(usage.cachedInput, usage.input)
        usage.reasoning = min(usage.reasoning, usage.output)
        return usage
    }
}
