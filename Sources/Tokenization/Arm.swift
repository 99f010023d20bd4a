// SPDX-License-Identifier: Apache-2.0

/// One alternative of a pattern in a form that is matched in linear time: what it takes greedily is
/// never given back, but in the few ways that have a case of their own.
enum Arm: Sendable {
    /// Some characters of a set, as many as there are, from `min` to `max`.
    struct Part: Sendable, Equatable {
        let set: SymbolSet
        let min: Int
        let max: Int

        var isVariable: Bool { max > min }
    }

    /// An optional first character, parts, then one of some words if it is there.
    struct Run: Sendable {
        /// Empty when there is none.
        var lead = SymbolSet()
        var parts: [Part]
        var suffix: [[SymbolSet]] = []
    }

    /// One of some words, the first that matches.
    case words([[SymbolSet]])
    case run(Run)
    /// `A*B+` where A and B share characters: A takes what it can; where no B follows, it gives
    /// back up to its last character that is also a B.
    case overlapping(Run)
    /// `\s*[\r\n]+`: white space up to the last line end in it.
    case spaceToLineEnd(SymbolSet)
    /// `\s+(?!\S)`: white space but its last character, all of it at the end.
    case spaceBeforeInk
    /// `\s+$`.
    case spaceAtEnd
}

extension Arm {
    /// What it may pass over, however long, and then fail.
    var atRisk: SymbolSet {
        switch self {
        case .words: return SymbolSet()
        case .overlapping(let run): return run.parts[0].set
        case .spaceToLineEnd, .spaceAtEnd: return .space
        case .spaceBeforeInk: return SymbolSet()
        case .run(let run):
            guard let last = run.parts.lastIndex(where: { $0.min > 0 }) else { return SymbolSet() }
            return run.parts[..<last].reduce(SymbolSet()) {
                $0.union($1.max > 8 ? $1.set : .init())
            }
        }
    }

    /// Takes all of these characters that stand in a row, but the last one perhaps.
    var taken: SymbolSet {
        if case .spaceBeforeInk = self { return .space }
        guard case .run(let run) = self, run.parts[0].max == .max, run.parts[0].min <= 1,
            run.parts.dropFirst().allSatisfy({ $0.min == 0 })
        else { return SymbolSet() }
        return run.parts[0].set
    }
}
