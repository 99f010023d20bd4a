// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// What stands in one JSON answer, or in one chunk of a streamed one, of the OpenAI dialects.
struct AnswerChunk {
    /// Elements of `choices`.
    var choices = 0
    /// Choices with text, reasoning or a tool call.
    var produced = 0
    var hasRole = false
    var finishes = false
    var isError = false
    /// `error` is an object, as SDKs expect it.
    var errorIsObject = false
    /// Where else its text stands: `error` itself, or `message` beside it.
    var errorText: Range<Int>?
    /// The last usage that is an object.
    var usage: Usage?
    /// `usage` members, `null` ones included.
    var usages = 0
    /// The last of them is an object.
    var usageIsObject = false
    /// The `usage` member with one of the commas beside it.
    var usageCut = 0..<0

    /// Reads it whole: what stands in its texts cannot pass for structure. Where choices do not
    /// matter, they are passed over.
    mutating func read(_ text: RawSpan, choices: Bool = true) throws(JSONFault) {
        var scanner = JSONScanner()
        guard try scanner.next(in: text).isObject else { throw .malformed(at: 0) }
        var previousEnd = scanner.offset
        var isFirst = true
        // Set while the first member is the usage: the cut then ends where the second begins.
        var cutsToNext = false
        while case .key(let name) = try scanner.next(in: text) {
            let key = scanner.tokenStart
            if cutsToNext {
                usageCut = usageCut.lowerBound..<key
                cutsToNext = false
            }
            switch AnswerMember.find(name, in: text) {
            case .choices:
                if choices {
                    try readChoices(&scanner, text)
                } else {
                    try scanner.passOverValue(in: text)
                }
            case .usage:
                try readUsage(&scanner, text)
                usages += 1
                usageCut = (isFirst ? key : previousEnd)..<scanner.offset
                cutsToNext = isFirst
            case .error:
                let token = try scanner.next(in: text)
                if !token.isNull { isError = true }
                errorIsObject = token.isObject
                if case .string(let message) = token { errorText = message.range }
                try scanner.skip(token, in: text)
            case .message:
                let token = try scanner.next(in: text)
                if case .string(let message) = token, errorText == nil {
                    errorText = message.range
                }
                try scanner.skip(token, in: text)
            case .object:
                let token = try scanner.next(in: text)
                // vLLM's older form, without a member `error`.
                if case .string(let kind) = token, kind.equals("error", in: text) { isError = true }
                try scanner.skip(token, in: text)
            case .other: try scanner.skipValue(in: text)
            }
            previousEnd = scanner.offset
            isFirst = false
        }
        _ = try scanner.next(in: text)
    }

    private mutating func readUsage(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        let token = try scanner.next(in: text)
        usageIsObject = token.isObject
        guard usageIsObject else { return try scanner.skip(token, in: text) }
        if let found = try UsageReader.read(&scanner, text) { usage = found }
    }

    private mutating func readChoices(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        let token = try scanner.next(in: text)
        guard token.isArray else { return try scanner.skip(token, in: text) }
        while true {
            let element = try scanner.next(in: text)
            if element.isArrayEnd { return }
            choices += 1
            guard element.isObject else {
                try scanner.skip(element, in: text)
                continue
            }
            if try readChoice(&scanner, text) { produced += 1 }
        }
    }

    /// Whether it has something for the client to read.
    private mutating func readChoice(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> Bool {
        var produces = false
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("delta", in: text), token.isObject {
                if try readDelta(&scanner, text) { produces = true }
                continue
            }
            if case .string(let value) = token {
                if name.equals("text", in: text), !value.isEmpty { produces = true }
                if name.equals("finish_reason", in: text) { finishes = true }
            }
            try scanner.skip(token, in: text)
        }
        return produces
    }

    private mutating func readDelta(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> Bool {
        var produces = false
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            let start = scanner.offset
            try scanner.skip(token, in: text)
            switch token {
            case .string(let value):
                if name.equals("role", in: text) {
                    hasRole = true
                } else if !value.isEmpty {
                    produces = true
                }
            // `tool_calls` and `function_call`; an empty one has nothing but its bracket behind
            // `start`.
            case .beginArray, .beginObject:
                if scanner.offset > start + 1 { produces = true }
            default: break
            }
        }
        return produces
    }
}

/// The members of an answer's top level that are read.
private enum AnswerMember {
    case choices
    case usage
    case error
    case object
    case message
    case other

    static func find(_ key: JSONString, in text: RawSpan) -> AnswerMember {
        // Most members are none of these, and say so by their length.
        if !key.isEscaped, !(5...7).contains(key.range.count) { return .other }
        if key.equals("choices", in: text) { return .choices }
        if key.equals("usage", in: text) { return .usage }
        if key.equals("object", in: text) { return .object }
        if key.equals("message", in: text) { return .message }
        if key.equals("error", in: text) { return .error }
        return .other
    }
}

/// Reads the object behind `usage`.
enum UsageReader {
    /// Up to the object's end; nil without a count of the prompt. Counts beyond reason are no
    /// counts.
    static func read(_ scanner: inout JSONScanner, _ text: RawSpan) throws(JSONFault) -> Usage? {
        var input: Int?
        var usage = Usage(input: .zero, output: .zero)
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("prompt_tokens", in: text) {
                input = count(token, text)
            } else if name.equals("completion_tokens", in: text) {
                usage.output = Tokens(count(token, text) ?? 0)
            } else if name.equals("prompt_tokens_details", in: text), token.isObject {
                usage.cachedInput = try detail("cached_tokens", &scanner, text)
                continue
            } else if name.equals("completion_tokens_details", in: text), token.isObject {
                usage.reasoning = try detail("reasoning_tokens", &scanner, text)
                continue
            }
            try scanner.skip(token, in: text)
        }
        guard let input else { return nil }
        usage.input = Tokens(input)
        usage.cachedInput = min(usage.cachedInput, usage.input)
        usage.reasoning = min(usage.reasoning, usage.output)
        return usage
    }

    static func detail(
        _ wanted: StaticString, _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> Tokens {
        var found = 0
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals(wanted, in: text) { found = count(token, text) ?? 0 }
            try scanner.skip(token, in: text)
        }
        return Tokens(found)
    }

    static func count(_ token: JSONToken, _ text: RawSpan) -> Int? {
        guard case .number(let digits) = token,
            case .whole(let value) = JSONNumber(digits, in: text), value >= 0,
            value <= Inspection.maxBound
        else { return nil }
        return value
    }
}
