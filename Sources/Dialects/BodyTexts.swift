// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

// What the engine is to read: messages, prompts, tools.

extension BodyReader {
    /// `member` is an array of messages, or of what responses have in their place.
    mutating func readMessages(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        guard token.isArray else { throw .wrongType(member, expected: .array) }
        var count = 0
        while true {
            let element = try next(body)
            if element.isArrayEnd { break }
            guard element.isObject else {
                throw .wrongElement(member, index: count, expected: .object)
            }
            try readMessage(body)
            count += 1
            found.messages += 1
            try checkElements(member, found.messages)
        }
        if count == 0 { throw .empty(member) }
    }

    /// The input of responses: one text, or items in the manner of messages.
    mutating func readInput(_ token: JSONToken, _ body: RawSpan) throws(BodyFault) {
        switch token {
        case .null: throw .missing(.input)
        case .string(let text):
            feed(text, body)
            found.messages += 1
        case .beginArray: try readMessages(.input, token, body)
        default: throw .wrongType(.input, expected: .items)
        }
    }

    /// What holds for the whole chat and stands beside it: to the template one message more.
    mutating func readInstructions(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        if token.isNull { return }
        try readContent(token, body, of: member)
        found.messages += 1
    }

    private func checkElements(_ member: Member, _ count: Int) throws(BodyFault) {
        guard count <= Inspection.maxElements else {
            throw .tooMany(member, limit: Inspection.maxElements)
        }
    }

    /// All that templates may print is text: also names, reasoning and calls, whose members differ
    /// by vendor.
    mutating func readMessage(_ body: RawSpan) throws(BodyFault) {
        while case .key(let name) = try next(body) {
            let token = try next(body)
            if name.equals("content", in: body) {
                try readContent(token, body, of: found.dialect.content)
            } else if name.equals("role", in: body) || name.equals("tool_call_id", in: body)
                || name.equals("id", in: body) || isOfItem(name, body)
            {
                try skip(token, body)
            } else {
                try feed(token, body)
            }
        }
    }

    /// What tells of an item of responses, and is not printed.
    private func isOfItem(_ name: JSONString, _ body: RawSpan) -> Bool {
        guard found.dialect == .responses else { return false }
        return name.equals("type", in: body) || name.equals("call_id", in: body)
            || name.equals("status", in: body) || name.equals("encrypted_content", in: body)
    }

    private mutating func readContent(
        _ token: JSONToken, _ body: RawSpan, of member: Member
    ) throws(BodyFault) {
        switch token {
        case .null: return
        case .string(let content): feed(content, body)
        case .beginArray:
            while true {
                switch try next(body) {
                case .endArray: return
                case .string(let part): feed(part, body)
                case .beginObject: try readPart(body)
                default: throw wrongContent(of: member)
                }
            }
        default: throw wrongContent(of: member)
        }
    }

    private func wrongContent(of member: Member) -> BodyFault {
        member == found.dialect.content
            ? .wrongElement(member, index: found.messages, expected: .contents)
            : .wrongType(member, expected: .texts)
    }

    private mutating func readPart(_ body: RawSpan) throws(BodyFault) {
        var medium = PartMedium()
        while case .key(let name) = try next(body) {
            let token = try next(body)
            switch PartMember.find(name, in: body, of: found.dialect) {
            case .text: try feed(token, body)
            case .content: try readContent(token, body, of: found.dialect.content)
            case .kind:
                if case .string(let kind) = token { medium.note(kind, body) }
                try skip(token, body)
            case .image:
                medium.isImage = true
                try readMedium(token, &medium, body)
            case .medium:
                medium.isOther = true
                try readMedium(token, &medium, body)
            case nil: try skip(token, body)
            }
        }
        note(medium, body)
    }

    /// A URL, or an object that holds one, or the file itself.
    private mutating func readMedium(
        _ token: JSONToken, _ medium: inout PartMedium, _ body: RawSpan
    ) throws(BodyFault) {
        if case .string(let url) = token { medium.url = url }
        guard token.isObject else { return try skip(token, body) }
        while case .key(let name) = try next(body) {
            let token = try next(body)
            guard case .string(let text) = token else {
                if name.equals("content", in: body), found.dialect.errors == .anthropic {
                    medium.isText = true
                    try readContent(token, body, of: found.dialect.content)
                } else {
                    try skip(token, body)
                }
                continue
            }
            if name.equals("url", in: body) { medium.url = text }
            if name.equals("data", in: body) { medium.data = text }
            if name.equals("detail", in: body) { medium.isLow = text.equals("low", in: body) }
            if name.equals("type", in: body), text.equals("text", in: body) {
                medium.isText = true
            }
        }
    }

    private mutating func note(_ part: PartMedium, _ body: RawSpan) {
        var medium = part
        if medium.isDocument, medium.isImage {
            // Anthropic's documents: plain text, or a file.
            medium.isImage = false
            medium.isOther = !medium.isText
            if medium.isText, let text = medium.data { feed(text, body) }
        }
        noteMedia(medium, body)
    }

    private mutating func noteMedia(_ medium: PartMedium, _ body: RawSpan) {
        let file =
            medium.data.flatMap { InlineFile($0, isBare: true, in: body) }
            ?? medium.url.flatMap { InlineFile($0, isBare: false, in: body) }
        if medium.isImage {
            if var size = file?.imageSize(in: body), found.imageSizes.count < Inspection.maxSizes {
                size.isLow = medium.isLow
                found.imageSizes.append(size)
            } else {
                found.images += 1
            }
        }
        if medium.isOther {
            if medium.data != nil, let file {
                found.soundSeconds += file.soundSeconds(in: body)
            } else {
                found.otherMedia += 1
            }
        }
    }

    /// Text in the form that engines take it: one, several, or as token ids.
    mutating func readPrompts(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        found.prompts = 0
        switch token {
        case .null: throw .missing(member)
        case .string(let prompt):
            feed(prompt, body)
            found.prompts = 1
        case .beginArray:
            switch try next(body) {
            case .endArray: throw .empty(member)
            case .string(let first): try readTexts(member, first, body)
            case .number(let first):
                try readIDs(member, first, body)
                found.prompts = 1
            case .beginArray: try readIDLists(member, body)
            default: throw .wrongType(member, expected: .prompts)
            }
        default: throw .wrongType(member, expected: .prompts)
        }
    }

    /// The prompt of an engine's own path: as elsewhere, or, at llama.cpp, texts and token ids in
    /// one array.
    mutating func readOwnPrompt(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        let before = found.prompts
        guard found.dialect == .completion, token.isArray else {
            try readPrompts(member, token, body)
            // SGLang may have both, and takes one of them.
            if has(.text), has(.inputIDs) { found.prompts = max(found.prompts, before) }
            return
        }
        found.prompts = 1
        var count = 0
        while true {
            switch try next(body) {
            case .endArray:
                if count == 0 { throw .empty(member) }
                return
            case .string(let text): feed(text, body)
            case .number: found.promptTokenIDs += 1
            default: throw .wrongElement(member, index: count, expected: .mixed)
            }
            count += 1
            if count > Inspection.maxElements, found.promptTokenIDs == 0 {
                throw .tooMany(member, limit: Inspection.maxElements)
            }
        }
    }

    private mutating func readTexts(
        _ member: Member, _ first: JSONString, _ body: RawSpan
    ) throws(BodyFault) {
        feed(first, body)
        found.prompts = 1
        while true {
            let token = try next(body)
            if token.isArrayEnd { return }
            guard case .string(let prompt) = token else {
                throw .wrongElement(member, index: found.prompts, expected: .string)
            }
            feed(prompt, body)
            found.prompts += 1
            try checkElements(member, found.prompts)
        }
    }

    private mutating func readIDLists(_ member: Member, _ body: RawSpan) throws(BodyFault) {
        var list = JSONToken.beginArray
        while !list.isArrayEnd {
            guard list.isArray, case .number(let first) = try next(body) else {
                throw .wrongElement(member, index: found.prompts, expected: .ids)
            }
            try readIDs(member, first, body)
            found.prompts += 1
            try checkElements(member, found.prompts)
            list = try next(body)
        }
    }

    /// The ids from the `first` on, to the end of their array.
    private mutating func readIDs(
        _ member: Member, _ first: Range<Int>, _ body: RawSpan
    ) throws(BodyFault) {
        var digits = first
        while true {
            guard case .whole(let id) = JSONNumber(digits, in: body) else {
                throw .wrongType(member, expected: .prompts)
            }
            guard id >= 0, id <= Inspection.maxBound else {
                throw .outOfRange(member, 0...Inspection.maxBound)
            }
            found.promptTokenIDs += 1
            switch try next(body) {
            case .number(let following): digits = following
            case .endArray: return
            default: throw .wrongType(member, expected: .prompts)
            }
        }
    }

    mutating func readTools(
        _ member: Member, _ token: JSONToken, _ body: RawSpan
    ) throws(BodyFault) {
        if token.isNull { return }
        guard token.isArray else { throw .wrongType(member, expected: .array) }
        tools.boundary()
        let start = scanner.offset
        do { try scanner.feedCompact(token, in: body, to: &tools) } catch { throw BodyFault(error) }
        // More than its brackets and white space.
        for at in start..<scanner.offset - 1 where body.octet(at) > 0x20 {
            found.tools = true
            return
        }
    }
}

// MARK: Feeding

extension BodyReader {
    private mutating func feed(_ string: JSONString, _ body: RawSpan) {
        text.boundary()
        string.feed(&text, from: body)
    }

    /// A string as its text, everything else as compact JSON.
    mutating func feed(_ token: JSONToken, _ body: RawSpan) throws(BodyFault) {
        switch token {
        case .null: return
        case .string(let string): feed(string, body)
        default:
            text.boundary()
            do { try scanner.feedCompact(token, in: body, to: &text) } catch {
                throw BodyFault(error)
            }
        }
    }
}

extension JSONScanner {
    /// Feeds the value that `token` begins without white space and with its strings decoded, about
    /// as templates print it.
    fileprivate mutating func feedCompact<Meter: TextMeter>(
        _ token: JSONToken, in text: RawSpan, to meter: inout Meter
    ) throws(JSONFault) {
        let outside = token.isObject || token.isArray ? depth - 1 : depth
        var token = token
        var cursor = tokenStart
        while true {
            if case .key(let string) = token {
                meter.feed(text.extracting(cursor..<string.range.lowerBound))
                string.feed(&meter, from: text)
                cursor = string.range.upperBound
            } else if case .string(let string) = token {
                meter.feed(text.extracting(cursor..<string.range.lowerBound))
                string.feed(&meter, from: text)
                cursor = string.range.upperBound
            }
            feedInk(cursor..<offset, in: text, to: &meter)
            if depth <= outside { return }
            let before = offset
            token = try next(in: text)
            feedInk(before..<tokenStart, in: text, to: &meter)
            cursor = tokenStart
        }
    }

    /// Feeds what is not white space in a range between or at tokens.
    private func feedInk<Meter: TextMeter>(
        _ range: Range<Int>, in text: RawSpan, to meter: inout Meter
    ) {
        var start = range.lowerBound
        for at in range where text.octet(at) <= 0x20 {
            if at > start { meter.feed(text.extracting(start..<at)) }
            start = at + 1
        }
        if start < range.upperBound { meter.feed(text.extracting(start..<range.upperBound)) }
    }
}

/// What was found of a part that is no text.
private struct PartMedium {
    var isImage = false
    var isOther = false
    var url: JSONString?
    var data: JSONString?
    var isLow = false
    var isDocument = false
    /// Its source is a text, or parts that were read.
    var isText = false

    mutating func note(_ kind: JSONString, _ body: RawSpan) {
        if kind.equals("document", in: body) { isDocument = true }
    }
}

/// What a member of a content part holds.
private enum PartMember {
    case text
    case image
    case medium
    /// Parts of this part.
    case content
    /// What the part is.
    case kind

    static func find(
        _ key: JSONString, in body: RawSpan, of dialect: Dialect
    ) -> PartMember? {
        for (name, kind) in names where key.equals(name, in: body) { return kind }
        if dialect.errors == .anthropic {
            for (name, kind) in anthropicNames where key.equals(name, in: body) { return kind }
        }
        return nil
    }

    /// Calls of tools and their results, documents: all but texts and images.
    private static let anthropicNames: [(StaticString, PartMember)] = [
        ("type", .kind), ("content", .content), ("input", .text), ("name", .text),
        ("title", .text), ("context", .text),
    ]

    /// The spellings of OpenAI and of vLLM's parts without a type.
    private static let names: [(StaticString, PartMember)] = [
        ("text", .text), ("refusal", .text), ("thinking", .text), ("input_text", .text),
        ("image_url", .image), ("image", .image), ("image_embeds", .image),
        ("input_image", .image), ("image_pil", .image), ("source", .image),
        ("input_audio", .medium), ("audio_url", .medium), ("audio_embeds", .medium),
        ("video_url", .medium), ("video", .medium), ("file", .medium), ("input_file", .medium),
    ]
}
