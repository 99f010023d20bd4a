// SPDX-License-Identifier: Apache-2.0

/// A pattern as one table: from what may follow so far and the class of the next character to what
/// may follow then.
///
/// Made once from all ways through a pattern at the same time, kept in the order of preference:
/// a way that matches ends all behind it, so that the last match seen is the one that a search
/// with going back would have found first.
struct SplitRule: Sendable {
    /// What becomes of what matches, and of what stands between.
    enum Behavior: Sendable {
        /// Pieces of their own.
        case isolated
        case onlyMatches
        case onlyGaps
        /// What matches ends a piece, or begins one.
        case endsPiece
        case beginsPiece
    }

    /// In a move: a match ends before the character that is moved over.
    static let ends: UInt16 = 0x8000
    /// Is no move: rows do not begin there.
    static let noMove: UInt16 = 1
    /// A row for each state, a column for each class; behind the classes one for the text's end.
    private static let columns = 64
    private static let stateLimit = 512

    /// Of each symbol.
    private(set) var classes = [UInt8](repeating: 0, count: 256)
    /// Where the next row begins, 0 where nothing can follow, with `ends`.
    private(set) var moves: [UInt16] = []
    /// Where the first row begins.
    let first = SplitRule.columns
    let endClass = SplitRule.columns - 1
    let behavior: Behavior

    /// The pattern that `text` spells; a fault where it has no form that is matched in linear time.
    init(_ text: String, _ behavior: Behavior = .isolated) throws(PatternFault) {
        self.behavior = behavior
        let arms = try ArmReader.arms(try PatternReader.read(text))
        for arm in arms {
            let atRisk = arm.atRisk
            guard atRisk.isEmpty || arms.contains(where: { atRisk.isSubset(of: $0.taken) }) else {
                throw PatternFault(
                    reason: "an alternative may take time with the square of the text")
            }
        }
        let graph = try SplitGraph(arms)
        let samples = try classify(graph)
        try fill(graph, samples)
    }

    /// Symbols that no step tells apart are of one class; gives a symbol of each.
    private mutating func classify(_ graph: SplitGraph) throws(PatternFault) -> [Int] {
        var sets: [SymbolSet] = []
        for case .symbol(let set, _) in graph.steps where !sets.contains(set) { sets.append(set) }
        if !sets.contains(.space) { sets.append(.space) }
        var known: [[Bool]: UInt8] = [:]
        var samples: [Int] = []
        for symbol in 0..<192 {
            let membership = sets.map { $0.contains(symbol) }
            if let number = known[membership] {
                classes[symbol] = number
                continue
            }
            guard samples.count < endClass else {
                throw PatternFault(reason: "more than \(endClass) classes of characters")
            }
            classes[symbol] = UInt8(samples.count)
            known[membership] = classes[symbol]
            samples.append(symbol)
        }
        return samples
    }

    private mutating func fill(_ graph: SplitGraph, _ samples: [Int]) throws(PatternFault) {
        let start = graph.reached(from: [graph.first])
        // Row 0 is that of nothing: nobody looks into it.
        var rows: [[Int]: UInt16] = [[]: 0, start: UInt16(first)]
        var open = [start]
        moves = Array(repeating: 0, count: 2 * SplitRule.columns)
        while let state = open.popLast(), let row = rows[state] {
            for (number, symbol) in (samples.map(Optional.some) + [nil]).enumerated() {
                let (next, hasEnded) = SplitRule.move(graph, state, symbol)
                if rows[next] == nil {
                    guard rows.count < SplitRule.stateLimit else {
                        throw PatternFault(reason: "more than \(SplitRule.stateLimit) states")
                    }
                    rows[next] = UInt16(moves.count)
                    moves += repeatElement(0, count: SplitRule.columns)
                    open.append(next)
                }
                let column = symbol == nil ? endClass : number
                moves[Int(row) + column] = (rows[next] ?? 0) | (hasEnded ? SplitRule.ends : 0)
            }
        }
    }

    /// What follows in `state` over a symbol, nil for the end of the text, and whether a match ends
    /// before it.
    private static func move(
        _ graph: SplitGraph, _ state: [Int], _ symbol: Int?
    ) -> (next: [Int], hasEnded: Bool) {
        var next: [Int] = []
        for place in state {
            switch graph.steps[place] {
            case .symbol(let set, let then):
                if let symbol, set.contains(symbol) { next.append(then) }
            case .done(let before):
                if symbol.map({ before.contains($0) }) ?? true {
                    return (graph.reached(from: next), true)
                }
            case .either: break
            }
        }
        return (graph.reached(from: next), false)
    }
}
