// SPDX-License-Identifier: Apache-2.0

import Yams

/// From the bytes of a file to its tree: the only place that knows the YAML library.
///
/// What it refuses: more than one document, keys that are not plain text or stand twice, tags, and
/// what is over the bounds.
struct Composer {
    /// Nothing that is a configuration of ours comes near.
    static let maxDepth = 32
    /// With every use of an alias counted: what "a billion laughs" runs into.
    static let maxValues = 500_000

    /// Characters read again, in all, for keys that stand twice: a large file is given up earlier.
    private static let mostReadAgain = 1 << 20

    private static let knownTags: Set<String> = Set(
        [.implicit, .nonSpecific, .str, .int, .float, .bool, .null, .seq, .map]
            .map { (name: Tag.Name) in name.rawValue })

    private var document: DocumentText
    private var anchored: [String: Tree] = [:]
    private var values = 0

    private init(_ document: DocumentText) { self.document = document }

    /// The tree of the one document in `bytes`; nil when nothing could be read, with the reason in
    /// `mistakes`. An empty document is a null.
    static func compose(_ bytes: [UInt8], _ mistakes: inout MistakeLog) -> Tree? {
        do throws(DocumentText.Fault) {
            var composer = Composer(try DocumentText(bytes))
            return composer.compose(&mistakes)
        } catch {
            mistakes.add(error.message, at: error.place)
            return nil
        }
    }

    /// Reads again for as long as a key that stands twice can be set aside.
    private mutating func compose(_ mistakes: inout MistakeLog) -> Tree? {
        var readAgain = 0
        while true {
            do {
                // Anchors live only as long as the parser.
                let parser = try Parser(
                    yaml: document.text, resolver: .basic, constructor: .default, encoding: .utf8)
                return try withExtendedLifetime(parser) {
                    guard let root = try parser.singleRoot() else { return Tree(.null, at: .start) }
                    return convert(root, depth: 1, &mistakes)
                }
            } catch let YamlError.duplicatedKeysInMapping(names, context) {
                let place = Place(context.mark)
                readAgain += document.count
                if readAgain <= Self.mostReadAgain, let name = names.first,
                    document.setAside(name, at: place)
                {
                    continue
                }
                let name = document.original(names.first ?? "")
                mistakes.add("the key '\(name.shown)' stands twice in this mapping", at: place)
            } catch let error as YamlError {
                mistakes.add("not valid YAML: \(error.reason)", at: error.place)
            } catch {
                mistakes.add("not valid YAML", at: .start)
            }
            return nil
        }
    }

    private mutating func convert(
        _ node: Node, depth: Int, _ mistakes: inout MistakeLog
    ) -> Tree {
        let place = node.mark.map { Place($0) } ?? .start
        guard depth <= Self.maxDepth else {
            mistakes.add("nested more than \(Self.maxDepth) deep", at: place)
            return Tree(.null, at: place)
        }
        values += 1
        guard values <= Self.maxValues else { return tooMany(at: place, &mistakes) }
        let shape: Tree.Shape
        switch node {
        case .scalar(let scalar):
            checkTag(scalar.tag, at: place, &mistakes)
            if let name = aliasName(scalar) { return use(name, at: place, &mistakes) }
            shape = Self.isNull(scalar) ? .null : .scalar(document.original(scalar.string))
        case .sequence(let sequence):
            checkTag(sequence.tag, at: place, &mistakes)
            shape = .sequence(sequence.map { convert($0, depth: depth + 1, &mistakes) })
        case .mapping(let mapping):
            checkTag(mapping.tag, at: place, &mistakes)
            shape = .mapping(members(mapping, depth: depth, &mistakes))
        case .alias: shape = .null
        }
        let tree = Tree(shape, at: place)
        if let anchor = node.anchor { anchored[anchor.rawValue] = tree }
        return tree
    }

    private func tooMany(at place: Place, _ mistakes: inout MistakeLog) -> Tree {
        if values == Self.maxValues + 1 {
            mistakes.add("more than \(Self.maxValues) values, aliases counted", at: place)
        }
        return Tree(.null, at: place)
    }

    private func checkTag(_ tag: Tag, at place: Place, _ mistakes: inout MistakeLog) {
        if !Self.knownTags.contains(tag.rawValue) {
            mistakes.add("a tag has no meaning here; write the value alone", at: place)
        }
    }

    private static func isNull(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    // MARK: Aliases

    private func aliasName(_ scalar: Node.Scalar) -> String? {
        scalar.style == .plain ? document.aliasName(scalar.string) : nil
    }

    private mutating func use(
        _ name: String, at place: Place, _ mistakes: inout MistakeLog
    ) -> Tree {
        guard let tree = anchored[name] else {
            let name = document.original(name).shown
            mistakes.add("the alias '*\(name)' has no anchor '&\(name)' before it", at: place)
            return Tree(.null, at: place)
        }
        let before = values
        values += tree.size
        guard values <= Self.maxValues else {
            if before <= Self.maxValues { values = Self.maxValues + 1 }
            return tooMany(at: place, &mistakes)
        }
        return tree
    }

    // MARK: Mappings

    private mutating func members(
        _ mapping: Node.Mapping, depth: Int, _ mistakes: inout MistakeLog
    ) -> [Tree.Member] {
        var members: [Tree.Member] = []
        var merged: [Tree.Member] = []
        var lines: [String: Int] = [:]
        for (key, value) in mapping {
            let place = key.mark.map { Place($0) } ?? .start
            guard let scalar = key.scalar, aliasName(scalar) == nil else {
                mistakes.add("a key must be plain text", at: place)
                continue
            }
            checkTag(scalar.tag, at: place, &mistakes)
            let name = document.original(scalar.string)
            let tree = convert(value, depth: depth + 1, &mistakes)
            if scalar.style == .plain, name == "<<" {
                merged += merge(tree, &mistakes)
            } else if let line = lines[name] {
                mistakes.add("the key '\(name.shown)' stands already in line \(line)", at: place)
            } else {
                lines[name] = place.line
                members.append(Tree.Member(name: name, place: place, value: tree))
            }
        }
        // A mapping's own keys win over merged ones, earlier merged ones over later
        // (https://yaml.org/type/merge.html).
        for member in merged where lines[member.name] == nil {
            lines[member.name] = member.place.line
            members.append(member)
        }
        return members
    }

    private func merge(_ tree: Tree, _ mistakes: inout MistakeLog) -> [Tree.Member] {
        switch tree.shape {
        case .mapping(let members): return members
        case .sequence(let items):
            var merged: [Tree.Member] = []
            for item in items {
                guard case .mapping(let members) = item.shape else {
                    mistakes.add("'<<' can merge only mappings", at: item.place)
                    continue
                }
                merged += members
            }
            return merged
        case .null, .scalar:
            mistakes.add("'<<' can merge only mappings", at: tree.place)
            return []
        }
    }
}

extension Place {
    /// The library's marks count from 1 as we do.
    fileprivate init(_ mark: Mark) { self.init(line: mark.line, column: mark.column) }
}

extension YamlError {
    /// The library's own words without the text around the place, which may hold a secret.
    fileprivate var reason: String {
        switch self {
        case .scanner(let context, let problem, _, _), .parser(let context, let problem, _, _),
            .composer(let context, let problem, _, _):
            guard let context, !context.text.isEmpty else { return problem }
            return "\(context.text) in line \(context.mark.line): \(problem)"
        case .reader(let problem, _, _, _): return problem
        case .memory: return "nested too deep"
        default: return "cannot be read"
        }
    }

    fileprivate var place: Place {
        switch self {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _):
            Place(mark)
        default: .start
        }
    }
}
