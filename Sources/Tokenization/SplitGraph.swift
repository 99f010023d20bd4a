// SPDX-License-Identifier: Apache-2.0

/// A pattern as steps from symbol to symbol; of two ways on, the first one is preferred.
struct SplitGraph {
    enum Step {
        case symbol(SymbolSet, then: Int)
        case either(Int, Int)
        /// Matched where one of the set comes next, or nothing.
        case done(before: SymbolSet)
    }

    /// Of a pattern at most.
    static let stepLimit = 2_048

    private(set) var steps: [Step] = []
    private(set) var first = 0

    /// The first arm that matches wins.
    init(_ arms: [Arm]) throws(PatternFault) {
        guard arms.count <= 32 else { throw PatternFault(reason: "more than 32 alternatives") }
        let done = try add(.done(before: .all))
        var firsts: [Int] = []
        for arm in arms { firsts.append(try add(arm, done)) }
        first = try choice(firsts)
    }

    private mutating func add(_ step: Step) throws(PatternFault) -> Int {
        guard steps.count < SplitGraph.stepLimit else {
            throw PatternFault(reason: "more than \(SplitGraph.stepLimit) steps")
        }
        steps.append(step)
        return steps.count - 1
    }

    private mutating func add(_ arm: Arm, _ done: Int) throws(PatternFault) -> Int {
        switch arm {
        case .words(let words): return try choice(words, then: done)
        case .run(let run), .overlapping(let run): return try add(run, done)
        case .spaceToLineEnd(let ends):
            return try repeated(.space, 0, .max, then: add(.symbol(ends, then: done)))
        case .spaceBeforeInk:
            return try repeated(.space, 1, .max, then: add(.done(before: .space)))
        case .spaceAtEnd:
            return try repeated(.space, 1, .max, then: add(.done(before: SymbolSet())))
        }
    }

    private mutating func add(_ run: Arm.Run, _ done: Int) throws(PatternFault) -> Int {
        var next = done
        if !run.suffix.isEmpty {
            next = try add(.either(choice(run.suffix, then: done), done))
        }
        for part in run.parts.reversed() {
            next = try repeated(part.set, part.min, part.max, then: next)
        }
        return run.lead.isEmpty ? next : try repeated(run.lead, 0, 1, then: next)
    }

    private mutating func repeated(
        _ set: SymbolSet, _ min: Int, _ max: Int, then next: Int
    ) throws(PatternFault) -> Int {
        var first = next
        if max == .max {
            first = try add(.either(next, next))
            steps[first] = .either(try add(.symbol(set, then: first)), next)
        } else {
            for _ in min..<max {
                first = try add(.either(add(.symbol(set, then: first)), next))
            }
        }
        for _ in 0..<min { first = try add(.symbol(set, then: first)) }
        return first
    }

    private mutating func choice(
        _ words: [[SymbolSet]], then next: Int
    ) throws(PatternFault) -> Int {
        var firsts: [Int] = []
        for word in words {
            var first = next
            for set in word.reversed() { first = try add(.symbol(set, then: first)) }
            firsts.append(first)
        }
        return try choice(firsts)
    }

    private mutating func choice(_ firsts: [Int]) throws(PatternFault) -> Int {
        var first = firsts[firsts.count - 1]
        for other in firsts.dropLast().reversed() { first = try add(.either(other, first)) }
        return first
    }
}

extension SplitGraph {
    /// The steps other than `either` that are reached from `starts`, in the order of preference;
    /// none behind one that matches whatever comes next.
    func reached(from starts: [Int]) -> [Int] {
        var isSeen = [Bool](repeating: false, count: steps.count)
        var reached: [Int] = []
        var open = Array(starts.reversed())
        while let place = open.popLast() {
            guard !isSeen[place] else { continue }
            isSeen[place] = true
            switch steps[place] {
            case .either(let preferred, let other):
                open.append(other)
                open.append(preferred)
            case .symbol: reached.append(place)
            case .done(let before):
                reached.append(place)
                if before == .all { return reached }
            }
        }
        return reached
    }
}
