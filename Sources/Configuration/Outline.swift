// SPDX-License-Identifier: Apache-2.0

import Units

/// The table as a tree: the keys that a mapping may have, in the order of the table.
struct Outline: Sendable {
    struct Member: Sendable {
        let key: Key
        let name: String
        /// What stands under it, for sections and lists of sections.
        let inner: Outline
    }

    let members: [Member]

    /// All keys of the configuration.
    static let root = Outline(Keys.all, under: "")

    /// Of some other document.
    init(_ keys: [Key]) { self.init(keys, under: "") }

    private init(_ keys: [Key], under prefix: String) {
        members = keys.compactMap { key in
            guard key.path.hasPrefix(prefix) else { return nil }
            let name = String(key.path.dropFirst(prefix.count))
            guard !name.contains(".") else { return nil }
            switch key.kind {
            case .section:
                return Member(
                    key: key, name: name, inner: Outline(keys, under: "\(key.path)."))
            case .entries:
                return Member(
                    key: key, name: name, inner: Outline(keys, under: "\(key.path)[]."))
            case .list, .scalar, .notYet:
                return Member(key: key, name: name, inner: Outline())
            }
        }
    }

    private init() { members = [] }

    subscript(name: String) -> Member? { members.first { $0.name == name } }

    /// `; did you mean …`, for a key that is not here: the nearest name of this mapping, or a
    /// section of it that has just this key.
    func hint(to name: String) -> String {
        let hint = Nearest.hint(to: name, among: members.map(\.name))
        if !hint.isEmpty { return hint }
        for member in members {
            if case .section = member.key.kind, member.inner[name] != nil {
                return "; it belongs in '\(member.name)'"
            }
        }
        return ""
    }
}
