// SPDX-License-Identifier: Apache-2.0

/// Of a JSON Schema, the keys that stand in several sections with the same words: written once,
/// under `$defs`, and referred to. Limits would else stand there for each of whom they may be.
struct SharedDefinitions {
    /// A reference is no shorter than what stands there less often.
    private static let least = 3

    private var counts: [String: Int] = [:]
    /// By the text of a definition.
    private var names: [String: String] = [:]
    private var taken: Set<String> = ["substitution"]
    /// In the order of their first places.
    private(set) var definitions: [(name: String, value: JSONText)] = []

    /// A schema with references, and then `definitions` to be put beside it.
    mutating func share(in schema: JSONText) -> JSONText {
        count(schema)
        return replaced(schema)
    }

    private mutating func count(_ schema: JSONText) {
        eachProperty(of: schema) { counts[$1.line, default: 0] += 1 }
    }

    private func eachProperty(
        of schema: JSONText, _ body: (String, JSONText) -> Void
    ) {
        switch schema {
        case .object(let members):
            for member in members {
                guard member.name == "properties", case .object(let properties) = member.value
                else {
                    eachProperty(of: member.value, body)
                    continue
                }
                for property in properties {
                    if Self.isScalar(property.value) {
                        body(property.name, property.value)
                    } else {
                        eachProperty(of: property.value, body)
                    }
                }
            }
        case .array(let items): for item in items { eachProperty(of: item, body) }
        case .text, .word: break
        }
    }

    private mutating func replaced(_ schema: JSONText) -> JSONText {
        switch schema {
        case .object(let members):
            var found: [(name: String, value: JSONText)] = []
            for member in members {
                guard member.name == "properties", case .object(let properties) = member.value
                else {
                    found.append((member.name, replaced(member.value)))
                    continue
                }
                var inner: [(name: String, value: JSONText)] = []
                for property in properties {
                    inner.append(
                        (property.name, reference(property.name, property.value)))
                }
                found.append((member.name, .object(inner)))
            }
            return .object(found)
        case .array(let items):
            var found: [JSONText] = []
            for item in items { found.append(replaced(item)) }
            return .array(found)
        case .text, .word: return schema
        }
    }

    private mutating func reference(_ name: String, _ schema: JSONText) -> JSONText {
        guard Self.isScalar(schema) else { return replaced(schema) }
        let text = schema.line
        guard counts[text, default: 0] >= Self.least else { return schema }
        if names[text] == nil {
            var free = name
            var number = 2
            while !taken.insert(free).inserted {
                free = "\(name)_\(number)"
                number += 1
            }
            names[text] = free
            definitions.append((free, schema))
        }
        return .object([("$ref", .text("#/$defs/\(names[text] ?? name)"))])
    }

    /// A key with a value, and not with a section or a list.
    private static func isScalar(_ schema: JSONText) -> Bool {
        guard case .object(let members) = schema else { return false }
        return members.contains { $0.name == "anyOf" }
    }
}
