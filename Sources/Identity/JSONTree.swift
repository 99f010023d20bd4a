// SPDX-License-Identifier: Apache-2.0

import Wire

/// A small JSON text as values, for what is read seldom: key sets and claims. Bodies are never
/// read so.
public indirect enum JSONTree: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSONTree])
    case object([String: JSONTree])

    /// Nil for what is no JSON, nests deeper than `maxDepth`, or has a member twice, of which
    /// readers would choose differently (RFC 7515 section 4, RFC 7519 section 4).
    public init?(_ text: RawSpan, maxDepth: Int = 8) {
        var scanner = JSONScanner(maxDepth: maxDepth)
        guard let token = try? scanner.next(in: text),
            let value = Self.value(token, &scanner, text),
            let end = try? scanner.next(in: text), end == .end
        else { return nil }
        self = value
    }

    private static func value(
        _ token: JSONToken, _ scanner: inout JSONScanner, _ text: RawSpan
    ) -> JSONTree? {
        switch token {
        case .null: return .null
        case .bool(let flag): return .bool(flag)
        case .number(let range): return .number(JSONNumber.double(range, in: text))
        case .string(let string): return .text(string.string(in: text))
        case .beginArray: return list(&scanner, text)
        case .beginObject: return object(&scanner, text)
        case .key, .endArray, .endObject, .end: return nil
        }
    }

    private static func list(_ scanner: inout JSONScanner, _ text: RawSpan) -> JSONTree? {
        var items: [JSONTree] = []
        while let next = try? scanner.next(in: text) {
            if next == .endArray { return .list(items) }
            guard let item = value(next, &scanner, text) else { return nil }
            items.append(item)
        }
        return nil
    }

    private static func object(_ scanner: inout JSONScanner, _ text: RawSpan) -> JSONTree? {
        var members: [String: JSONTree] = [:]
        while let next = try? scanner.next(in: text) {
            if next == .endObject { return .object(members) }
            guard case .key(let name) = next, let token = try? scanner.next(in: text),
                let item = value(token, &scanner, text),
                members.updateValue(item, forKey: name.string(in: text)) == nil
            else { return nil }
        }
        return nil
    }

    /// A member of an object; nil of anything else.
    public subscript(name: String) -> JSONTree? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    /// What a name leads to: a member of that name, or, where it begins with a slash, what the JSON
    /// Pointer leads to (RFC 6901), through objects.
    public func found(at name: String) -> JSONTree? {
        guard name.hasPrefix("/") else { return self[name] }
        var place = self
        for part in name.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            let member = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
            guard let next = place[member] else { return nil }
            place = next
        }
        return place
    }

    /// The text itself.
    public var text: String? { if case .text(let text) = self { text } else { nil } }
    /// The number itself.
    public var number: Double? { if case .number(let number) = self { number } else { nil } }
    /// The items themselves.
    public var list: [JSONTree]? { if case .list(let items) = self { items } else { nil } }
    /// A text, or a list of nothing but texts; nil otherwise.
    public var texts: [String]? {
        if let text { return [text] }
        guard let list else { return nil }
        let texts = list.compactMap(\.text)
        return texts.count == list.count ? texts : nil
    }
}
