// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Prints a checked configuration, defaults filled in and secrets masked, in the order of the
/// table.
enum EffectiveWriter {
    /// What stands for a secret of any length.
    static let mask = "********"

    /// YAML that can be read again, apart from masked keys: dollar signs are doubled.
    static func yaml(_ root: Section) -> String {
        var text = ""
        yamlMembers(root, .root, indent: "", into: &text)
        return text
    }

    /// The same as one line of JSON.
    static func json(_ root: Section) -> String {
        json(root, .root).line
    }

    /// Only what the outline knows, so that an empty section is left out.
    private static func present(
        _ section: Section, _ outline: Outline
    ) -> [(member: Outline.Member, value: Value)] {
        outline.members.compactMap { member in
            guard let value = section[member.name]?.value else { return nil }
            if case .section(let inner) = value, present(inner, member.inner).isEmpty {
                return nil
            }
            return (member, value)
        }
    }

    /// What may be written as a value is.
    private static func shortened(_ value: Value, _ member: Outline.Member) -> Value {
        guard case .entries(_, let short?) = member.key.kind, case .section(let inner) = value,
            case let found = present(inner, member.inner), found.count == 1,
            found[0].member.name == short
        else { return value }
        return found[0].value
    }

    // MARK: YAML

    private static func yamlMembers(
        _ section: Section, _ outline: Outline, indent: String, into text: inout String
    ) {
        var lead = ""
        for (member, value) in present(section, outline) {
            text += "\(lead)\(member.name):"
            lead = indent
            switch value {
            case .section(let inner):
                text += "\n\(indent)  "
                yamlMembers(inner, member.inner, indent: indent + "  ", into: &text)
            case .list(let items):
                yamlItems(items, member, indent: indent, into: &text)
            default:
                text += " \(yamlScalar(value))\n"
            }
        }
    }

    private static func yamlItems(
        _ items: [Setting], _ member: Outline.Member, indent: String, into text: inout String
    ) {
        text += items.isEmpty ? " []\n" : "\n"
        for item in items {
            text += "\(indent)  - "
            let value = shortened(item.value, member)
            if case .section(let inner) = value {
                yamlMembers(inner, member.inner, indent: indent + "    ", into: &text)
            } else {
                text += "\(yamlScalar(value))\n"
            }
        }
    }

    private static func yamlScalar(_ value: Value) -> String {
        guard let word = word(value) else { return number(value) }
        let escaped = word.replacing("$", with: "$$")
        return isPlain(escaped) ? escaped : JSONText.quoted(escaped)
    }

    /// Safe without quotes in every YAML version: begins with a letter or digit, holds nothing with
    /// a meaning, and is neither a number nor a word like `no`.
    private static func isPlain(_ word: String) -> Bool {
        let words = ["y", "n", "yes", "no", "true", "false", "on", "off", "null"]
        guard let first = word.utf8.first, !words.contains(word.lowercased()) else { return false }
        let isLetter = (0x41...0x5A).contains(first) || (0x61...0x7A).contains(first)
        let isQuantity = Scalar.duration(word) != nil || Scalar.size(word) != nil
        return (isLetter || isQuantity) && word.utf8.last != UInt8(ascii: ":")
            && word.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "-._/:@+".utf8.contains(byte)
                }
            }
    }

    // MARK: JSON

    private static func json(_ section: Section, _ outline: Outline) -> JSONText {
        .object(present(section, outline).map { ($0.member.name, json($0.value, $0.member)) })
    }

    private static func json(_ value: Value, _ member: Outline.Member) -> JSONText {
        switch value {
        case .section(let inner): json(inner, member.inner)
        case .list(let items): .array(items.map { json(shortened($0.value, member), member) })
        default: json(value)
        }
    }

    /// A value without keys of its own.
    static func json(_ value: Value) -> JSONText {
        word(value).map { .text($0) } ?? .word(number(value))
    }

    // MARK: Leaves

    /// The text of what is not a number; secrets and key hashes masked.
    private static func word(_ value: Value) -> String? {
        switch value {
        case .duration(let duration): duration.description
        case .size(let size): size.description
        case .text(let text): text
        case .secret: mask
        case .keyHash: "sha256:\(mask)"
        case .time(let time): RFC3339.text(time)
        case .address(let address): address.description
        case .endpoint(_, let authority, let isSecure):
            (isSecure ? "https://" : "http://") + authority
        case .integer, .boolean, .decimal, .list, .section: nil
        }
    }

    /// A default for the reference page.
    static func inline(_ value: Value) -> String {
        if case .list(let items) = value {
            return "`[\(items.map { yamlScalar($0.value) }.joined(separator: ", "))]`"
        }
        return "`\(word(value) ?? number(value))`"
    }

    private static func number(_ value: Value) -> String {
        switch value {
        case .integer(let count): String(count)
        case .boolean(let flag): String(flag)
        case .decimal(let number): number.plain
        default: "null"
        }
    }
}
