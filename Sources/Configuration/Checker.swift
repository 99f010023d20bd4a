// SPDX-License-Identifier: Apache-2.0

import Foundation
import Policy
import Units

/// Reads a tree against the outline: unknown keys, types, bounds and defaults. What refers to
/// something elsewhere in the file is looked at afterwards, by `CrossCheck`.
struct Checker {
    /// Where variables come from.
    let environment: (String) -> String?
    /// The folder of the configuration file, for `file:`.
    let folder: String
    var mistakes: MistakeLog

    /// The whole document. A null document is one with every key missing.
    mutating func check(_ tree: Tree) -> Section {
        section(tree, .root, path: "") ?? Section(place: tree.place, path: "")
    }

    /// A document with other keys than the configuration's.
    mutating func check(_ tree: Tree, _ outline: Outline) -> Section {
        section(tree, outline, path: "") ?? Section(place: tree.place, path: "")
    }

    // MARK: Mappings

    private mutating func section(_ tree: Tree, _ outline: Outline, path: String) -> Section? {
        var members: [Tree.Member] = []
        switch tree.shape {
        case .mapping(let present): members = present
        case .null: break
        case .scalar, .sequence:
            let what = path.isEmpty ? "the file" : path
            mistakes.add("\(what): expected a mapping, found \(tree.kind)", at: tree.place)
            return nil
        }
        var section = Section(place: tree.place, path: path)
        for member in members {
            guard let known = outline[member.name] else {
                if mistakes.isFull { continue }
                let name = section.path(member.name.shown)
                let hint = outline.hint(to: member.name)
                mistakes.add("\(name): unknown key\(hint)", at: member.place)
                continue
            }
            let path = section.path(member.name)
            switch setting(member, known, path: path) {
            case .valid(let setting): section[member.name] = setting
            case .partial(let setting):
                section[member.name] = setting
                section.markWrong(member.name)
            case .absent: break
            case .wrong: section.markWrong(member.name)
            }
        }
        for member in outline.members
        where section[member.name] == nil && section.isRight(member.name) {
            fill(member, in: &section)
        }
        return section
    }

    private enum Outcome {
        case valid(Setting)
        /// A list some of whose items are mistakes, which have been noted.
        case partial(Setting)
        /// Null or empty: as if the key were not there.
        case absent
        /// There is a mistake, which has been noted.
        case wrong
    }

    private mutating func setting(
        _ member: Tree.Member, _ known: Outline.Member, path: String
    ) -> Outcome {
        let tree = member.value
        if case .notYet = known.key.kind {
            mistakes.add("\(path): not available in this version", at: member.place)
            return .wrong
        }
        if case .null = tree.shape { return .absent }
        switch known.key.kind {
        case .section:
            let inner = section(tree, known.inner, path: path)
            return outcome(inner.map { .section($0) }, at: tree.place)
        case .entries(let counts, let short):
            return items(tree, counts, path: path) { checker, item, path in
                if let short, case .scalar = item.shape {
                    return checker.shortened(item, short, known.inner, path: path)
                }
                let inner = checker.section(item, known.inner, path: path)
                return checker.outcome(inner.map { .section($0) }, at: item.place)
            }
        case .list(let scalar, let counts):
            return items(tree, counts, path: path) { checker, item, path in
                checker.scalar(item, scalar, path: path)
            }
        case .scalar(let scalar): return self.scalar(tree, scalar, path: path)
        case .notYet: return .wrong
        }
    }

    /// A mapping of which only one key's value is written.
    private mutating func shortened(
        _ tree: Tree, _ name: String, _ outline: Outline, path: String
    ) -> Outcome {
        guard case .scalar(let scalar)? = outline[name]?.key.kind else { return .wrong }
        switch self.scalar(tree, scalar, path: path) {
        case .valid(let setting), .partial(let setting):
            var section = Section(place: tree.place, path: path)
            section[name] = setting
            for member in outline.members where section[member.name] == nil {
                fill(member, in: &section)
            }
            return .valid(Setting(place: tree.place, value: .section(section)))
        case .absent: return .absent
        case .wrong: return .wrong
        }
    }

    private func outcome(_ value: Value?, at place: Place) -> Outcome {
        value.map { .valid(Setting(place: place, value: $0)) } ?? .wrong
    }

    private mutating func fill(_ member: Outline.Member, in section: inout Section) {
        let place = section.place
        let value: Value
        switch member.key.standard {
        case .required:
            mistakes.add("\(section.path(member.name)): is required", at: place)
            section.markWrong(member.name)
            return
        case .absent, .stated: return
        case .filled:
            let inner = self.section(
                Tree(.null, at: place), member.inner, path: section.path(member.name))
            guard let inner else { return }
            value = .section(inner)
        case .value(let standard): value = standard
        case .sameAs(let other):
            guard let same = section[other] else { return }
            value = same.value
        case .processors:
            value = .integer(min(max(ProcessInfo.processInfo.activeProcessorCount, 1), 64))
        }
        section[member.name] = Setting(place: place, value: value)
    }

    // MARK: Lists

    private mutating func items(
        _ tree: Tree, _ counts: ClosedRange<Int>, path: String,
        _ read: (inout Checker, Tree, String) -> Outcome
    ) -> Outcome {
        guard case .sequence(let items) = tree.shape else {
            mistakes.add("\(path): expected a list, found \(tree.kind)", at: tree.place)
            return .wrong
        }
        guard counts.contains(items.count) else {
            let expected =
                counts.lowerBound == counts.upperBound
                ? "\(counts.lowerBound)" : "\(counts.lowerBound) to \(counts.upperBound)"
            mistakes.add(
                "\(path): expected a list of \(expected), found one of \(items.count)",
                at: tree.place)
            return .wrong
        }
        var settings: [Setting] = []
        var isRight = true
        for (index, item) in items.enumerated() {
            switch read(&self, item, "\(path)[\(index)]") {
            case .valid(let setting), .partial(let setting): settings.append(setting)
            case .absent:
                mistakes.add("\(path)[\(index)]: is empty", at: item.place)
                isRight = false
            case .wrong: isRight = false
            }
        }
        let setting = Setting(place: tree.place, value: .list(settings))
        return isRight ? .valid(setting) : .partial(setting)
    }

    // MARK: Scalars

    private mutating func scalar(_ tree: Tree, _ scalar: Scalar, path: String) -> Outcome {
        if case .null = tree.shape { return .absent }
        guard case .scalar(let raw) = tree.shape else {
            let expected = scalar.label
            mistakes.add("\(path): expected \(expected), found \(tree.kind)", at: tree.place)
            return .wrong
        }
        let text: Substitution.Result
        do throws(Substitution.Fault) {
            text = try Substitution.expand(raw, environment: environment)
        } catch {
            mistakes.add("\(path): \(error.message)", at: tree.place)
            return .wrong
        }
        if text.text.isEmpty { return .absent }
        // The raw text names the variables and never what they hold.
        let shown = text.isFromEnvironment ? raw : text.text
        do throws(ScalarFault) {
            let value = try scalar.parse(contents(text.text, scalar, raw: raw))
            return .valid(Setting(place: tree.place, value: value))
        } catch {
            mistakes.add("\(path): \(error.message(shown))", at: tree.place)
            return .wrong
        }
    }

    /// The text itself, or for a secret what its file holds.
    private func contents(
        _ text: String, _ scalar: Scalar, raw: String
    ) throws(ScalarFault) -> String {
        guard case .secret = scalar, text.hasPrefix("file:") else { return text }
        do throws(FileReader.Fault) {
            return try FileReader.secret(at: String(text.dropFirst(5)), folder: folder)
        } catch {
            throw .refused("'\(raw.shown)' \(error.reason)")
        }
    }
}

extension Substitution.Fault {
    fileprivate var message: String {
        switch self {
        case .unset(let name):
            "the environment variable \(name.shown) is not set; "
                + "'${\(name.shown):-…}' gives it a default"
        case .malformed: "expected '${NAME}' or '${NAME:-default}'; a dollar sign itself is '$$'"
        case .tooLong: "longer than \(Substitution.longest) bytes after substitution"
        }
    }
}

extension ScalarFault {
    fileprivate func message(_ found: String) -> String {
        switch self {
        case .expected(let what, let advice): "expected \(what), found '\(found.shown)'\(advice)"
        case .notYet: "'\(found.shown)' is not available in this version"
        case .refused(let message): message
        }
    }
}
