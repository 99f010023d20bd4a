// SPDX-License-Identifier: Apache-2.0

/// A JSON value to be printed, its members in the order given.
indirect enum JSONText {
    case object([(name: String, value: JSONText)])
    case array([JSONText])
    case text(String)
    /// A number, `true`, `false` or `null` as it is printed.
    case word(String)

    /// On one line.
    var line: String {
        switch self {
        case .object(let members):
            let inner = members.map { "\(Self.quoted($0.name)):\($0.value.line)" }
            return "{\(inner.joined(separator: ","))}"
        case .array(let items): return "[\(items.map(\.line).joined(separator: ","))]"
        case .text(let text): return Self.quoted(text)
        case .word(let word): return word
        }
    }

    /// A member or item a line, two spaces a level; what holds only words and texts on one line.
    var pretty: String { pretty(indent: "") }

    private func pretty(indent: String) -> String {
        let inner = indent + "  "
        let items: [String]
        switch self {
        case .object(let members):
            items = members.map { "\(Self.quoted($0.name)): \($0.value.pretty(indent: inner))" }
            return items.isEmpty
                ? "{}" : "{\n\(inner)\(items.joined(separator: ",\n\(inner)"))\n\(indent)}"
        case .array(let values):
            if values.allSatisfy(\.isLeaf) {
                return "[\(values.map(\.line).joined(separator: ", "))]"
            }
            items = values.map { $0.pretty(indent: inner) }
            return "[\n\(inner)\(items.joined(separator: ",\n\(inner)"))\n\(indent)]"
        case .text, .word: return line
        }
    }

    private var isLeaf: Bool {
        switch self {
        case .text, .word: true
        case .object, .array: false
        }
    }

    /// A JSON string (RFC 8259 §7), which is a YAML string in double quotes as well.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let code = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - code.count) + code
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
