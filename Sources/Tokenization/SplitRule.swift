// SPDX-License-Identifier: Apache-2.0

/// A pattern as tables: which arms may begin with a character, and what each takes.
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

    enum Shape: UInt8, Sendable {
        case words, run, overlapping, spaceToLineEnd, spaceBeforeInk, spaceAtEnd
    }

    /// An arm: its sets are single bits of `bits`, its parts and words stand in `parts` and
    /// `words`.
    struct Code: Sendable {
        var shape: Shape
        var lead: UInt32 = 0
        var givesLeadBack = false
        /// The set of the line ends, or of what parts share.
        var mask: UInt32 = 0
        var parts: Range<Int32> = 0..<0
        var words: Range<Int32> = 0..<0
    }

    struct Part: Sendable {
        let mask: UInt32
        let min: Int32
        let max: Int32
    }

    /// Of which sets a symbol is a member.
    private(set) var bits = [UInt32](repeating: 0, count: 256)
    /// Which arms may begin with a symbol.
    private(set) var starts = [UInt32](repeating: 0, count: 256)
    private(set) var codes: [Code] = []
    private(set) var parts: [Part] = []
    /// Sets of the characters of all words, a zero behind each.
    private(set) var words: [UInt32] = []
    private(set) var spaceMask: UInt32 = 0
    let behavior: Behavior

    private var sets: [SymbolSet] = []

    /// The pattern that `text` spells; a fault where it has no form that is matched in linear time.
    init(_ text: String, _ behavior: Behavior = .isolated) throws(PatternFault) {
        self.behavior = behavior
        try encode(try ArmReader.arms(try PatternReader.read(text)))
    }

    private mutating func encode(_ arms: [Arm]) throws(PatternFault) {
        guard arms.count <= 32 else { throw PatternFault(reason: "more than 32 alternatives") }
        spaceMask = try mask(.space)
        for (number, arm) in arms.enumerated() {
            let atRisk = arm.atRisk
            guard atRisk.isEmpty || arms.contains(where: { atRisk.isSubset(of: $0.taken) }) else {
                throw PatternFault(
                    reason: "an alternative may take time with the square of the text")
            }
            codes.append(try code(arm))
            for symbol in 0..<192 where arm.firsts.contains(symbol) {
                starts[symbol] |= 1 << UInt32(number)
            }
        }
    }

    private mutating func code(_ arm: Arm) throws(PatternFault) -> Code {
        switch arm {
        case .words(let list): return Code(shape: .words, words: try add(list))
        case .run(let run): return try code(run, .run)
        case .overlapping(let run): return try code(run, .overlapping)
        case .spaceToLineEnd(let ends):
            return Code(shape: .spaceToLineEnd, mask: try mask(ends))
        case .spaceBeforeInk: return Code(shape: .spaceBeforeInk)
        case .spaceAtEnd: return Code(shape: .spaceAtEnd)
        }
    }

    private mutating func code(_ run: Arm.Run, _ shape: Shape) throws(PatternFault) -> Code {
        let first = Int32(parts.count)
        for part in run.parts {
            parts.append(
                Part(
                    mask: try mask(part.set), min: Int32(clamping: part.min),
                    max: Int32(clamping: part.max)))
        }
        return Code(
            shape: shape, lead: run.lead.isEmpty ? 0 : try mask(run.lead),
            givesLeadBack: run.givesLeadBack, parts: first..<Int32(parts.count),
            words: try add(run.suffix))
    }

    private mutating func add(_ list: [[SymbolSet]]) throws(PatternFault) -> Range<Int32> {
        let first = Int32(words.count)
        for word in list {
            for set in word { words.append(try mask(set)) }
            words.append(0)
        }
        return first..<Int32(words.count)
    }

    /// The bit of a set, which gets one when it is new.
    private mutating func mask(_ set: SymbolSet) throws(PatternFault) -> UInt32 {
        if let place = sets.firstIndex(of: set) { return 1 << UInt32(place) }
        guard sets.count < 32 else { throw PatternFault(reason: "more than 32 sets of characters") }
        let bit: UInt32 = 1 << UInt32(sets.count)
        sets.append(set)
        for symbol in 0..<192 where set.contains(symbol) { bits[symbol] |= bit }
        return bit
    }
}
