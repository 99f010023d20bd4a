// SPDX-License-Identifier: Apache-2.0

import Wire

/// Where a message of a chat stands in its body, and what it is to the others.
struct MessagePlace {
    /// With its braces.
    var range: Range<Int>
    var role = Role.other
    /// It holds results of calls that were made before it.
    var hasResults = false
    /// In units of the meter that priced it.
    var cost = 0

    enum Role {
        /// What holds for the whole chat: `system`, `developer`.
        case instruction
        case user
        case other
    }
}

/// The texts of messages, or of a prompt, that may lose their middle.
struct TextPlace {
    /// Between its quotes.
    var text: JSONString
    var cost = 0
}

/// A body's messages and texts, found again for what only few requests need.
///
/// The body has been inspected: it is valid, and its nesting is within the limits.
struct PromptOutline {
    var messages: [MessagePlace] = []
    /// Of messages that are no instructions, or of the prompt.
    var texts: [TextPlace] = []

    init(_ body: RawSpan, _ content: Member) throws(JSONFault) {
        var scanner = JSONScanner()
        guard try scanner.next(in: body).isObject else { return }
        while case .key(let name) = try scanner.next(in: body) {
            guard name.equals(content.name, in: body) else {
                try scanner.skipValue(in: body)
                continue
            }
            switch try scanner.next(in: body) {
            case .string(let text): texts.append(TextPlace(text: text))
            case .beginArray: try readElements(&scanner, body)
            case let other: try scanner.skip(other, in: body)
            }
        }
    }

    private mutating func readElements(
        _ scanner: inout JSONScanner, _ body: RawSpan
    ) throws(JSONFault) {
        while true {
            switch try scanner.next(in: body) {
            case .endArray: return
            case .string(let text): texts.append(TextPlace(text: text))
            case .beginObject: try readMessage(&scanner, body)
            case let other: try scanner.skip(other, in: body)
            }
        }
    }

    private mutating func readMessage(
        _ scanner: inout JSONScanner, _ body: RawSpan
    ) throws(JSONFault) {
        let start = scanner.tokenStart
        var message = MessagePlace(range: start..<start)
        let firstText = texts.count
        while case .key(let name) = try scanner.next(in: body) {
            let token = try scanner.next(in: body)
            if name.equals("role", in: body), case .string(let role) = token {
                message.note(role, body)
            } else if name.equals("content", in: body) {
                try readContent(token, &scanner, &message, body)
            } else {
                if name.equals("tool_call_id", in: body), !token.isNull {
                    message.hasResults = true
                }
                if name.equals("type", in: body), case .string(let type) = token {
                    message.noteItem(type, body)
                }
                try scanner.skip(token, in: body)
            }
        }
        message.range = start..<scanner.offset
        if message.role == .instruction { texts.removeSubrange(firstText...) }
        messages.append(message)
    }

    private mutating func readContent(
        _ token: JSONToken, _ scanner: inout JSONScanner, _ message: inout MessagePlace,
        _ body: RawSpan
    ) throws(JSONFault) {
        guard token.isArray else {
            if case .string(let text) = token { texts.append(TextPlace(text: text)) }
            return try scanner.skip(token, in: body)
        }
        while true {
            switch try scanner.next(in: body) {
            case .endArray: return
            case .string(let text): texts.append(TextPlace(text: text))
            case .beginObject: try readPart(&scanner, &message, body)
            case let other: try scanner.skip(other, in: body)
            }
        }
    }

    private mutating func readPart(
        _ scanner: inout JSONScanner, _ message: inout MessagePlace, _ body: RawSpan
    ) throws(JSONFault) {
        while case .key(let name) = try scanner.next(in: body) {
            let token = try scanner.next(in: body)
            if case .string(let text) = token {
                if name.equals("text", in: body) { texts.append(TextPlace(text: text)) }
                if name.equals("type", in: body), text.equals("tool_result", in: body) {
                    message.hasResults = true
                }
            }
            try scanner.skip(token, in: body)
        }
    }
}

extension MessagePlace {
    /// Responses have calls and thoughts as items of their own: they go with what is before them.
    fileprivate mutating func noteItem(_ type: JSONString, _ body: RawSpan) {
        if type.equals("function_call", in: body) || type.equals("reasoning", in: body)
            || type.equals("function_call_output", in: body)
        {
            hasResults = true
        }
    }

    fileprivate mutating func note(_ name: JSONString, _ body: RawSpan) {
        if name.equals("system", in: body) || name.equals("developer", in: body) {
            role = .instruction
        } else if name.equals("user", in: body) {
            role = .user
        } else {
            role = .other
            if name.equals("tool", in: body) || name.equals("function", in: body) {
                hasResults = true
            }
        }
    }
}
