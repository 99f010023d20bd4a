// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// `config/penstock.schema.json`, made from the table: a JSON Schema (draft 2020-12) for editors.
///
/// It knows keys, types, bounds and what is required; names that refer to each other are left to
/// `penstock check`. A value that has `${…}` in it passes, because what it will be is not known
/// yet.
public enum SchemaPage {
    /// The whole document.
    public static func json() -> String {
        var shared = SharedDefinitions()
        guard case .object(var root) = shared.share(in: .object(section(Outline.root))) else {
            return ""
        }
        root.insert(("title", .text("Penstock configuration")), at: 0)
        root.insert(("$schema", .text("https://json-schema.org/draft/2020-12/schema")), at: 0)
        root.append(
            ("$defs", .object([("substitution", substitution)] + shared.definitions)))
        return JSONText.object(root).pretty + "\n"
    }

    private typealias Members = [(name: String, value: JSONText)]

    private static let substitution = JSONText.object([
        ("type", .text("string")), ("pattern", .text(#"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"#)),
    ])

    private static func section(_ outline: Outline) -> Members {
        let members = outline.members.filter {
            if case .notYet = $0.key.kind { false } else { true }
        }
        let required = members.filter {
            if case .required = $0.key.standard { true } else { false }
        }
        var section: Members = [
            ("type", .text("object")), ("additionalProperties", .word("false")),
        ]
        if !required.isEmpty {
            section.append(("required", .array(required.map { .text($0.name) })))
        }
        section.append(("properties", .object(members.map { ($0.name, property($0)) })))
        return section
    }

    private static func property(_ member: Outline.Member) -> JSONText {
        var schema: Members
        switch member.key.kind {
        case .section: schema = section(member.inner)
        case .entries(let counts, let short):
            schema = list(counts, of: entry(member.inner, short: short))
        case .list(let scalar, let counts): schema = list(counts, of: value(scalar))
        case .scalar(let scalar): schema = [("anyOf", .array(alternatives(scalar)))]
        case .notYet: schema = []
        }
        schema.insert(("description", .text(member.key.meaning)), at: 0)
        if case .value(let standard) = member.key.standard, case .scalar = member.key.kind {
            schema.append(("default", EffectiveWriter.json(standard)))
        }
        if case .required = member.key.standard { return .object(schema) }
        return .object(orNull(schema))
    }

    /// A key without a value has its default, whatever its type.
    private static func orNull(_ schema: Members) -> Members {
        schema.map { member in
            switch (member.name, member.value) {
            case ("type", let type): ("type", .array([type, .text("null")]))
            case ("anyOf", .array(let items)):
                ("anyOf", .array(items + [.object([("type", .text("null"))])]))
            default: member
            }
        }
    }

    /// A mapping, or the value of one of its keys.
    private static func entry(_ outline: Outline, short: String?) -> JSONText {
        let whole = JSONText.object(section(outline))
        guard let short, case .scalar(let scalar)? = outline[short]?.key.kind else { return whole }
        return .object([("anyOf", .array(alternatives(scalar) + [whole]))])
    }

    private static func list(_ counts: ClosedRange<Int>, of items: JSONText) -> Members {
        [
            ("type", .text("array")), ("minItems", .word(String(counts.lowerBound))),
            ("maxItems", .word(String(counts.upperBound))), ("items", items),
        ]
    }

    private static func value(_ scalar: Scalar) -> JSONText {
        .object([("anyOf", .array(alternatives(scalar)))])
    }

    private static func alternatives(_ scalar: Scalar) -> [JSONText] {
        [.object(direct(scalar)), .object([("$ref", .text("#/$defs/substitution"))])]
    }

    private static func direct(_ scalar: Scalar) -> Members {
        switch scalar {
        case .integer(let range, _):
            return [
                ("type", .text("integer")), ("minimum", .word(String(range.lowerBound))),
                ("maximum", .word(String(range.upperBound))),
            ]
        case .boolean: return [("type", .text("boolean"))]
        case .decimal(let range, _):
            return [
                ("type", .text("number")), ("minimum", .word(range.lowerBound.plain)),
                ("maximum", .word(range.upperBound.plain)),
            ]
        case .choice(let words, _): return [("enum", .array(words.map { .text($0) }))]
        default: return [("type", .text("string")), ("pattern", .text(pattern(scalar)))]
        }
    }

    /// What the text of a scalar looks like; a little wider than what is accepted.
    private static func pattern(_ scalar: Scalar) -> String {
        switch scalar {
        case .duration: #"^[0-9][0-9_]*(\.[0-9]{1,3})?(ms|s|m|h|d)$"#
        case .size: #"^[0-9][0-9_]*(\.[0-9]{1,3})?(B|KiB|MiB|GiB)$"#
        case .name, .reference(.pool), .reference(.trafficClass), .reference(.tenant),
            .reference(.organisation), .reference(.team):
            "^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$"
        case .modelName, .reference(.model): "^[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,127}$"
        case .text(let most): "^[!-~]{0,\(most)}$"
        case .timeZone: "^[A-Za-z0-9_+/-]{1,64}$"
        case .currency: "^[A-Z]{3}$"
        case .secret(.header): "^(file:.*|[!-~]*)$"
        case .keyHash: "^sha256:[0-9A-Fa-f]{64}$"
        case .time:
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?"
                + "([Zz]|[+-][0-9]{2}:[0-9]{2})$"
        case .listenAddress:
            #"^(unix:/.+|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$"#
        case .connectAddress:
            #"^(unix:/.+|[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$"#
        case .endpoint:
            #"^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"#
        case .addressRange: "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"
        case .secret(.command), .path, .keySet, .integer, .boolean, .decimal, .choice: "^.*$"
        }
    }
}
