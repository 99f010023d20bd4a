// SPDX-License-Identifier: Apache-2.0

/// Makes the alternatives of a pattern into arms, or says why one has no such form.
enum ArmReader {
    /// All alternatives of `node` in their order.
    static func arms(_ node: PatternNode) throws(PatternFault) -> [Arm] {
        guard case .choice(let choices) = node else { return [try arm(node)] }
        var arms: [Arm] = []
        for choice in choices { arms += try ArmReader.arms(choice) }
        return arms
    }

    private static func arm(_ node: PatternNode) throws(PatternFault) -> Arm {
        if let words = words(node), words.count > 1 || words[0].count > 1 { return .words(words) }
        let items = items(node)
        if let arm = space(items) { return arm }
        return try run(items)
    }

    private static func items(_ node: PatternNode) -> [PatternNode] {
        guard case .sequence(let items) = node else { return [node] }
        return items.flatMap { ArmReader.items($0) }
    }

    /// All texts that `node` stands for, each as a row of sets; nil when they are not of fixed
    /// length, or many.
    private static func words(_ node: PatternNode) -> [[SymbolSet]]? {
        switch node {
        case .set(let set): return [[set]]
        case .choice(let choices):
            var all: [[SymbolSet]] = []
            for choice in choices {
                guard let words = words(choice) else { return nil }
                all += words
            }
            return all.count <= 64 ? all : nil
        case .sequence(let items):
            var all: [[SymbolSet]] = [[]]
            for item in items {
                guard let words = words(item) else { return nil }
                all = all.flatMap { start in words.map { start + $0 } }
                guard all.count <= 64 else { return nil }
            }
            return all[0].isEmpty ? nil : all
        case .repeated, .notBeforeInk, .atEnd: return nil
        }
    }

    // MARK: White space

    private static func space(_ items: [PatternNode]) -> Arm? {
        guard items.count == 2,
            case .repeated(.set(.space), let min, .max, let possessive) = items[0]
        else { return nil }
        switch items[1] {
        case .notBeforeInk: return min == 1 && !possessive ? .spaceBeforeInk : nil
        case .atEnd: return min == 1 ? .spaceAtEnd : nil
        case .set(let ends), .repeated(.set(let ends), 1, .max, _):
            return min == 0 && !possessive && ends.isSubset(of: .space)
                ? .spaceToLineEnd(ends) : nil
        default: return nil
        }
    }

    // MARK: Runs

    private static func run(_ items: [PatternNode]) throws(PatternFault) -> Arm {
        var items = items
        var run = Arm.Run(parts: [])
        if case .repeated(let inner, 0, 1, _)? = items.last, items.count > 1,
            let words = words(inner), words.contains(where: { $0.count > 1 })
        {
            run.suffix = words
            items.removeLast()
        }
        run.parts = try parts(items)
        guard run.parts.contains(where: { $0.min > 0 }) else {
            throw PatternFault(reason: "an alternative matches nothing at all")
        }
        if run.parts.count > 1, run.parts[0].min == 0, run.parts[0].max == 1 {
            run.lead = run.parts.removeFirst().set
        }
        if isOverlapping(run.parts) { return .overlapping(run) }
        guard isGreedy(run.parts) else {
            throw PatternFault(reason: "an alternative has to give back what it took")
        }
        return .run(run)
    }

    private static func parts(_ items: [PatternNode]) throws(PatternFault) -> [Arm.Part] {
        var parts: [Arm.Part] = []
        var kept = SymbolSet()
        for item in items {
            var part: Arm.Part
            var isPossessive = false
            switch item {
            case .set(let set): part = Arm.Part(set: set, min: 1, max: 1)
            case .repeated(.set(let set), let min, let max, let possessive):
                part = Arm.Part(set: set, min: min, max: max)
                isPossessive = possessive
            default: throw PatternFault(reason: "an alternative is of a form that is not known")
            }
            // Then it makes no difference that it keeps what it took.
            guard part.min == 0 || part.set.isDisjoint(with: kept) else {
                throw PatternFault(reason: "an alternative keeps what a later part has to take")
            }
            if isPossessive { kept = kept.union(part.set) }
            parts.append(part)
        }
        return parts
    }

    private static func isOverlapping(_ parts: [Arm.Part]) -> Bool {
        parts.count == 2 && parts[0].min == 0 && parts[0].max == .max && parts[1].min == 1
            && parts[1].max == .max
            && !parts[0].set.isDisjoint(with: parts[1].set)
    }

    /// Whether no part can take what a later one must have.
    private static func isGreedy(_ parts: [Arm.Part]) -> Bool {
        guard let last = parts.lastIndex(where: { $0.min > 0 }) else { return true }
        return parts[..<last].indices.allSatisfy { place in
            !parts[place].isVariable
                || parts[(place + 1)...last].allSatisfy {
                    $0.set.isDisjoint(with: parts[place].set)
                }
        }
    }
}
