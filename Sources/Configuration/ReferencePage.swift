// SPDX-License-Identifier: Apache-2.0

import Units

/// `docs/configuration.md`, made from the table.
public enum ReferencePage {
    /// The whole page in Markdown.
    public static func markdown() -> String {
        var text = opening
        tables(Outline.root, path: "", into: &text)
        text += "\n## Not available in this version\n\n"
        text += "These are known, and refused with a message that says so.\n\n"
        text += "| key or value | meaning |\n| --- | --- |\n"
        for key in Keys.all {
            if case .notYet = key.kind { text += "| `\(key.path)` | \(key.meaning) |\n" }
            for value in key.later {
                text += "| `\(key.path): \(value)` | \(key.meaning) |\n"
            }
        }
        return text
    }

    private static let opening = """
        # Configuration

        One YAML file says everything: `penstock serve --config FILE`. Two commented examples
        stand in `config/`: `minimal.yaml` has what is required, `penstock.yaml` every key.
        `config/penstock.schema.json` is a JSON Schema for editors. This page and the schema are
        made from the table in `Sources/Configuration/Keys.swift`; a test fails when they are
        stale, and `PENSTOCK_UPDATE=1 swift test --filter ReferenceTests` writes them anew.

        `penstock check --config FILE` names every mistake as `file:line:column: message`; with
        `--print` it shows the configuration with all defaults filled in and secrets masked.

        ## How values are written

        | value | written as |
        | --- | --- |
        | duration | a number and `ms`, `s`, `m`, `h` or `d`: `250ms`, `1.5s`, `5m` |
        | size | a number and `B`, `KiB`, `MiB` or `GiB`: `64KiB`, `8MiB` |
        | number | digits, `_` between them if you like: `2000000`, `2_000_000`, `0.85` |
        | name | letters, digits and `._-:@+` (models also `/`), a letter or digit first |
        | listening address | `0.0.0.0:8080`, `[::]:8080` or `unix:/run/penstock.sock`; port 0 \
        lets the kernel choose |
        | address to connect to | the same, or a host name: `redis.internal:6379` |
        | time | of RFC 3339, in UTC or with an offset: `2027-01-31T00:00:00Z` |
        | time zone | its name in the IANA database: `Europe/Berlin`, or `UTC` |
        | engine's URL | `http://host:port`; without a port it is 80 |
        | key hash | `sha256:` and 64 hexadecimal digits, as `penstock key new` and \
        `penstock key hash` print it |
        | secret | the text itself, or `file:PATH`: what the file holds without its last line \
        break |

        - A key that is absent, empty or `null` has its default.
        - `${NAME}` in a value is taken from the environment, and must be set; `${NAME:-default}`
          is the default where it is unset or empty. `$$` is a dollar sign. What a variable holds
          is only ever text: it cannot add keys.
        - Relative paths are meant beside the configuration file.
        - Anchors, aliases and merge keys (`<<`) work. A key that stands twice is a mistake.
        - A file has at most 4 MiB, 500000 values with aliases counted, and 32 levels.

        ## Reload

        SIGHUP or `POST /admin/reload` reads the file again. The configuration is replaced as a
        whole or, where there is a mistake, not at all; requests keep the one that admitted them.
        Keys marked *restart* cannot change that way: a reload that changes one is refused.

        """

    // MARK: Tables

    private static func tables(_ outline: Outline, path: String, into text: inout String) {
        if path.isEmpty { text += "\n## Top level\n" }
        let rows = outline.members.filter(\.isValue)
        if !rows.isEmpty {
            text += "\n| key | type | bounds | default | change | meaning |\n"
            text += "| --- | --- | --- | --- | --- | --- |\n"
            for row in rows { text += self.row(row.key) }
        }
        for member in outline.members where !member.isValue && !member.isLater {
            text += "\n\(heading(member)) `\(member.key.path)`\n\n\(member.key.meaning)"
            switch member.key.kind {
            case .entries(let counts, let short):
                text += " A list of \(counts.words)."
                if let short { text += " An entry that is only a value is its `\(short)`." }
                text += "\n"
            default: text += "\n"
            }
            tables(member.inner, path: member.key.path, into: &text)
        }
    }

    private static func heading(_ member: Outline.Member) -> String {
        String(repeating: "#", count: member.key.path.split(separator: ".").count + 1)
    }

    private static func row(_ key: Key) -> String {
        let type: String
        var bounds = ""
        switch key.kind {
        case .scalar(let scalar): (type, bounds) = (scalar.typeName, scalar.bounds)
        case .list(let scalar, let counts):
            type = "list: \(scalar.typeName)"
            bounds = [scalar.bounds, counts.words].filter { !$0.isEmpty }.joined(separator: "; ")
        case .section, .entries, .notYet: return ""
        }
        let change =
            switch key.reload {
            case .reloadable: "reload"
            case .fixed: "restart"
            }
        return "| `\(key.name)` | \(type) | \(bounds) | \(key.standard.words) | \(change) "
            + "| \(key.meaning) |\n"
    }
}

extension Outline.Member {
    /// Holds a value or a list of values.
    fileprivate var isValue: Bool {
        switch key.kind {
        case .scalar, .list: true
        case .section, .entries, .notYet: false
        }
    }
    fileprivate var isLater: Bool {
        if case .notYet = key.kind { true } else { false }
    }
}

extension Key {
    /// Values of the contract that this version does not have.
    fileprivate var later: [String] {
        switch kind {
        case .scalar(.choice(_, let later)), .list(.choice(_, let later), _): later
        default: []
        }
    }
}

extension ClosedRange<Int> {
    fileprivate var words: String {
        lowerBound == upperBound ? "exactly \(lowerBound)" : "\(lowerBound) to \(upperBound)"
    }
}

extension Key.Standard {
    fileprivate var words: String {
        switch self {
        case .required: "required"
        case .absent: "none"
        case .stated(let rule): rule
        case .filled: ""
        case .sameAs(let key): "as `\(key)`"
        case .processors: "one per core, at most 64"
        case .value(let value): EffectiveWriter.inline(value)
        }
    }
}

extension Scalar {
    fileprivate var typeName: String {
        switch self {
        case .integer(_, let unit): unit.isEmpty ? "whole number" : "whole number, \(unit)"
        case .boolean: "`true`, `false`"
        case .decimal(_, let unit): unit.isEmpty ? "number" : "number, \(unit)"
        case .duration: "duration"
        case .size: "size"
        case .choice(let words, _): words.map { "`\($0)`" }.joined(separator: ", ")
        case .name, .modelName: "name"
        case .reference(let referent): "name of a \(referent.rawValue)"
        case .text: "visible ASCII without spaces"
        case .path: "path"
        case .keySet: "path, or `https` URL"
        case .timeZone: "time zone"
        case .currency: "three capital letters"
        case .secret: "secret"
        case .keyHash: "key hash"
        case .time: "time"
        case .listenAddress: "listening address"
        case .connectAddress: "address to connect to"
        case .endpoint: "engine's URL"
        case .addressRange: "address, or a range as `10.0.0.0/8`"
        }
    }

    fileprivate var bounds: String {
        switch self {
        case .integer(let range, _): "\(range.lowerBound) to \(range.upperBound)"
        case .decimal(let range, _): "\(range.lowerBound.plain) to \(range.upperBound.plain)"
        case .duration(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .size(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .name: "64 characters"
        case .modelName: "128 characters"
        case .text(let most): "\(most) bytes"
        case .secret(.header): "4096 bytes, visible ASCII without spaces"
        case .secret(.command): "4096 bytes, no control characters"
        case .boolean, .choice, .reference, .path, .keySet, .currency, .timeZone, .keyHash, .time,
            .listenAddress, .connectAddress, .endpoint, .addressRange:
            ""
        }
    }
}
