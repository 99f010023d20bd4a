// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// A checked value and its place. A default has the place of the section that it is missing from.
struct Setting: Sendable, Equatable {
    let place: Place
    let value: Value
}

/// A checked mapping: every key that is present and valid, or has a default.
struct Section: Sendable, Equatable {
    let place: Place
    /// The mapping's path with indices, for messages: `classes[0].kv`, or empty at the top.
    let path: String
    private var settings: [String: Setting] = [:]
    private var wrong: Set<String> = []

    init(place: Place, path: String) {
        self.place = place
        self.path = path
    }

    subscript(name: String) -> Setting? {
        get { settings[name] }
        set { settings[name] = newValue }
    }

    /// Remembers that a key's value, or an item of its list, was a mistake.
    mutating func markWrong(_ name: String) { wrong.insert(name) }

    /// The key is absent, or valid in all its parts directly under it.
    func isRight(_ name: String) -> Bool { !wrong.contains(name) }

    /// A key's path with indices, for messages.
    func path(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// The place of a key's value, or of the mapping when it is absent.
    func place(_ name: String) -> Place { settings[name]?.place ?? place }

    /// The place of the value at a path below this one, as far as there is one.
    func place(of path: String) -> Place {
        var section = self
        var found = place
        for part in path.split(separator: ".") {
            let name = part.prefix { $0 != "[" }
            guard let setting = section[String(name)] else { break }
            found = setting.place
            guard let next = setting.value.section(part.dropFirst(name.count)) else { break }
            found = next.place
            section = next
        }
        return found
    }

    // MARK: By type. Nil when absent, or when it was a mistake.

    func integer(_ name: String) -> Int? {
        guard case .integer(let value) = settings[name]?.value else { return nil }
        return value
    }
    func boolean(_ name: String) -> Bool? {
        guard case .boolean(let value) = settings[name]?.value else { return nil }
        return value
    }
    func decimal(_ name: String) -> Double? {
        guard case .decimal(let value) = settings[name]?.value else { return nil }
        return value
    }
    func tokens(_ name: String) -> Tokens? { integer(name).map { Tokens($0) } }
    func duration(_ name: String) -> Duration? {
        guard case .duration(let value) = settings[name]?.value else { return nil }
        return value
    }
    func size(_ name: String) -> Bytes? {
        guard case .size(let value) = settings[name]?.value else { return nil }
        return value
    }
    func text(_ name: String) -> String? {
        guard case .text(let value) = settings[name]?.value else { return nil }
        return value
    }
    func secret(_ name: String) -> Secret? {
        guard case .secret(let value) = settings[name]?.value else { return nil }
        return value
    }
    func time(_ name: String) -> WallTime? {
        guard case .time(let value) = settings[name]?.value else { return nil }
        return value
    }
    func keyHash(_ name: String) -> KeyHash? {
        guard case .keyHash(let value) = settings[name]?.value else { return nil }
        return value
    }
    func address(_ name: String) -> Address? {
        guard case .address(let value) = settings[name]?.value else { return nil }
        return value
    }
    func section(_ name: String) -> Section? {
        guard case .section(let value) = settings[name]?.value else { return nil }
        return value
    }
    /// The items of a list, without those that were mistakes.
    func list(_ name: String) -> [Setting] {
        guard case .list(let items) = settings[name]?.value else { return [] }
        return items
    }
    func sections(_ name: String) -> [Section] {
        list(name).compactMap { item in
            if case .section(let section) = item.value { section } else { nil }
        }
    }
    func texts(_ name: String) -> [(text: String, place: Place)] {
        list(name).compactMap { item in
            if case .text(let text) = item.value { (text, item.place) } else { nil }
        }
    }
}

/// The value that a finished check has proven to be there.
func checked<Value>(_ value: Value?) -> Value {
    guard let value else { broken("a required key has a value after the check") }
    return value
}

extension Value {
    /// The section itself, or of a list of them the one of an index in brackets.
    fileprivate func section(_ index: Substring) -> Section? {
        switch self {
        case .section(let section): return section
        case .list(let items):
            guard let place = Int(index.dropFirst().dropLast()), items.indices.contains(place),
                case .section(let section) = items[place].value
            else { return nil }
            return section
        default: return nil
        }
    }
}
