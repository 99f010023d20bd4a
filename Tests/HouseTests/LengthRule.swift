// SPDX-License-Identifier: Apache-2.0

/// Sizes beyond which a reader loses the thread.
enum LengthRule {
    static let fileLimit = 500
    static let functionLimit = 70
    static let columnLimit = 100

    /// A declaration with a body: its name in the ratchet, where it begins, how long it is.
    struct Body: Equatable {
        let name: String
        let line: Int
        let lines: Int
    }

    /// Functions, initialisers, subscripts and computed properties with a body, in file order.
    static func bodies(in source: SwiftSource) -> [Body] {
        source.tokens.indices.compactMap { place in
            guard let name = declaredName(at: place, in: source),
                let open = bodyStart(after: place, in: source)
            else { return nil }
            let first = source.tokens[place].line
            let last = source.tokens[source.closing(of: open)].line
            return Body(name: name, line: first, lines: last - first + 1)
        }
    }

    private static func declaredName(at place: Int, in source: SwiftSource) -> String? {
        let token = source.tokens[place]
        if place > 0, source.tokens[place - 1].text == "." { return nil }
        switch token.text {
        case "func", "var":
            guard let name = source.texts(from: place + 1, count: 1).first else { return nil }
            return name.text
        case "init", "deinit", "subscript":
            return token.text
        default:
            return nil
        }
    }

    /// The `{` of the body; nil for a requirement of a protocol or a stored property.
    private static func bodyStart(after place: Int, in source: SwiftSource) -> Int? {
        let isProperty = source.tokens[place].text == "var"
        let ends: Set<String> = ["}", "func", "var", "let", "init", "deinit", "subscript", "case"]
        var next = place + 1
        while next < source.tokens.count {
            let token = source.tokens[next]
            if token.text == "{" { return next }
            if ends.contains(token.text), source.tokens[next - 1].text != "." { return nil }
            if isProperty, token.text == "=" || token.line > source.tokens[place].line {
                return nil
            }
            if token.text == "(" || token.text == "[" { next = source.closing(of: next) }
            next += 1
        }
        return nil
    }

    static func longFunctions(
        in source: SwiftSource, ratchet: [String: Int]
    ) -> [Offence] {
        bodies(in: source).compactMap { body in
            let key = "\(source.file.path):\(body.name)"
            guard body.lines > ratchet[key] ?? functionLimit else { return nil }
            return Offence(
                source.file, line: body.line,
                "\(body.name) has \(body.lines) lines, \(ratchet[key] ?? functionLimit) are "
                    + "allowed: move a step of it into a function with a name")
        }
    }

    /// Entries of the ratchet that are looser than the source needs.
    static func looseFunctions(
        in sources: [SwiftSource], ratchet: [String: Int]
    ) -> [String] {
        var longest: [String: Int] = [:]
        for source in sources {
            for body in bodies(in: source) {
                let key = "\(source.file.path):\(body.name)"
                longest[key] = max(longest[key] ?? 0, body.lines)
            }
        }
        return ratchet.keys.sorted().compactMap { key in
            let needed = longest[key] ?? 0
            if needed == ratchet[key], needed > functionLimit { return nil }
            return needed > functionLimit
                ? "\(key) is down to \(needed) lines: write that into the ratchet"
                : "\(key) has \(needed) lines: take it out of the ratchet"
        }
    }

    static func longFile(_ file: SourceFile) -> [Offence] {
        guard file.lines.count > fileLimit else { return [] }
        return [
            Offence(
                file, line: file.lines.count,
                "\(file.lines.count) lines, \(fileLimit) are allowed: one type a file")
        ]
    }

    /// Lines over the limit, but for the first `allowed` of the file.
    static func longLines(of file: SourceFile, allowed: Int) -> [Offence] {
        let found = file.lines.enumerated().filter { $0.element.count > columnLimit }
        return found.dropFirst(allowed).map { line in
            Offence(
                file, line: line.offset + 1,
                "\(line.element.count) columns, \(columnLimit) are allowed: break the line")
        }
    }
}
