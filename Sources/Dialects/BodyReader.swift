// SPDX-License-Identifier: Apache-2.0

public import Units
import Wire

/// Reads a request's body in one pass: validates it, notes what it asks for in `inspection`, feeds
/// the texts to `meter` and the declared tools, as compact JSON, to `tools`.
///
/// After a fault the inspection and the meters hold part of the body and are good for nothing.
public func inspect<Meter: TextMeter>(
    _ body: RawSpan, _ dialect: Dialect, limits: InspectionLimits = InspectionLimits(),
    meter: inout Meter, tools: inout Meter, into inspection: inout Inspection
) throws(BodyFault) {
    inspection.begin(dialect)
    var reader = BodyReader(
        scanner: JSONScanner(maxDepth: limits.maxDepth), text: meter, tools: tools,
        found: inspection)
    // Its memory has one owner at a time: otherwise the first note would copy it.
    inspection = Inspection()
    defer {
        meter = reader.text
        tools = reader.tools
        inspection = reader.found
    }
    try reader.read(body)
}

/// The state of one inspection.
struct BodyReader<Meter: TextMeter> {
    var scanner: JSONScanner
    var text: Meter
    var tools: Meter
    var found: Inspection
    /// One bit for each `Member` that has occurred.
    private var seen: UInt64 = 0
    private var nestedBounds = 0

    init(scanner: JSONScanner, text: Meter, tools: Meter, found: Inspection) {
        self.scanner = scanner
        self.text = text
        self.tools = tools
        self.found = found
    }

    mutating func read(_ body: RawSpan) throws(BodyFault) {
        guard try next(body).isObject else { throw .notAnObject }
        found.start = scanner.offset
        var index = 0
        var previousEnd = scanner.offset
        while case .key(let name) = try next(body) {
            let key = scanner.tokenStart
            linkPlace(to: key)
            let member = Member.find(name, in: body)
            if let member { try note(member) }
            let token = try next(body)
            let start = scanner.tokenStart
            try readValue(member, token, body)
            if let member, member.isEdited {
                let place = MemberPlace(
                    member: member, index: index, previousEnd: previousEnd, key: key,
                    value: start..<scanner.offset, next: scanner.offset)
                try keep(place)
            }
            previousEnd = scanner.offset
            index += 1
        }
        _ = try next(body)
        try conclude()
    }

    func has(_ member: Member) -> Bool { seen & 1 << UInt64(member.rawValue) != 0 }

    mutating func next(_ body: RawSpan) throws(BodyFault) -> JSONToken {
        do { return try scanner.next(in: body) } catch { throw BodyFault(error) }
    }

    mutating func skip(_ token: JSONToken, _ body: RawSpan) throws(BodyFault) {
        do { try scanner.skip(token, in: body) } catch { throw BodyFault(error) }
    }
}

// MARK: The top level

extension BodyReader {
    private mutating func note(_ member: Member) throws(BodyFault) {
        if has(member), member.repetition == .refused { throw .duplicate(member) }
        seen |= 1 << UInt64(member.rawValue)
    }

    private mutating func keep(_ place: MemberPlace) throws(BodyFault) {
        var occurrences = 0
        for index in found.places.indices
        where found.places[index].member == place.member && !found.places[index].isNested {
            found.places[index].isSuperseded = true
            occurrences += 1
        }
        guard occurrences < Inspection.maxOccurrences else { throw .duplicate(place.member) }
        // As many as bodies have, in one allocation.
        if found.places.isEmpty { found.places.reserveCapacity(8) }
        found.places.append(place)
    }

    /// The place kept last learns where the member behind it begins.
    private mutating func linkPlace(to key: Int) {
        guard let last = found.places.indices.last,
            found.places[last].next == found.places[last].value.upperBound
        else { return }
        found.places[last].next = key
    }

    private mutating func readValue(
        _ member: Member?, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        switch member {
        case .model: try readModel(token)
        case .text where found.dialect == .generate, .inputIDs where found.dialect == .generate,
            .textInput where found.dialect.content == .textInput,
            .inputs where found.dialect == .generate || found.dialect.content == .inputs,
            .prompt where found.dialect == .completion:
            if let member { try readOwnPrompt(member, token, body) }
        case .messages
        where !found.dialect.isNative && found.dialect != .completions
            && found.dialect != .responses:
            try readMessages(.messages, token, body)
        case .prompt where found.dialect == .completions: try readPrompts(.prompt, token, body)
        case .input where found.dialect == .embeddings: try readPrompts(.input, token, body)
        case .input where found.dialect == .responses: try readInput(token, body)
        case .system where found.dialect.content == .messages && found.dialect != .chatCompletions,
            .instructions where found.dialect == .responses:
            if let member { try readInstructions(member, token, body) }
        case .background where found.dialect == .responses:
            // Nobody would be there to be charged for what it makes, nor to hear of it.
            if try boolean(.background, token) { throw .notAllowed(.background) }
        case .maxOutputTokens where found.dialect == .responses:
            try readCount(.maxOutputTokens, token, body)
        case .tools: try readTools(.tools, token, body)
        case .functions: try readTools(.functions, token, body)
        case .documents, .suffix: try feed(token, body)
        case .stream: found.stream = try boolean(.stream, token)
        case .streamOptions: try readStreamOptions(token, body)
        case .extraArguments: try readExtraArguments(token, body)
        case .parameters, .samplingParameters, .options, .generationConfig, .extraBody:
            if let member { try readNestedBounds(member, token, body) }
        case .ignoreEOS: found.ignoreEOS = try boolean(.ignoreEOS, token)
        case .maxTokens, .maxCompletionTokens, .predicted, .minTokens, .choices, .bestOf,
            .parallelChoices:
            if let member { try readCount(member, token, body) }
        default: try skip(token, body)
        }
    }

    private mutating func readModel(_ token: JSONToken) throws(BodyFault) {
        switch token {
        case .string(let name): found.model = name
        case .null: throw .missing(.model)
        default: throw .wrongType(.model, expected: .string)
        }
    }

    private mutating func readCount(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        let bounds = 1...Inspection.maxBound
        let choices = 1...Inspection.maxChoices
        switch member {
        case .maxTokens: found.maxTokens = try whole(member, bounds, token, body)
        case .maxCompletionTokens:
            found.maxCompletionTokens = try whole(member, bounds, token, body)
        case .predicted: found.predicted = try whole(member, bounds, token, body)
        case .maxOutputTokens: found.maxOutput = try whole(member, bounds, token, body)
        case .choices: found.count = try whole(member, choices, token, body) ?? 1
        case .bestOf: found.bestOf = try whole(member, choices, token, body) ?? 1
        case .parallelChoices: found.parallel = try whole(member, choices, token, body) ?? 1
        default:
            let least = try whole(member, 0...Inspection.maxBound, token, body)
            found.minTokens = Tokens(least ?? 0)
        }
    }

    private mutating func readStreamOptions(
        _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        found.hasStreamOptions = token.isObject
        found.includeUsage = false
        found.continuousUsage = false
        found.optionsStart = nil
        found.optionsAreEmpty = true
        found.includeUsageValue = nil
        if token.isNull { return }
        guard token.isObject else { throw .wrongType(.streamOptions, expected: .object) }
        found.optionsStart = scanner.offset
        var hasContinuous = false
        while case .key(let name) = try next(body) {
            found.optionsAreEmpty = false
            let token = try next(body)
            if name.equals("include_usage", in: body) {
                if found.includeUsageValue != nil { throw .duplicate(.includeUsage) }
                found.includeUsageValue = scanner.tokenStart..<scanner.offset
                found.includeUsage = try boolean(.includeUsage, token)
            } else if name.equals("continuous_usage_stats", in: body) {
                if hasContinuous { throw .duplicate(.continuousUsage) }
                hasContinuous = true
                found.continuousUsage = try boolean(.continuousUsage, token)
            } else {
                try skip(token, body)
            }
        }
    }

    /// Bounds that no engine is known to read there, so that they promise nothing; where the bound
    /// is set, they are not to say more.
    private mutating func readNestedBounds(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        let isOwn = member == .samplingParameters || member == .parameters
        if isOwn, found.dialect.isNative { return try readOwnObject(member, token, body) }
        guard token.isObject else { return try skip(token, body) }
        while case .key(let name) = try next(body) {
            let key = scanner.tokenStart
            let inner = Member.find(name, in: body)
            let token = try next(body)
            let start = scanner.tokenStart
            try skip(token, body)
            guard let inner, inner.isBound, !token.isObject, !token.isArray else { continue }
            var place = MemberPlace(
                member: inner, index: 0, previousEnd: key, key: key, value: start..<scanner.offset,
                next: scanner.offset)
            place.isNested = true
            try keepNested(place)
        }
    }

    /// Where engines have their bounds on paths of their own.
    private mutating func readOwnObject(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        var place = MemberPlace(
            member: member, index: 0, previousEnd: scanner.offset, key: scanner.tokenStart,
            value: scanner.tokenStart..<scanner.offset, next: scanner.offset)
        place.isNested = true
        if token.isNull { return try keepNested(place) }
        // SGLang takes an array of them, each for one of several prompts.
        guard token.isObject else { throw .wrongType(member, expected: .object) }
        place.value = scanner.offset..<scanner.offset
        found.maxNew = nil
        let own = found.places.count
        try keepNested(place)
        while case .key(let name) = try next(body) {
            found.places[own].index += 1
            let key = scanner.tokenStart
            let token = try next(body)
            let start = scanner.tokenStart
            guard let inner = Member.find(name, in: body) else {
                try skip(token, body)
                continue
            }
            try readOwnMember(inner, token, body)
            guard inner.isBound else { continue }
            var place = MemberPlace(
                member: inner, index: 0, previousEnd: key, key: key, value: start..<scanner.offset,
                next: scanner.offset)
            place.isNested = true
            try keepNested(place)
        }
    }

    private mutating func readOwnMember(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        switch member {
        case .maxNewTokens:
            found.maxNew = try whole(member, 1...Inspection.maxBound, token, body)
        case .minNewTokens:
            let least = try whole(member, 0...Inspection.maxBound, token, body)
            found.minTokens = Tokens(least ?? 0)
        case .choices, .bestOf: try readCount(member, token, body)
        case .ignoreEOS: found.ignoreEOS = try boolean(.ignoreEOS, token)
        default: try skip(token, body)
        }
    }

    private mutating func keepNested(_ place: MemberPlace) throws(BodyFault) {
        nestedBounds += 1
        guard nestedBounds <= Inspection.maxNested else { throw .duplicate(place.member) }
        found.places.append(place)
    }

    private mutating func readExtraArguments(
        _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        guard token.isObject else { return try skip(token, body) }
        while case .key(let name) = try next(body) {
            if name.equals("kv_transfer_params", in: body) { throw .notAllowed(.extraKVTransfer) }
            try skip(next(body), body)
        }
    }

    private mutating func conclude() throws(BodyFault) {
        if !found.dialect.isNative {
            guard has(.model) else { throw .missing(.model) }
            if found.model.isEmpty { throw .empty(.model) }
        }
        if found.dialect == .generate, has(.inputs) { found.dialect = .textGeneration }
        if let streams = found.dialect.streams { found.stream = streams }
        if let object = found.dialect.boundObject { found.hasBoundObject = has(object) }
        let elsewhere =
            found.dialect == .embeddings && has(.messages)
            || found.dialect == .generate && has(.inputIDs)
        guard has(found.dialect.content) || elsewhere else {
            throw .missing(found.dialect.content)
        }
        // Anthropic's bound is not optional, and vLLM holds on to that.
        if found.dialect == .messages, found.maxTokens == nil { throw .missing(.maxTokens) }
        found.bound = largestBound
        if found.dialect.hasChoices || found.dialect == .embeddings || found.dialect.isNative {
            found.choicesPerPrompt = max(found.count, found.bestOf, found.parallel)
        }
    }

    /// Of the names that some engine reads on this path.
    private var largestBound: Tokens? {
        let largest: Int
        switch found.dialect {
        case .responses: largest = max(found.maxOutput ?? 0, found.predicted ?? 0)
        case .generate, .textGeneration, .textGenerationStream: largest = found.maxNew ?? 0
        case .triton, .tritonStream: largest = found.maxTokens ?? 0
        default:
            largest = max(
                found.maxTokens ?? 0, found.maxCompletionTokens ?? 0, found.predicted ?? 0)
        }
        return largest > 0 ? Tokens(largest) : nil
    }
}

// MARK: Scalars

extension BodyReader {
    /// `null` counts as false.
    private func boolean(_ member: Member, _ token: JSONToken) throws(BodyFault) -> Bool {
        switch token {
        case .bool(let value): return value
        case .null: return false
        default: throw .wrongType(member, expected: .boolean)
        }
    }

    /// Nil for `null`. Whole numbers alone: engines differ about strings, fractions and what is out
    /// of range.
    private func whole(
        _ member: Member, _ range: ClosedRange<Int>, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) -> Int? {
        switch token {
        case .null: return nil
        case .number(let digits):
            switch JSONNumber(digits, in: body) {
            case .whole(let value) where range.contains(value): return value
            case .fractional: throw .wrongType(member, expected: .integer)
            default: throw .outOfRange(member, range)
            }
        default: throw .wrongType(member, expected: .integer)
        }
    }
}
