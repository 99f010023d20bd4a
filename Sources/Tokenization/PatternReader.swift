// SPDX-License-Identifier: Apache-2.0

/// Reads the regular expressions by which tokenizers cut texts; what it does not know is an error,
/// never a guess.
struct PatternReader {
    private let text: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private var foldsCase = false

    private init(_ pattern: String) { text = Array(pattern.unicodeScalars) }

    /// The whole pattern.
    static func read(_ pattern: String) throws(PatternFault) -> PatternNode {
        var reader = PatternReader(pattern)
        let node = try reader.choice()
        guard reader.at == reader.text.count else {
            throw PatternFault(reason: "`)` opens nothing")
        }
        return node
    }

    private var next: Unicode.Scalar? { at < text.count ? text[at] : nil }

    private mutating func take(_ expected: String) -> Bool {
        let scalars = Array(expected.unicodeScalars)
        guard text[at...].starts(with: scalars) else { return false }
        at += scalars.count
        return true
    }

    private mutating func choice() throws(PatternFault) -> PatternNode {
        depth += 1
        guard depth <= 16 else { throw PatternFault(reason: "groups are nested too deep") }
        defer { depth -= 1 }
        var choices = [try sequence()]
        while take("|") { choices.append(try sequence()) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func sequence() throws(PatternFault) -> PatternNode {
        var items: [PatternNode] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            items.append(try quantified(try atom()))
        }
        return items.count == 1 ? items[0] : .sequence(items)
    }

    private mutating func quantified(_ atom: PatternNode) throws(PatternFault) -> PatternNode {
        guard let range = try quantifier() else { return atom }
        if take("?") { throw PatternFault(reason: "a lazy quantifier") }
        return .repeated(
            atom, min: range.lowerBound, max: range.upperBound, isPossessive: take("+"))
    }

    private mutating func quantifier() throws(PatternFault) -> ClosedRange<Int>? {
        if take("?") { return 0...1 }
        if take("*") { return 0...Int.max }
        if take("+") { return 1...Int.max }
        guard take("{") else { return nil }
        let low = number()
        let high = take(",") ? number() ?? Int.max : low
        guard take("}"), let high, low ?? 0 <= high else {
            throw PatternFault(reason: "a quantifier")
        }
        return (low ?? 0)...high
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = next, ("0"..."9").contains(digit), value ?? 0 < 1_000 {
            value = (value ?? 0) * 10 + Int(digit.value - 0x30)
            at += 1
        }
        return value
    }

    private mutating func atom() throws(PatternFault) -> PatternNode {
        if take("(?!\\S)") { return .notBeforeInk }
        if take("(?i:") {
            let outside = foldsCase
            foldsCase = true
            defer { foldsCase = outside }
            return try group()
        }
        if take("(?:") { return try group() }
        if take("(?") { throw PatternFault(reason: "a group of an unknown kind") }
        if take("(") { return try group() }
        if take("[") { return .set(try bracketed()) }
        if take("$") { return .atEnd }
        if take("\\") { return .set(try escaped()) }
        guard let scalar = next, !"^.*+?{}[]".unicodeScalars.contains(scalar) else {
            throw PatternFault(
                reason: "`\(next.map(String.init) ?? "")` where a character should be")
        }
        at += 1
        return .set(try resolved(scalar))
    }

    private mutating func group() throws(PatternFault) -> PatternNode {
        let node = try choice()
        guard take(")") else { throw PatternFault(reason: "a group without an end") }
        return node
    }
}

// MARK: Classes

extension PatternReader {
    private func resolved(_ scalar: Unicode.Scalar) throws(PatternFault) -> SymbolSet {
        var one = CharacterClass()
        one.add(scalar.value, bothCases: foldsCase)
        return try resolved(one)
    }

    private func resolved(_ found: CharacterClass) throws(PatternFault) -> SymbolSet {
        guard let set = found.resolved() else {
            throw PatternFault(reason: "a range of characters that no table has")
        }
        return set
    }

    private mutating func escaped() throws(PatternFault) -> SymbolSet {
        guard let scalar = next else { throw PatternFault(reason: "`\\` at the end") }
        at += 1
        switch scalar {
        case "s": return .space
        case "S": return SymbolSet.space.inverted
        case "d": return SymbolSet(category: "Nd") ?? SymbolSet()
        case "w": return SymbolSet(flag: CharacterKind.word)
        case "p": return try property()
        case "P": return try property().inverted
        default:
            guard let literal = PatternReader.literal(scalar) else {
                throw PatternFault(reason: "`\\\(scalar)`")
            }
            return try resolved(literal)
        }
    }

    private static func literal(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
        switch scalar {
        case "r": return "\r"
        case "n": return "\n"
        case "t": return "\t"
        case "0"..."9", "A"..."Z", "a"..."z": return nil
        default: return scalar.value < 128 ? scalar : nil
        }
    }

    private mutating func property() throws(PatternFault) -> SymbolSet {
        var name = ""
        if take("{") {
            while let scalar = next, scalar != "}" {
                name.unicodeScalars.append(scalar)
                at += 1
            }
            guard take("}") else { throw PatternFault(reason: "`\\p{` without an end") }
        } else if let scalar = next {
            name.unicodeScalars.append(scalar)
            at += 1
        }
        if name == "Han" { return SymbolSet(flag: CharacterKind.han) }
        if let set = SymbolSet(category: name) { return set }
        throw PatternFault(reason: "`\\p{\(name)}`")
    }

    /// Behind the `[`.
    private mutating func bracketed() throws(PatternFault) -> SymbolSet {
        let isNegated = take("^")
        var found = CharacterClass()
        var common: SymbolSet?
        while let scalar = next, scalar != "]" {
            if take("&&") {
                let side = try resolved(found)
                common = common?.intersection(side) ?? side
                found = CharacterClass()
            } else if take("[") {
                found.add(try bracketed())
            } else {
                try member(&found)
            }
        }
        guard take("]") else { throw PatternFault(reason: "`[` without an end") }
        var set = try resolved(found)
        if let common { set = set.intersection(common) }
        return isNegated ? set.inverted : set
    }

    /// A class, a character, or a range of them.
    private mutating func member(_ found: inout CharacterClass) throws(PatternFault) {
        let start = try bound()
        guard case .success(let low) = start else {
            if case .failure(let set) = start { found.add(set.members) }
            return
        }
        let mark = at
        guard take("-"), next != "]" else {
            at = mark
            return found.add(low.value, bothCases: foldsCase)
        }
        guard !foldsCase, case .success(let high) = try bound(), low <= high else {
            throw PatternFault(reason: "a range of characters")
        }
        found.add(low.value...high.value)
    }

    private struct Class: Error {
        let members: SymbolSet
    }

    private mutating func bound() throws(PatternFault) -> Result<Unicode.Scalar, Class> {
        guard let scalar = next else { throw PatternFault(reason: "`[` without an end") }
        guard scalar == "\\" else {
            at += 1
            return .success(scalar)
        }
        at += 1
        if let scalar = next, let literal = PatternReader.literal(scalar) {
            at += 1
            return .success(literal)
        }
        return .failure(Class(members: try escaped()))
    }
}
