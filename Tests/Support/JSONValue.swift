// SPDX-License-Identifier: Apache-2.0

/// A JSON text as a tree, read by a parser that shares nothing with the one under test.
///
/// Names keep their order and their repetitions; numbers keep their spelling.
public indirect enum JSONValue: Equatable, Sendable {
    case object([Member])
    case array([JSONValue])
    case string(String)
    case number(String)
    case bool(Bool)
    case null

    public struct Member: Equatable, Sendable {
        public var name: String
        public var value: JSONValue

        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// Nil when `bytes` are no JSON text (RFC 8259).
    public init?(_ bytes: [UInt8]) {
        var parser = Parser(
            Array(bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]))
        guard let value = parser.value() else { return nil }
        parser.space()
        guard parser.at == parser.bytes.count else { return nil }
        self = value
    }

    public init?(_ text: String) { self.init(Array(text.utf8)) }

    /// The members of an object, in order; none of anything else.
    public var members: [Member] {
        if case .object(let members) = self { return members }
        return []
    }
    /// The last member of the name.
    public subscript(name: String) -> JSONValue? {
        members.last { $0.name == name }?.value
    }
    public subscript(index: Int) -> JSONValue? {
        if case .array(let elements) = self, elements.indices.contains(index) {
            return elements[index]
        }
        return nil
    }
    public var number: Double? {
        if case .number(let digits) = self { return Double(digits) }
        return nil
    }
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }
}

private struct Parser {
    let bytes: [UInt8]
    var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var present: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let byte = present, UInt32(byte) == character.value else { return false }
        at += 1
        return true
    }

    mutating func space() {
        while let byte = present, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
    }

    mutating func value() -> JSONValue? {
        space()
        if take("{") { return object() }
        if take("[") { return array() }
        if take("\"") { return string().map { .string($0) } }
        for (word, value) in [
            ("true", JSONValue.bool(true)), ("false", .bool(false)), ("null", .null),
        ] where bytes[at...].starts(with: word.utf8) {
            at += word.utf8.count
            return value
        }
        return number()
    }

    private mutating func object() -> JSONValue? {
        var members: [JSONValue.Member] = []
        space()
        if take("}") { return .object([]) }
        repeat {
            space()
            guard take("\""), let name = string() else { return nil }
            space()
            guard take(":"), let value = value() else { return nil }
            members.append(.init(name, value))
            space()
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array() -> JSONValue? {
        var elements: [JSONValue] = []
        space()
        if take("]") { return .array([]) }
        repeat {
            guard let element = value() else { return nil }
            elements.append(element)
            space()
        } while take(",")
        return take("]") ? .array(elements) : nil
    }

    private mutating func number() -> JSONValue? {
        let start = at
        let match = try? /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/.prefixMatch(
            in: String(decoding: bytes[start...].prefix(400), as: UTF8.self))
        guard let match else { return nil }
        at += match.0.utf8.count
        return .number(String(match.0))
    }

    private mutating func string() -> String? {
        var units: [UInt8] = []
        while let byte = present {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: units, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                units.append(contentsOf: String(Character(scalar)).utf8)
            case 0..<0x20: return nil
            default: units.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard let byte = present else { return nil }
        at += 1
        let simple: [Unicode.Scalar: Unicode.Scalar] = [
            "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r",
            "t": "\t",
        ]
        if let scalar = simple[Unicode.Scalar(byte)] { return scalar }
        guard byte == UInt8(ascii: "u"), let unit = unit() else { return nil }
        guard (0xD800..<0xDC00).contains(unit) else { return Unicode.Scalar(unit) }
        guard take("\\"), take("u"), let low = self.unit(), (0xDC00..<0xE000).contains(low) else {
            return nil
        }
        return Unicode.Scalar(0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00))
    }

    private mutating func unit() -> UInt32? {
        guard at + 4 <= bytes.count else { return nil }
        let digits = bytes[at..<at + 4]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        at += 4
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
