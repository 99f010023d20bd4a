// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// What stands in one answer, or in one event of a stream, of an engine's own path: SGLang's and
/// TGI's `/generate`, llama.cpp's `/completion`, Triton's generate extension.
///
/// Their members have names of their own, so that one reader serves all of them. SGLang repeats
/// the text and the counts so far in each event; of several prompts or choices each has its own.
struct NativeAnswer {
    /// Text, or a token, for the client to read.
    private(set) var produces = false
    private(set) var finishes = false
    private(set) var isError = false
    /// Where the text of an error stands.
    private(set) var errorText: Range<Int>?
    /// Of the choice that the event is about.
    private(set) var index = 0
    /// Of the prompt, cached tokens included; nil where it is not told.
    private(set) var input: Tokens?
    private(set) var cached = Tokens.zero
    private(set) var output: Tokens?

    /// What it took, where both sides are told.
    var usage: Usage? {
        guard let input, let output else { return nil }
        return Usage(input: input, cachedInput: min(cached, input), output: output)
    }

    /// Reads it whole: one object, or an array of them, which add up.
    mutating func read(_ text: RawSpan) throws(JSONFault) {
        var scanner = JSONScanner()
        let first = try scanner.next(in: text)
        if first.isObject {
            try readObject(&scanner, text)
        } else {
            guard first.isArray else { throw .malformed(at: 0) }
            while true {
                let element = try scanner.next(in: text)
                if element.isArrayEnd { break }
                guard element.isObject else { throw .malformed(at: scanner.offset) }
                var one = NativeAnswer()
                try one.readObject(&scanner, text)
                add(one)
            }
        }
        _ = try scanner.next(in: text)
    }

    private mutating func add(_ other: NativeAnswer) {
        produces = produces || other.produces
        finishes = finishes || other.finishes
        isError = isError || other.isError
        if let more = other.input { input = (input ?? .zero) + more }
        if let more = other.output { output = (output ?? .zero) + more }
        cached += other.cached
    }

    private mutating func readObject(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            switch NativeMember.find(name, in: text) {
            case .text:
                if case .string(let value) = token, !value.isEmpty { produces = true }
            case .token where token.isObject:
                try readToken(&scanner, text)
                continue
            case .details where token.isObject:
                try readDetails(&scanner, text)
                continue
            case .timings where token.isObject:
                try readTimings(&scanner, text)
                continue
            case .error:
                isError = !token.isNull
                if case .string(let value) = token { errorText = value.range }
            case .index: index = UsageReader.count(token, text) ?? 0
            case .stop:
                if case .bool(true) = token { finishes = true }
            case .input: input = UsageReader.count(token, text).map { Tokens($0) }
            case .output: output = UsageReader.count(token, text).map { Tokens($0) }
            default: break
            }
            try scanner.skip(token, in: text)
        }
    }

    /// TGI: what has come last; a special token is not for reading, but it was made.
    private mutating func readToken(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        while case .key = try scanner.next(in: text) { try scanner.skipValue(in: text) }
        produces = true
    }

    /// `meta_info` of SGLang, `details` of TGI.
    private mutating func readDetails(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("prompt_tokens", in: text) || name.equals("input_length", in: text) {
                input = UsageReader.count(token, text).map { Tokens($0) }
            } else if name.equals("completion_tokens", in: text)
                || name.equals("generated_tokens", in: text)
            {
                output = UsageReader.count(token, text).map { Tokens($0) }
            } else if name.equals("cached_tokens", in: text) {
                cached = Tokens(UsageReader.count(token, text) ?? 0)
            } else if name.equals("finish_reason", in: text) {
                finishes = !token.isNull
            }
            try scanner.skip(token, in: text)
        }
    }

    /// llama.cpp: how much of the prompt it had.
    private mutating func readTimings(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) {
        while case .key(let name) = try scanner.next(in: text) {
            let token = try scanner.next(in: text)
            if name.equals("cache_n", in: text) {
                cached = Tokens(UsageReader.count(token, text) ?? 0)
            }
            try scanner.skip(token, in: text)
        }
    }
}

/// The members that are read.
private enum NativeMember {
    case text
    case token
    case details
    case timings
    case error
    case index
    case stop
    case input
    case output

    static func find(_ key: JSONString, in text: RawSpan) -> NativeMember? {
        for (name, member) in names where key.equals(name, in: text) { return member }
        return nil
    }

    private static let names: [(StaticString, NativeMember)] = [
        ("text", .text), ("content", .text), ("generated_text", .text), ("text_output", .text),
        ("token", .token), ("meta_info", .details), ("details", .details), ("timings", .timings),
        ("error", .error), ("index", .index), ("stop", .stop), ("tokens_evaluated", .input),
        ("tokens_predicted", .output),
    ]
}
