// SPDX-License-Identifier: Apache-2.0

import Wire

/// A small JSON value read whole: the parts of a tokenizer's file beside its vocabulary.
indirect enum JSONTree: Equatable {
    case object([(name: String, value: JSONTree)])
    case array([JSONTree])
    case string(String)
    case number(Double)
    case bool(Bool)
    case null

    /// Reads the value that comes next; members of an object that stand in `except` are passed
    /// over, and their places given to `passed`.
    static func read(
        _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> JSONTree {
        try read(scanner.next(in: text), &scanner, text)
    }

    private static func read(
        _ token: JSONToken, _ scanner: inout JSONScanner, _ text: RawSpan
    ) throws(JSONFault) -> JSONTree {
        switch token {
        case .beginObject:
            var members: [(String, JSONTree)] = []
            while case .key(let name) = try scanner.next(in: text) {
                members.append((name.string(in: text), try read(&scanner, text)))
            }
            return .object(members)
        case .beginArray:
            var elements: [JSONTree] = []
            while true {
                let next = try scanner.next(in: text)
                if next == .endArray { return .array(elements) }
                elements.append(try read(next, &scanner, text))
            }
        case .string(let string): return .string(string.string(in: text))
        case .number(let range): return .number(JSONNumber.double(range, in: text))
        case .bool(let value): return .bool(value)
        case .null, .end, .key, .endObject, .endArray: return .null
        }
    }

    /// The last member of that name, unless it is `null`.
    subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self,
            let value = members.last(where: { $0.name == name })?.value, value != .null
        else { return nil }
        return value
    }

    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }
    var flag: Bool? {
        guard case .bool(let flag) = self else { return nil }
        return flag
    }
    var elements: [JSONTree]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
    var number: Double? {
        guard case .number(let number) = self else { return nil }
        return number
    }

    static func == (left: JSONTree, right: JSONTree) -> Bool {
        switch (left, right) {
        case (.object(let left), .object(let right)):
            left.map(\.name) == right.map(\.name) && left.map(\.value) == right.map(\.value)
        case (.array(let left), .array(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.bool(let left), .bool(let right)): left == right
        case (.null, .null): true
        default: false
        }
    }
}
