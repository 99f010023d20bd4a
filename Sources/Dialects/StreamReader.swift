// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// Which usage the client asked the stream for.
public struct AskedUsage: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// `include_usage`: the chunk at the end.
    public static let atEnd = AskedUsage(rawValue: 1)
    /// `continuous_usage_stats`: in every chunk.
    public static let continuous = AskedUsage(rawValue: 2)
}

/// What one event of a stream is, and what to do with it.
public struct StreamEvent: Sendable, Equatable {
    /// The most telling thing that an event holds.
    public enum Kind: UInt8, Sendable {
        /// Something for the client to read; it may finish as well.
        case content
        /// Who speaks, without a word.
        case roleOnly
        /// The reason of the end, without a word.
        case finish
        /// The usage, and no choices.
        case usageOnly
        /// `[DONE]`.
        case done
        case error
        /// All else, also what is not JSON.
        case other
    }
    /// How the event goes on to the client.
    public enum Action: Sendable, Equatable {
        case pass
        /// The client did not ask for it.
        case drop
        /// Pass on the data without these bytes; what stays is valid JSON.
        case cut(Range<Int>)
        /// An error in a form that SDKs do not take for one; its text stands in these bytes of the
        /// data, between its quotes.
        case rewriteError(Range<Int>?)
    }

    /// What it is.
    public var kind: Kind
    /// Choices that got something: tokens, as far as can be seen without usage.
    public var pieces = 0
    /// What to do with it.
    public var action = Action.pass
}

/// Follows one stream of a generating dialect, event by event: what it is worth, where it ends, and
/// what the client must not see of it because only the gateway asked.
public struct StreamReader: Sendable {
    private let dialect: Dialect
    private let asked: AskedUsage
    private let scope: UsageScope
    /// In the scope `.answer` the last one, else the sum.
    private var reported: Usage?
    /// It stood beside choices, and may speak of those alone.
    private var isInterim = false

    /// Of engines' own paths, what each choice has made so far; empty while there is but one, which
    /// is `single`.
    private var outputs: [Tokens] = []
    private var single = Tokens.zero

    /// Choices that got something, over all events: a stand-in for the output tokens.
    public private(set) var counted = Tokens.zero
    /// The terminator has come.
    public private(set) var sawDone = false
    /// An error has come: what follows is no success, terminator or not.
    public private(set) var sawError = false
    /// Some choice has said why it ends.
    public private(set) var sawFinish = false
    /// What of the answer is open, in the dialects whose events have a type.
    public private(set) var progress = StreamProgress()

    /// At the start of a stream.
    public init(_ dialect: Dialect, asked: AskedUsage, scope: UsageScope) {
        self.dialect = dialect
        self.asked = asked
        self.scope = scope
    }

    /// The usage as far as the engine has reported it.
    public var usage: Usage? {
        guard var usage = reported else { return nil }
        if case .choice(let perPrompt) = scope {
            // Each choice brought its prompt along.
            let shared = max(perPrompt, 1)
            usage.input = Tokens((usage.input.count + shared - 1) / shared)
            usage.cachedInput = Tokens(usage.cachedInput.count / shared)
        } else if isInterim {
            usage.output = max(usage.output, counted)
        }
        return usage
    }

    /// Takes the data of one event: the joined values of its `data` fields.
    public mutating func read(_ data: RawSpan) -> StreamEvent {
        switch dialect {
        case .chatCompletions, .completions, .embeddings: return readOpenAI(data)
        case .messages, .responses, .countTokens: return readTyped(data)
        case .generate, .textGeneration, .textGenerationStream, .completion, .triton,
            .tritonStream:
            return readNative(data)
        }
    }

    private mutating func readNative(_ data: RawSpan) -> StreamEvent {
        if StreamReader.isDone(data) {
            sawDone = true
            return StreamEvent(kind: .done)
        }
        var answer = NativeAnswer()
        do { try answer.read(data) } catch { return StreamEvent(kind: .other) }
        if answer.isError {
            sawError = true
            return StreamEvent(kind: .error)
        }
        if answer.finishes { sawFinish = true }
        // Where an engine counts for itself, that is what is there so far.
        var pieces = answer.produces ? 1 : 0
        if let output = answer.output {
            pieces = max(place(output, of: answer.index).count - counted.count, 0)
        }
        counted += Tokens(pieces)
        if var usage = answer.usage {
            usage.output = max(counted, usage.output)
            reported = usage
        }
        let kind: StreamEvent.Kind = pieces > 0 ? .content : answer.finishes ? .finish : .other
        return StreamEvent(kind: kind, pieces: pieces)
    }

    /// The sum over all choices, of which one has made so much.
    private mutating func place(_ output: Tokens, of index: Int) -> Tokens {
        guard index > 0 || !outputs.isEmpty else {
            single = output
            return output
        }
        guard index < Inspection.maxChoices else { return counted }
        if outputs.isEmpty { outputs = [single] }
        while outputs.count <= index { outputs.append(.zero) }
        outputs[index] = max(outputs[index], output)
        return outputs.reduce(.zero) { $0 + $1 }
    }

    private mutating func readTyped(_ data: RawSpan) -> StreamEvent {
        var event = TypedEvent()
        // Some end their streams as on OpenAI's other paths.
        if StreamReader.isDone(data) { return StreamEvent(kind: .done) }
        do { try event.read(data) } catch { return StreamEvent(kind: .other) }
        if let usage = event.usage { takeTyped(usage, event.kind) }
        if event.produces { counted += Tokens(1) }
        if event.finishes { sawFinish = true }
        progress.note(event, data)
        switch event.kind {
        case .delta:
            return StreamEvent(
                kind: event.produces ? .content : .other, pieces: event.produces ? 1 : 0)
        case .messageDelta: return StreamEvent(kind: .finish)
        case .messageStop, .responseEnd:
            sawDone = true
            return StreamEvent(kind: .done)
        case .error:
            sawError = true
            return StreamEvent(
                kind: .error,
                action: event.isForeignError ? .rewriteError(event.errorText) : .pass)
        case .messageStart: return StreamEvent(kind: .roleOnly)
        case .blockStart, .blockStop, .other: return StreamEvent(kind: .other)
        }
    }

    /// The first event of messages has the prompt, the last one the output so far. llama.cpp
    /// repeats the prompt there without its cached part, so the first word of it counts.
    private mutating func takeTyped(_ usage: Usage, _ kind: TypedEvent.Kind) {
        isInterim = kind == .messageStart
        guard dialect == .messages, var merged = reported else {
            reported = usage
            return
        }
        if merged.input == .zero { merged.input = usage.input }
        merged.cachedInput = min(max(merged.cachedInput, usage.cachedInput), merged.input)
        merged.output = max(merged.output, usage.output)
        reported = merged
    }

    private mutating func readOpenAI(_ data: RawSpan) -> StreamEvent {
        if StreamReader.isDone(data) {
            sawDone = true
            return StreamEvent(kind: .done)
        }
        var chunk = AnswerChunk()
        do { try chunk.read(data) } catch { return StreamEvent(kind: .other) }
        if let usage = chunk.usage {
            take(usage)
            isInterim = chunk.choices > 0
        }
        counted += Tokens(chunk.produced)
        if chunk.isError { sawError = true }
        if chunk.finishes { sawFinish = true }
        return StreamEvent(
            kind: StreamReader.kind(chunk), pieces: chunk.produced, action: action(chunk))
    }

    private static func kind(_ chunk: AnswerChunk) -> StreamEvent.Kind {
        if chunk.isError { return .error }
        if chunk.produced > 0 { return .content }
        if chunk.finishes { return .finish }
        if chunk.choices > 0 { return chunk.hasRole ? .roleOnly : .other }
        return chunk.usageIsObject ? .usageOnly : .other
    }

    private func action(_ chunk: AnswerChunk) -> StreamEvent.Action {
        if chunk.isError, !chunk.errorIsObject { return .rewriteError(chunk.errorText) }
        if chunk.usages == 0 || chunk.isError { return .pass }
        let endsWithUsage = chunk.choices == 0 && chunk.usageIsObject
        if asked.contains(.atEnd) || asked.contains(.continuous) && !endsWithUsage { return .pass }
        // Two members cannot be cut at once, and no engine sends them.
        return endsWithUsage || chunk.usages > 1 ? .drop : .cut(chunk.usageCut)
    }

    private mutating func take(_ usage: Usage) {
        guard case .choice = scope, let before = reported else {
            reported = usage
            return
        }
        reported = Usage(
            input: before.input + usage.input,
            cachedInput: before.cachedInput + usage.cachedInput,
            output: before.output + usage.output, reasoning: before.reasoning + usage.reasoning)
    }

    private static func isDone(_ data: RawSpan) -> Bool {
        var end = data.byteCount
        while end > 0, data.octet(end - 1) <= 0x20 { end -= 1 }
        var start = 0
        while start < end, data.octet(start) <= 0x20 { start += 1 }
        return JSONString(range: start..<end, isEscaped: false).equals("[DONE]", in: data)
    }
}
